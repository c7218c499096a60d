//! `GET /metrics`: the program's own numbers in the text exposition format, scraped by itself like any target.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use codecs::exposition::Format;
use codecs::text_encode::Writer;
use collect::exporters::Families;
use model::MetricKind::{self, Counter, Gauge};

use crate::app::App;

const NO_LABELS: [(&str, &str); 0] = [];

/// The page.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut page = Writer::new(Format::Text);
    build(&mut page);
    ingest(&mut page, &app);
    wal(&mut page, &app);
    head(&mut page, &app);
    flush(&mut page, &app);
    let mut process = Families::default();
    collect::exporters::process::collect(&mut process);
    process.write(&mut page);
    ([(header::CONTENT_TYPE, page.content_type())], page.finish()).into_response()
}

fn one(page: &mut Writer, name: &str, kind: MetricKind, help: &str, value: f64) {
    page.family(name, kind, help).sample(name, NO_LABELS, value);
}

fn build(page: &mut Writer) {
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("ui", super::UI_KIND)];
    page.family("atl_build_info", Gauge, "Version of this program; always 1.").sample(
        "atl_build_info",
        labels,
        1.0,
    );
}

fn ingest(page: &mut Writer, app: &App) {
    let counters = app.ingest().counters().snapshot(app.now_ms());
    for (name, help, value) in [
        ("atl_ingest_points_total", "Metric points acknowledged.", counters.points_total),
        ("atl_ingest_log_entries_total", "Log entries acknowledged.", counters.log_entries_total),
        ("atl_ingest_probe_results_total", "Probe results acknowledged.", counters.probe_results_total),
        ("atl_ingest_batches_total", "Batches acknowledged.", counters.batches_total),
        (
            "atl_ingest_duplicate_batches_total",
            "Batches recognised as sent before.",
            counters.duplicates_total,
        ),
        ("atl_ingest_rejected_rows_total", "Rows refused by a limit.", counters.rejected_total),
        ("atl_ingest_refused_batches_total", "Batches refused whole.", counters.refused_batches_total),
    ] {
        one(page, name, Counter, help, value as f64);
    }
}

fn wal(page: &mut Writer, app: &App) {
    let stats = app.store().stats();
    for (name, kind, help, value) in [
        ("atl_store_wal_segments", Gauge, "Segments of the write-ahead log.", stats.wal.segments as f64),
        ("atl_store_wal_bytes", Gauge, "Bytes in the write-ahead log.", stats.wal.bytes as f64),
        (
            "atl_store_wal_groups_total",
            Counter,
            "Group commits, one fsync each.",
            stats.wal.groups_total as f64,
        ),
        (
            "atl_store_wal_written_bytes_total",
            Counter,
            "Bytes written to the write-ahead log.",
            stats.wal.written_bytes_total as f64,
        ),
        (
            "atl_store_wal_write_seconds_total",
            Counter,
            "Time spent in write and fsync.",
            stats.wal.write_time_total.as_secs_f64(),
        ),
        (
            "atl_store_wal_failures_total",
            Counter,
            "Writes or fsyncs that failed.",
            stats.wal.failures_total as f64,
        ),
    ] {
        one(page, name, kind, help, value);
    }
    let refused = stats.append;
    page.family("atl_store_refused_batches_total", Counter, "Batches the store refused, by reason.");
    for (reason, count) in [
        ("unavailable", refused.unavailable_total),
        ("backpressure", refused.backpressure_total),
        ("invalid", refused.invalid_total),
    ] {
        page.sample("atl_store_refused_batches_total", [("reason", reason)], count as f64);
    }
}

fn head(page: &mut Writer, app: &App) {
    let head = app.store().stats().head;
    for (name, help, value) in [
        ("atl_store_head_series", "Series in memory.", head.series),
        ("atl_store_head_points", "Points in memory.", head.points),
        ("atl_store_head_log_entries", "Log entries in memory.", head.log_lines),
        ("atl_store_head_probe_results", "Probe results in memory.", head.probe_results),
        ("atl_store_head_bytes", "Memory of the rows not yet flushed.", head.bytes),
    ] {
        one(page, name, Gauge, help, value as f64);
    }
}

fn flush(page: &mut Writer, app: &App) {
    let flush = app.store().stats().flush;
    for (name, help, value) in [
        ("atl_store_flushes_total", "Flushes that ended well.", flush.flushes_total),
        ("atl_store_flush_failures_total", "Flushes that failed and are tried again.", flush.failures_total),
        ("atl_store_commits_total", "Commits to the tables.", flush.commits_total),
        ("atl_store_flushed_files_total", "Data files committed.", flush.files_total),
        ("atl_store_flushed_rows_total", "Rows committed.", flush.rows_total),
        ("atl_store_flushed_bytes_total", "Bytes committed.", flush.bytes_total),
    ] {
        one(page, name, Counter, help, value as f64);
    }
    one(
        page,
        "atl_store_flush_seconds_total",
        Counter,
        "Time spent flushing.",
        flush.time_total.as_secs_f64(),
    );
    if let Some(last_commit_ms) = flush.last_commit_ms {
        let seconds = last_commit_ms as f64 / 1000.0;
        one(page, "atl_store_last_commit_timestamp_seconds", Gauge, "Time of the last commit.", seconds);
    }
}
