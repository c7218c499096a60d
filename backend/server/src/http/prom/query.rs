//! `query`, `query_range`, `query_exemplars`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use query::prom::{PromAnswer, PromOptions, SeriesExemplars};

use super::envelope::{Notes, PromError, success_with};
use super::parameters::{Parameters, invalid};
use super::values::{write_float, write_labels, write_list, write_result, write_time};
use crate::app::App;

/// Most steps of a range query, as in Prometheus.
const STEPS_MAX: i64 = 11_000;
/// Most warnings, and most infos, told.
const NOTES_MAX: usize = 10;
/// Most values that are written in well below a millisecond.
const WRITTEN_HERE_MAX: usize = 8 << 10;

/// One evaluation.
pub(super) async fn instant(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Response, PromError> {
    let limit = parameters.limit()?;
    let time_ms = parameters.time("time", app.now_ms())?;
    let options = options(&parameters)?;
    let text = parameters.get("query").unwrap_or_default();
    let answer = app.prom().instant(app.store().snapshot(), text, time_ms, &options).await?;
    respond_with(text.to_owned(), answer, limit, parameters).await
}

/// An evaluation at every step.
pub(super) async fn range(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Response, PromError> {
    let limit = parameters.limit()?;
    let start_ms = parameters.required_time("start")?;
    let end_ms = parameters.required_time("end")?;
    if end_ms < start_ms {
        return Err(invalid("end", "end timestamp must not be before start time".to_owned()));
    }
    let step_ms = parameters.duration_ms("step")?;
    let step_ms =
        step_ms.ok_or_else(|| invalid("step", "cannot parse \"\" to a valid duration".to_owned()))?;
    if step_ms <= 0 {
        let message =
            "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(invalid("step", message.to_owned()));
    }
    if (end_ms - start_ms) / step_ms > STEPS_MAX {
        return Err(PromError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let options = options(&parameters)?;
    let text = parameters.get("query").unwrap_or_default();
    let answer = app.prom().range(app.store().snapshot(), text, start_ms, end_ms, step_ms, &options).await?;
    respond_with(text.to_owned(), answer, limit, parameters).await
}

fn options(parameters: &Parameters) -> Result<PromOptions, PromError> {
    let timeout = parameters.duration("timeout")?;
    let lookback_delta = parameters.duration("lookback_delta")?.filter(|delta| !delta.is_zero());
    Ok(PromOptions { timeout, lookback_delta })
}

/// Writes an answer; a large one takes milliseconds that other connections would wait for.
async fn respond_with(
    text: String,
    answer: PromAnswer,
    limit: usize,
    parameters: Parameters,
) -> Result<Response, PromError> {
    let values = match &answer.value {
        promql::Value::Matrix(series) => series.iter().map(|s| s.floats.len() + s.histograms.len()).sum(),
        promql::Value::Vector(samples) => samples.len(),
        promql::Value::Scalar(..) | promql::Value::String(..) => 1,
    };
    if values <= WRITTEN_HERE_MAX {
        return Ok(respond(&text, &answer, limit, &parameters));
    }
    let written = tokio::task::spawn_blocking(move || respond(&text, &answer, limit, &parameters)).await;
    written.map_err(|error| PromError::internal(error.to_string()))
}

fn respond(text: &str, answer: &PromAnswer, limit: usize, parameters: &Parameters) -> Response {
    let mut notes = Notes {
        warnings: answer.annotations.texts(promql::Level::Warning, text, NOTES_MAX),
        infos: answer.annotations.texts(promql::Level::Info, text, NOTES_MAX),
    };
    let mut data = String::from("{");
    if write_result(&mut data, &answer.value, limit) {
        notes.warnings.push("results truncated due to limit".to_owned());
    }
    if parameters.get("stats").is_some() {
        data.push_str(",\"stats\":");
        data.push_str(&statistics(answer).to_string());
    }
    data.push('}');
    success_with(&notes, |out| out.push_str(&data))
}

/// Times and counts: Prometheus's names, and ours under `atl`.
fn statistics(answer: &PromAnswer) -> serde_json::Value {
    let stats = &answer.stats;
    let prepared = stats.select_ms + stats.read_ms;
    let seconds = |ms: f64| ms / 1000.0;
    serde_json::json!({
        "timings": {
            "evalTotalTime": seconds(prepared + stats.eval_ms),
            "resultSortTime": 0.0,
            "queryPreparationTime": seconds(prepared),
            "innerEvalTime": seconds(stats.eval_ms),
            "execQueueTime": seconds(stats.queue_ms),
            "execTotalTime": seconds(stats.queue_ms + prepared + stats.eval_ms),
        },
        "samples": {
            "totalQueryableSamples": stats.samples,
            "peakSamples": stats.samples_held_max,
        },
        "atl": {
            "series": stats.series,
            "files": stats.files,
            "filesPruned": stats.files_pruned,
            "bytesRead": stats.bytes_read,
        },
    })
}

/// Exemplars of the series a query selects.
pub(super) async fn exemplars(
    State(app): State<Arc<App>>,
    parameters: Parameters,
) -> Result<Response, PromError> {
    let text = parameters.get("query").unwrap_or_default();
    promql::parse(text).map_err(|error| invalid("query", error.to_string()))?;
    let (start_ms, end_ms) = parameters.span()?;
    let found = app.prom().exemplars(app.store().snapshot(), text, start_ms, end_ms).await?;
    Ok(success_with(&Notes::default(), |out| write_list(out, &found, write_exemplars)))
}

/// One series with its exemplars, as Prometheus spells it.
fn write_exemplars(out: &mut String, series: &SeriesExemplars) {
    out.push_str("{\"seriesLabels\":");
    write_labels(out, &series.labels);
    out.push_str(",\"exemplars\":");
    write_list(out, &series.exemplars, |out, exemplar| {
        out.push_str("{\"labels\":");
        write_labels(out, &exemplar.labels);
        out.push_str(",\"value\":\"");
        write_float(out, exemplar.value);
        out.push_str("\",\"timestamp\":");
        write_time(out, exemplar.timestamp_ms);
        out.push('}');
    });
    out.push('}');
}
