//! `GET /api/status`: the program at a glance.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::objects::StoreKind;

use super::time::rfc3339;
use crate::app::App;

/// The answer. Times are RFC 3339, sizes bytes.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    ui: &'static str,
    hostname: String,
    started_at: String,
    uptime_seconds: i64,
    store: StoreStatus,
    ingest: IngestStatus,
    head: HeadStatus,
    wal: WalStatus,
    cache: CacheStatus,
    commits_total: u64,
    commit_failures_in_a_row: u64,
    last_commit_at: Option<String>,
    memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct StoreStatus {
    url: String,
    kind: StoreKind,
}

#[derive(Debug, Serialize)]
struct IngestStatus {
    points_total: u64,
    points_per_second: f64,
    log_lines_total: u64,
    log_lines_per_second: f64,
    probe_results_total: u64,
    batches_total: u64,
    duplicates_total: u64,
    rejected_total: u64,
    refused_batches_total: u64,
}

#[derive(Debug, Serialize)]
struct HeadStatus {
    series: u64,
    points: u64,
    log_lines: u64,
    probe_results: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct WalStatus {
    segments: u64,
    bytes: u64,
}

/// The cache of the bucket's files; all zero where there is none.
#[derive(Debug, Serialize)]
struct CacheStatus {
    memory_bytes: u64,
    disk_bytes: u64,
    disk_limit_bytes: u64,
    hits_total: u64,
    requests_total: u64,
}

/// The program as it is now.
pub(super) async fn status(State(app): State<Arc<App>>) -> Json<Status> {
    let now_ms = app.now_ms();
    let stats = app.store().stats();
    let counters = app.ingest().counters().snapshot(now_ms);
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        ui: super::UI_KIND,
        hostname: app.facts.hostname.clone(),
        started_at: rfc3339(app.started_ms),
        uptime_seconds: (now_ms - app.started_ms) / 1000,
        store: StoreStatus { url: app.facts.store_url.clone(), kind: app.objects().kind },
        ingest: IngestStatus {
            points_total: counters.points_total,
            points_per_second: counters.points_per_second,
            log_lines_total: counters.log_entries_total,
            log_lines_per_second: counters.log_entries_per_second,
            probe_results_total: counters.probe_results_total,
            batches_total: counters.batches_total,
            duplicates_total: counters.duplicates_total,
            rejected_total: counters.rejected_total,
            refused_batches_total: counters.refused_batches_total,
        },
        head: HeadStatus {
            series: stats.head.series,
            points: stats.head.points,
            log_lines: stats.head.log_lines,
            probe_results: stats.head.probe_results,
            bytes: stats.head.bytes,
        },
        wal: WalStatus { segments: stats.wal.segments, bytes: stats.wal.bytes },
        cache: CacheStatus {
            memory_bytes: stats.cache.memory.bytes,
            disk_bytes: stats.cache.disk.bytes,
            disk_limit_bytes: stats.cache.disk.limit_bytes,
            hits_total: stats.cache.memory.hits_total + stats.cache.disk.hits_total,
            requests_total: stats.cache.requests_total,
        },
        commits_total: stats.flush.commits_total,
        commit_failures_in_a_row: stats.flush.failures_in_a_row,
        last_commit_at: stats.flush.last_commit_ms.map(rfc3339),
        memory_bytes: resident_memory(),
    })
}

/// Resident memory of this process, from procfs; `None` where there is none.
pub(super) fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
