//! Rows as lines of text: of the batches that were stored, and of what a store gives back. The two are equal.
//!
//! Only what the versions that made the directories know is written down, field by field and column by column, so
//! that later columns and tables change nothing. Floats stand as their bits.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, MapArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use futures::TryStreamExt;
use model::{Batch, Labels, MetricMetadata, ProbeResult};
use store::parquet_file::{Footers, ReadOptions, read_batches};
use store::{Error, HeadFilter, Snapshot, Store, Table};

#[path = "sparse_lines.rs"]
mod sparse_lines;

pub(crate) use sparse_lines::SparseRows;

/// Tables of histograms, start times and exemplars.
const SPARSE: [Table; 3] = [Table::Histograms, Table::StartTimes, Table::Exemplars];

/// Everything that can be read, in a form that can be compared.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// By label set and millisecond; of several the one that counts.
    samples: BTreeMap<(String, i64), f64>,
    sparse: SparseRows,
    label_sets: BTreeSet<String>,
    /// Logs and probes, repeated ones as often as they are there.
    others: Vec<String>,
    metadata: BTreeMap<String, String>,
}

impl Rows {
    /// Adds what a batch holds.
    pub(crate) fn add_batch(&mut self, batch: &Batch) {
        for point in &batch.points {
            self.label_sets.insert(format!("series {}", point.labels));
            self.add_sample(point.labels.to_string(), point.timestamp_ms, point.value);
        }
        self.sparse.add_batch(batch, &mut self.label_sets);
        for stream in &batch.log_streams {
            self.label_sets.insert(format!("log_streams {}", stream.labels));
            for entry in &stream.entries {
                let (time, severity) = (entry.timestamp_ns, entry.severity.number());
                let text = (&entry.body, &entry.attributes, &entry.trace_id, &entry.span_id);
                self.others.push(format!("logs {} {time} {severity} {text:?}", stream.labels));
            }
        }
        self.others.extend(batch.probes.iter().map(probe_line));
        for metadata in &batch.metadata {
            self.add_metadata(metadata);
        }
    }

    /// Forgets what batches told of metric families: it goes with the log.
    pub(crate) fn forget_metadata(&mut self) {
        self.metadata.clear();
    }

    /// Everything a store's snapshot holds, from memory and from files.
    pub(crate) async fn of_store(store: &Store) -> Result<Rows, Error> {
        let mut rows = Rows::of_snapshot(&store.snapshot()).await?;
        store.metadata().values().for_each(|metadata| rows.add_metadata(metadata));
        Ok(rows)
    }

    /// Everything a snapshot holds.
    pub(crate) async fn of_snapshot(snapshot: &Snapshot) -> Result<Rows, Error> {
        let mut rows = Rows::default();
        let mut labels = BTreeMap::new();
        for metric in snapshot.metric_names().await? {
            for entry in snapshot.series(&metric, None).await? {
                rows.label_sets.insert(format!("series {}", entry.labels));
                assert_eq!(entry.tsid, entry.labels.hash64().cast_signed(), "id of {}", entry.labels);
                labels.insert(entry.tsid, entry.labels);
            }
        }
        for entry in snapshot.streams(None, None).await? {
            rows.label_sets.insert(format!("log_streams {}", entry.labels));
            labels.insert(entry.tsid, entry.labels);
        }
        for batch in batches(snapshot, Table::Metrics).await? {
            rows.add_metrics(&batch, &labels);
        }
        for table in SPARSE {
            for batch in batches(snapshot, table).await? {
                rows.sparse.add_table(table, &batch, &labels);
            }
        }
        for batch in batches(snapshot, Table::Logs).await? {
            rows.add_logs(&batch, &labels);
        }
        for batch in batches(snapshot, Table::Probes).await? {
            (0..batch.num_rows()).for_each(|row| rows.others.push(probe_line(&probe(&batch, row))));
        }
        Ok(rows)
    }

    /// One row a line, sorted.
    pub(crate) fn text(&self) -> String {
        let samples = self.samples.iter();
        let mut lines: Vec<String> = samples
            .map(|((labels, time), value)| format!("metrics {labels} {time} {:016x}", value.to_bits()))
            .chain(self.sparse.lines())
            .chain(self.label_sets.iter().cloned())
            .chain(self.others.iter().cloned())
            .chain(self.metadata.values().cloned())
            .collect();
        lines.sort_unstable();
        lines.join("\n") + "\n"
    }

    /// The samples by label set and millisecond.
    pub(crate) fn samples(&self) -> &BTreeMap<(String, i64), f64> {
        &self.samples
    }

    /// The histograms, start times and exemplars.
    pub(crate) fn sparse(&self) -> &SparseRows {
        &self.sparse
    }

    fn add_sample(&mut self, labels: String, time_ms: i64, value: f64) {
        let known = self.samples.entry((labels, time_ms)).or_insert(value);
        *known = store::duplicates::wins(*known, value);
    }

    fn add_metadata(&mut self, metadata: &MetricMetadata) {
        let MetricMetadata { family, kind, help, unit } = metadata;
        self.metadata.insert(family.clone(), format!("metadata {family} {kind:?} {help:?} {unit:?}"));
    }

