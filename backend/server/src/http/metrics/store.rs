//! The store's numbers: log, head, index, flushes, merges, lease, filters, caches.

use std::time::Duration;

use codecs::text_encode::Writer;
use model::MetricKind::{self, Counter, Gauge};
use store::samples::PartCacheStats;
use store::{CacheStats, StoreStats};

use super::one;

type Row = (&'static str, MetricKind, &'static str, f64);

/// Writes them all.
pub(super) fn write(page: &mut Writer, stats: &StoreStats) {
    let groups = [
        wal(stats),
        head(stats),
        append(stats),
        flush(stats),
        index(stats),
        compaction(stats),
        tokens(stats),
        cache(&stats.cache),
        parts(&stats.parts),
    ];
    for (name, kind, help, value) in groups.into_iter().flatten() {
        one(page, name, kind, help, value);
    }
    refused(page, stats);
    cache_tiers(page, &stats.cache);
    if let Some(ms) = stats.flush.last_commit_ms {
        let name = "atl_store_last_commit_timestamp_seconds";
        one(page, name, Gauge, "Time of the last commit.", count(ms.unsigned_abs()) / 1000.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn count(value: u64) -> f64 {
    value as f64
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Row {
    (name, Counter, help, count(value))
}

fn gauge(name: &'static str, help: &'static str, value: u64) -> Row {
    (name, Gauge, help, count(value))
}

fn seconds(name: &'static str, help: &'static str, value: Duration) -> Row {
    (name, Counter, help, value.as_secs_f64())
}

fn wal(stats: &StoreStats) -> Vec<Row> {
    let (wal, replay) = (&stats.wal, &stats.replay);
    vec![
        gauge("atl_store_wal_segments", "Segments of the write-ahead log.", wal.segments),
        gauge("atl_store_wal_bytes", "Bytes in the write-ahead log.", wal.bytes),
        counter("atl_store_wal_groups_total", "Group commits, one fsync each.", wal.groups_total),
        counter(
            "atl_store_wal_written_bytes_total",
            "Bytes written to the write-ahead log.",
            wal.written_bytes_total,
        ),
        seconds("atl_store_wal_write_seconds_total", "Time spent in write and fsync.", wal.write_time_total),
        counter("atl_store_wal_failures_total", "Writes or fsyncs that failed.", wal.failures_total),
        counter(
            "atl_store_wal_damaged_ranges_total",
            "Damaged stretches of the log skipped at the start.",
            replay.damaged_ranges,
        ),
        counter("atl_store_wal_damaged_bytes_total", "Bytes in them.", replay.damaged_bytes),
    ]
}

fn head(stats: &StoreStats) -> Vec<Row> {
    let (head, hot) = (&stats.head, &stats.hot);
    vec![
        gauge("atl_store_head_series", "Series in memory.", head.series),
        gauge("atl_store_head_points", "Points in no file yet.", head.points),
        gauge("atl_store_head_histograms", "Native histograms in no file yet.", head.histograms),
        gauge("atl_store_head_start_times", "Start times of points in no file yet.", head.start_times),
        gauge("atl_store_head_exemplars", "Exemplars in no file yet.", head.exemplars),
        gauge("atl_store_head_log_entries", "Log entries in no file yet.", head.log_lines),
        gauge("atl_store_head_probe_results", "Probe results in no file yet.", head.probe_results),
        gauge("atl_store_head_bytes", "Memory of rows and label sets.", head.bytes),
        gauge("atl_store_head_label_sets", "Label sets known to the writer.", head.label_sets),
        gauge("atl_store_hot_blocks", "Blocks of committed rows still in memory.", hot.blocks),
        gauge("atl_store_hot_rows", "Rows in them.", hot.rows),
        gauge("atl_store_hot_bytes", "Memory of them.", hot.bytes),
        counter(
            "atl_store_hot_hidden_total",
            "Blocks given up because one of their files left the table.",
            hot.hidden_total,
        ),
        counter(
            "atl_store_hot_dropped_by_time_total",
            "Blocks dropped because their time was over.",
            hot.dropped_by_time_total,
        ),
        counter(
            "atl_store_hot_dropped_by_memory_total",
            "Blocks dropped early because memory was short.",
            hot.dropped_by_memory_total,
        ),
        counter("atl_store_hot_merges_total", "Blocks packed or merged.", hot.merges_total),
        seconds("atl_store_hot_merge_seconds_total", "Time spent packing blocks.", hot.merge_time_total),
    ]
}

fn append(stats: &StoreStats) -> Vec<Row> {
    let append = &stats.append;
    vec![
        counter(
            "atl_store_out_of_order_samples_total",
            "Samples behind the newest one of their series, within the window.",
            append.out_of_order_total,
        ),
        counter(
            "atl_store_too_old_samples_total",
            "Samples further behind, stored in the files of their day.",
            append.too_old_total,
        ),
        counter(
            "atl_store_repeated_samples_total",
            "Samples with the time of the newest one of their series.",
            append.repeated_total,
        ),
        counter(
            "atl_store_rejected_old_samples_total",
            "Samples dropped for their age.",
            append.rejected_old_total,
        ),
        counter(
            "atl_store_rejected_future_samples_total",
            "Samples dropped because they lay too far ahead.",
            append.rejected_future_total,
        ),
        gauge(
            "atl_store_remembered_batches",
            "Batches remembered to find repetitions.",
            append.remembered_batches,
        ),
    ]
}

fn refused(page: &mut Writer, stats: &StoreStats) {
    let name = "atl_store_refused_batches_total";
    page.family(name, Counter, "Batches the store refused, by reason.");
    for (reason, value) in [
        ("unavailable", stats.append.unavailable_total),
        ("backpressure", stats.append.backpressure_total),
        ("invalid", stats.append.invalid_total),
    ] {
        page.sample(name, [("reason", reason)], count(value));
    }
}

fn flush(stats: &StoreStats) -> Vec<Row> {
    let flush = &stats.flush;
    vec![
        counter("atl_store_flushes_total", "Flushes that ended well.", flush.flushes_total),
        counter(
            "atl_store_flush_failures_total",
            "Flushes that failed and are tried again.",
            flush.failures_total,
        ),
        counter("atl_store_commits_total", "Commits to the tables.", flush.commits_total),
        counter("atl_store_flushed_files_total", "Data files committed.", flush.files_total),
        counter("atl_store_flushed_rows_total", "Rows committed.", flush.rows_total),
        counter("atl_store_flushed_bytes_total", "Bytes committed.", flush.bytes_total),
        seconds("atl_store_flush_seconds_total", "Time spent flushing.", flush.time_total),
        counter(
            "atl_store_maintenance_failures_total",
            "Retention runs and vacuums that failed.",
            flush.maintenance_failures_total,
        ),
    ]
}

fn index(stats: &StoreStats) -> Vec<Row> {
    let index = &stats.index;
    vec![
        gauge("atl_store_index_live_series", "Label sets in the index of the head.", index.live_series),
        gauge("atl_store_index_live_bytes", "Memory of the index of the head.", index.live_bytes),
        gauge("atl_store_index_file_days", "Days of files whose index is loaded.", index.file_days),
        gauge("atl_store_index_file_series", "Label sets of files that are loaded.", index.file_series),
        gauge("atl_store_index_file_bytes", "Memory of what is loaded of files.", index.file_bytes),
        counter("atl_store_index_loads_total", "Times an index was loaded or extended.", index.loads_total),
        seconds("atl_store_index_load_seconds_total", "Time spent loading.", index.load_time_total),
        counter(
            "atl_store_index_evicted_days_total",
            "Days forgotten to make room.",
            index.evicted_days_total,
        ),
    ]
}

fn compaction(stats: &StoreStats) -> Vec<Row> {
    let (merged, lease) = (&stats.compaction, &stats.lease);
    vec![
        counter("atl_store_compactions_total", "Merges committed.", merged.compactions_total),
        counter("atl_store_compaction_files_in_total", "Files merged.", merged.files_in_total),
        counter(
            "atl_store_compaction_files_out_total",
            "Files that took their place.",
            merged.files_out_total,
        ),
        counter("atl_store_compaction_rows_in_total", "Rows read by merges.", merged.rows_in_total),
        counter("atl_store_compaction_rows_out_total", "Rows written by merges.", merged.rows_out_total),
        counter(
            "atl_store_compaction_duplicates_total",
            "Rows that repeated another one.",
            merged.duplicates_total,
        ),
        counter("atl_store_compaction_bytes_in_total", "Bytes of the files merged.", merged.bytes_in_total),
        counter(
            "atl_store_compaction_bytes_out_total",
            "Bytes of the files that took their place.",
            merged.bytes_out_total,
        ),
        seconds("atl_store_compaction_seconds_total", "Time spent in merges.", merged.time_total),
        counter("atl_store_compaction_failures_total", "Merges that failed.", merged.failures_total),
        counter(
            "atl_store_compaction_conflicts_total",
            "Merges thrown away because the files had changed.",
            merged.conflicts_total,
        ),
        gauge("atl_store_quarantined_files", "Damaged files left out of merges.", merged.quarantined_files),
        gauge("atl_store_lease_held", "1 where this process maintains the tables.", u64::from(lease.held)),
        gauge("atl_store_lease_epoch", "Number of the lease's holder.", lease.epoch.unsigned_abs()),
        counter(
            "atl_store_lease_lost_total",
            "Times the lease was lost before the work was done.",
            lease.lost_total,
        ),
    ]
}

fn tokens(stats: &StoreStats) -> Vec<Row> {
    let tokens = &stats.tokens;
    vec![
        gauge("atl_store_token_filter_files", "Log files whose token filter is in memory.", tokens.files),
        gauge("atl_store_token_filter_bytes", "Memory of the token filters.", tokens.bytes),
        counter("atl_store_token_sidecars_total", "Token filters written.", tokens.sidecars_total),
        counter(
            "atl_store_token_sidecar_failures_total",
            "Token filters that could not be written.",
            tokens.sidecar_failures_total,
        ),
        counter("atl_store_token_loads_total", "Token filters read.", tokens.loads_total),
        counter(
            "atl_store_token_load_failures_total",
            "Token filters that could not be read.",
            tokens.load_failures_total,
        ),
    ]
}

fn cache(cache: &CacheStats) -> Vec<Row> {
    vec![
        counter(
            "atl_store_cache_coalesced_total",
            "Blocks of files that were on their way to another reader.",
            cache.coalesced_total,
        ),
        counter(
            "atl_store_cache_requests_total",
            "Requests the cache sent to the object store.",
            cache.requests_total,
        ),
        counter("atl_store_cache_fetched_bytes_total", "Bytes they brought.", cache.fetched_bytes_total),
        counter(
            "atl_store_cache_retries_total",
            "Requests sent again because the answer was cut short or too long.",
            cache.retries_total,
        ),
        counter(
            "atl_store_cache_bypassed_total",
            "Reads the cache left to the object store.",
            cache.bypassed_total,
        ),
        counter(
            "atl_store_cache_damaged_total",
            "Blocks on disk that were damaged, and deleted.",
            cache.damaged_total,
        ),
        counter(
            "atl_store_cache_disk_failures_total",
            "Reads, writes and deletions on disk that failed.",
            cache.disk_failures_total,
        ),
        counter("atl_store_cache_written_bytes_total", "Bytes written to disk.", cache.written_bytes_total),
        counter(
            "atl_store_cache_dropped_writes_total",
            "Blocks not written because the disk was slow, full or failing.",
            cache.dropped_writes_total,
        ),
    ]
}

fn parts(parts: &PartCacheStats) -> Vec<Row> {
    vec![
        counter(
            "atl_store_part_cache_hits_total",
            "Decoded samples of a series and row group found.",
            parts.hits_total,
        ),
        counter("atl_store_part_cache_misses_total", "Those looked for in vain.", parts.misses_total),
        counter(
            "atl_store_part_cache_evictions_total",
            "Those that left to make room.",
            parts.evictions_total,
        ),
        gauge("atl_store_part_cache_parts", "Decoded samples held, by series and row group.", parts.parts),
        gauge("atl_store_part_cache_bytes", "Bytes of decoded samples held.", parts.bytes),
        gauge("atl_store_part_cache_limit_bytes", "Most bytes that may be held.", parts.limit_bytes),
    ]
}

fn cache_tiers(page: &mut Writer, cache: &CacheStats) {
    let tiers = [("memory", cache.memory), ("disk", cache.disk)];
    let mut family = |name: &str, kind, help: &str, value: fn(&store::CacheTierStats) -> u64| {
        page.family(name, kind, help);
        for (tier, stats) in &tiers {
            page.sample(name, [("tier", *tier)], count(value(stats)));
        }
    };
    family("atl_store_cache_hits_total", Counter, "Blocks of files found.", |tier| tier.hits_total);
    family("atl_store_cache_misses_total", Counter, "Blocks looked for in vain.", |tier| tier.misses_total);
    family("atl_store_cache_evictions_total", Counter, "Blocks that left to make room.", |tier| {
        tier.evictions_total
    });
    family("atl_store_cache_blocks", Gauge, "Blocks held.", |tier| tier.blocks);
    family("atl_store_cache_bytes", Gauge, "Bytes held.", |tier| tier.bytes);
    family("atl_store_cache_limit_bytes", Gauge, "Most bytes that may be held.", |tier| tier.limit_bytes);
}
