//! Series by matchers, over head and files.

use std::ops::RangeInclusive;

use model::{METRIC_NAME, MatchOp, Matcher};
use store::{SeriesEntry, Snapshot};

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;
/// Days before and after 1970 that are told apart; a microsecond of any of them fits into 64 bits.
const DAYS_MAX: i64 = 100_000_000;

/// Series that satisfy all `matchers` and may have samples from `start_ms` to `end_ms`, inclusive; sorted by
/// (metric, tsid).
pub(super) async fn select_series(
    snapshot: &Snapshot,
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
) -> store::Result<Vec<SeriesEntry>> {
    let of_name = |matcher: &&Matcher| matcher.name() == METRIC_NAME;
    let metrics = match matchers.iter().filter(of_name).find(|matcher| matcher.op() == MatchOp::Equal) {
        Some(matcher) => vec![matcher.value().to_owned()],
        None => {
            let mut names = snapshot.metric_names().await?;
            names.retain(|name| matchers.iter().filter(of_name).all(|matcher| matcher.matches(name)));
            names
        }
    };
    let mut found = Vec::new();
    for metric in metrics {
        let mut series = snapshot.series(&metric, Some(days(start_ms, end_ms))).await?;
        series.retain(|entry| {
            matchers.iter().all(|matcher| matcher.matches(entry.labels.get(matcher.name()).unwrap_or("")))
        });
        series.sort_unstable_by_key(|entry| entry.tsid);
        found.append(&mut series);
    }
    Ok(found)
}

fn days(start_ms: i64, end_ms: i64) -> RangeInclusive<i32> {
    let day = |ms: i64| ms.div_euclid(DAY_MS).clamp(-DAYS_MAX, DAYS_MAX) as i32;
    day(start_ms)..=day(end_ms)
}