    fn add_metrics(&mut self, batch: &RecordBatch, labels: &BTreeMap<i64, Labels>) {
        for row in 0..batch.num_rows() {
            let labels = &labels[&number::<Int64Type>(batch, "tsid", row).unwrap()];
            let columns = ["metric", "job", "instance"].map(|name| text(batch, name, row));
            let expected = [Some(labels.name()), labels.get("job"), labels.get("instance")];
            assert_eq!(columns, expected.map(|text| text.map(str::to_owned)), "columns of {labels}");
            let time_us = number::<TimestampMicrosecondType>(batch, "ts", row).unwrap();
            let value = number::<Float64Type>(batch, "value", row).unwrap();
            assert_eq!(time_us % 1_000, 0);
            self.add_sample(labels.to_string(), time_us / 1_000, value);
        }
    }

    fn add_logs(&mut self, batch: &RecordBatch, labels: &BTreeMap<i64, Labels>) {
        for row in 0..batch.num_rows() {
            let labels = &labels[&number::<Int64Type>(batch, "stream_id", row).unwrap()];
            let columns = ["service", "host", "source"];
            let expected = columns.map(|name| labels.get(name).map(str::to_owned));
            assert_eq!(columns.map(|name| text(batch, name, row)), expected, "columns of {labels}");
            let time_us = number::<TimestampMicrosecondType>(batch, "ts", row).unwrap();
            let time = time_us * 1_000 + i64::from(number::<Int16Type>(batch, "ts_ns", row).unwrap());
            let severity = number::<Int8Type>(batch, "severity", row).unwrap();
            let attributes = pairs(batch["attributes"].as_map(), row);
            let [body, trace_id, span_id] =
                ["body", "trace_id", "span_id"].map(|name| text(batch, name, row));
            let text = (body.unwrap(), attributes, trace_id, span_id);
            self.others.push(format!("logs {labels} {time} {severity} {text:?}"));
        }
    }
}

async fn batches(snapshot: &Snapshot, table: Table) -> Result<Vec<RecordBatch>, Error> {
    let footers = Footers::default();
    let mut batches = snapshot.head_batches(table, &HeadFilter::default())?;
    for file in snapshot.files(table) {
        let rows = read_batches(snapshot.objects(), &footers, file, &ReadOptions::default()).await?;
        batches.extend(rows.try_collect::<Vec<RecordBatch>>().await?);
    }
    Ok(batches)
}

fn probe_line(probe: &ProbeResult) -> String {
    let bits = |seconds: Option<f64>| seconds.map(|seconds| format!("{:016x}", seconds.to_bits()));
    let names = (&probe.probe, &probe.target, &probe.kind, &probe.location, &probe.result_id);
    let outcome = (probe.success, &probe.reason, bits(Some(probe.duration_seconds)));
    let answer = (probe.status_code, probe.redirects, probe.body_bytes, &probe.http_version);
    let phases = [
        probe.phases.resolve_seconds,
        probe.phases.connect_seconds,
        probe.phases.tls_seconds,
        probe.phases.first_byte_seconds,
        probe.phases.transfer_seconds,
    ];
    let peer = (&probe.ip, &probe.tls_version, &probe.tls_cipher, probe.cert_not_after_ms);
    format!(
        "probes {} {names:?} {outcome:?} {answer:?} {:?} {peer:?} {:?}",
        probe.timestamp_ms,
        phases.map(bits),
        probe.attributes
    )
}

fn probe(batch: &RecordBatch, row: usize) -> ProbeResult {
    let optional = |name: &str| text(batch, name, row);
    let string = |name: &str| optional(name).unwrap();
    let seconds = |name: &str| number::<Float64Type>(batch, name, row);
    let time_ms = |name: &str| number::<TimestampMicrosecondType>(batch, name, row).map(|us| us / 1_000);
    ProbeResult {
        timestamp_ms: time_ms("ts").unwrap(),
        probe: string("probe"),
        target: string("target"),
        kind: string("kind"),
        location: string("location"),
        success: batch["success"].as_boolean().value(row),
        reason: optional("reason"),
        duration_seconds: seconds("duration_seconds").unwrap(),
        status_code: number::<Int32Type>(batch, "status_code", row).map(|code| code.try_into().unwrap()),
        redirects: number::<Int32Type>(batch, "redirects", row).map(i32::cast_unsigned),
        body_bytes: number::<Int64Type>(batch, "body_bytes", row).map(i64::cast_unsigned),
        http_version: optional("http_version"),
        phases: model::ProbePhases {
            resolve_seconds: seconds("resolve_seconds"),
            connect_seconds: seconds("connect_seconds"),
            tls_seconds: seconds("tls_seconds"),
            first_byte_seconds: seconds("first_byte_seconds"),
            transfer_seconds: seconds("transfer_seconds"),
        },
        ip: optional("ip"),
        tls_version: optional("tls_version"),
        tls_cipher: optional("tls_cipher"),
        cert_not_after_ms: time_ms("cert_not_after"),
        attributes: pairs(batch["attributes"].as_map(), row),
        result_id: string("result_id"),
    }
}

fn number<T: ArrowPrimitiveType>(batch: &RecordBatch, name: &str, row: usize) -> Option<T::Native> {
    let column = batch[name].as_primitive::<T>();
    column.is_valid(row).then(|| column.value(row))
}

fn text(batch: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let column = batch[name].as_string::<i32>();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn pairs(maps: &MapArray, row: usize) -> Vec<(String, String)> {
    let entries = maps.value(row);
    let [names, values] = [0, 1].map(|column| entries.column(column).as_string::<i32>());
    (0..entries.len()).map(|i| (names.value(i).to_owned(), values.value(i).to_owned())).collect()
}
