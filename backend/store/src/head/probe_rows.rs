//! Rows of `probes` from generations: sorted by (probe, location, ts), then in the order of writing.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use model::ProbeResult;

use super::generation::Generation;
use super::log_rows::append_pairs;
use super::metric_rows::{BATCH_ROWS, Selection, with_day_column};
use super::metrics::DAY_MS;
use crate::error::Result;
use crate::tables::{Table, map_builder};

/// Walks over the rows, one record batch at a time.
#[derive(Debug)]
pub(crate) struct ProbeScan {
    with_day: bool,
    results: std::vec::IntoIter<Arc<ProbeResult>>,
}

impl ProbeScan {
    /// Starts a scan over `generations`, oldest first.
    pub(crate) fn new(generations: &[Arc<Generation>], selection: &Selection) -> ProbeScan {
        let (start_ms, end_ms) = (selection.start_us.div_euclid(1_000), selection.end_us.div_euclid(1_000));
        let mut results: Vec<Arc<ProbeResult>> = generations
            .iter()
            .flat_map(|generation| generation.probes())
            .filter(|result| (start_ms..=end_ms).contains(&result.timestamp_ms))
            .collect();
        results.sort_by(|a, b| {
            (&a.probe, &a.location, a.timestamp_ms).cmp(&(&b.probe, &b.location, b.timestamp_ms))
        });
        ProbeScan { with_day: selection.with_day, results: results.into_iter() }
    }

    /// The next rows; `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let results: Vec<Arc<ProbeResult>> = self.results.by_ref().take(BATCH_ROWS).collect();
        if results.is_empty() {
            return Ok(None);
        }
        let mut columns = columns(&results)?;
        let mut day = Date32Builder::new();
        if self.with_day {
            day.extend(results.iter().map(|result| Some(result.timestamp_ms.div_euclid(DAY_MS) as i32)));
        }
        with_day_column(Table::Probes, self.with_day.then_some(day), &mut columns).map(Some)
    }
}

fn columns(rows: &[Arc<ProbeResult>]) -> Result<Vec<ArrayRef>> {
    let text = |get: fn(&ProbeResult) -> Option<&str>| -> ArrayRef {
        let mut column = StringBuilder::new();
        rows.iter().for_each(|row| column.append_option(get(row)));
        Arc::new(column.finish())
    };
    let seconds = |get: fn(&ProbeResult) -> Option<f64>| -> ArrayRef {
        let mut column = Float64Builder::new();
        column.extend(rows.iter().map(|row| get(row)));
        Arc::new(column.finish())
    };
    let narrow = |get: fn(&ProbeResult) -> Option<i32>| -> ArrayRef {
        let mut column = Int32Builder::new();
        column.extend(rows.iter().map(|row| get(row)));
        Arc::new(column.finish())
    };
    let time = |get: fn(&ProbeResult) -> Option<i64>| -> ArrayRef {
        let mut column = TimestampMicrosecondBuilder::new();
        column.extend(rows.iter().map(|row| get(row)));
        Arc::new(column.finish().with_timezone("UTC"))
    };
    let mut success = BooleanBuilder::new();
    let mut body_bytes = Int64Builder::new();
    let mut attributes = map_builder();
    for row in rows {
        success.append_value(row.success);
        body_bytes.append_option(row.body_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)));
        append_pairs(&mut attributes, &row.attributes)?;
    }
    Ok(vec![
        time(|row| Some(row.timestamp_ms * 1_000)),
        text(|row| Some(&row.probe)),
        text(|row| Some(&row.target)),
        text(|row| Some(&row.kind)),
        text(|row| Some(&row.location)),
        Arc::new(success.finish()),
        text(|row| row.reason.as_deref()),
        seconds(|row| Some(row.duration_seconds)),
        narrow(|row| row.status_code.map(i32::from)),
        narrow(|row| row.redirects.map(|count| i32::try_from(count).unwrap_or(i32::MAX))),
        Arc::new(body_bytes.finish()),
        text(|row| row.http_version.as_deref()),
        seconds(|row| row.phases.resolve_seconds),
        seconds(|row| row.phases.connect_seconds),
        seconds(|row| row.phases.tls_seconds),
        seconds(|row| row.phases.first_byte_seconds),
        seconds(|row| row.phases.transfer_seconds),
        text(|row| row.ip.as_deref()),
        text(|row| row.tls_version.as_deref()),
        text(|row| row.tls_cipher.as_deref()),
        time(|row| row.cert_not_after_ms.and_then(|ms| ms.checked_mul(1_000))),
        Arc::new(attributes.finish()),
        text(|row| Some(&row.result_id)),
    ])
}
