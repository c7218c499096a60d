//! How far around a step its value looks. Where that is known, the value of a step follows from the samples
//! in its reach and from nothing else, so that it can be kept for as long as these do not change.

use promql::{Engine, QueryTime};

/// Distances from a step to the samples it looks at, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// To the earliest, backwards; not negative.
    pub(super) before_ms: i64,
    /// To the latest, forwards; not negative.
    pub(super) after_ms: i64,
}

/// The reach of every step of a range query; `None` where the value of a step depends on more than its time:
/// on the query's own start and end, or on a fixed time.
pub(super) fn reach(
    language: &Engine,
    query: &str,
    start_ms: i64,
    last_ms: i64,
    step_ms: i64,
) -> Option<Reach> {
    if names_query_times(query) {
        return None;
    }
    let planned = |shift: i64| {
        let (start_ms, end_ms) = (start_ms.checked_add(shift)?, last_ms.checked_add(shift)?);
        language.prepare(query, QueryTime::Range { start_ms, end_ms, step_ms }).ok()
    };
    let (here, later) = (planned(0)?, planned(step_ms)?);
    let mut reach = Reach::default();
    for (selection, shifted) in here.selections().iter().zip(later.selections()) {
        let moves = |from: i64, to: i64| from.checked_add(step_ms) == Some(to);
        // The steps of a subquery stand on multiples of its own step, so its reach moves by these.
        if !(moves(selection.start_ms, shifted.start_ms) && moves(selection.end_ms, shifted.end_ms)) {
            return None;
        }
        reach.before_ms = reach.before_ms.max(start_ms.checked_sub(selection.start_ms)?);
        reach.after_ms = reach.after_ms.max(selection.end_ms.checked_sub(last_ms)?);
    }
    Some(reach)
}

/// Whether the text may use `@`, `start()`, `end()` or `range()`, or `or`, which can make one series of steps
/// that have a metric name and steps that have lost it: whether it keeps the name depends on the first of them.
/// Says yes too often: these may stand in strings.
fn names_query_times(query: &str) -> bool {
    let called = |name: &str| {
        query.match_indices(name).any(|(at, _)| {
            let before = query[..at].chars().next_back();
            let apart = before.is_none_or(|c| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
            apart && !query[at + name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        })
    };
    query.contains('@') || ["start", "end", "range", "or"].into_iter().any(called)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Option<Reach> {
        reach(&Engine::default(), query, 6_000_000, 7_200_000, 60_000)
    }

    #[test]
    fn steps_reach_as_far_as_their_selectors() {
        let lookback = 299_999;
        assert_eq!(of("1 + 1"), Some(Reach::default()));
        for (query, before_ms, after_ms) in [
            ("up", lookback, 0),
            ("up offset 10m", lookback + 600_000, 0),
            ("up offset -10m", lookback - 600_000, 600_000),
            ("rate(range_requests_total[30m]) / ends", 1_799_999, 0),
            ("max_over_time(up[10m:1m])", 600_000 + lookback - 60_000, 0),
        ] {
            let reach = of(query).unwrap_or_else(|| panic!("{query}"));
            assert_eq!(reach.after_ms, after_ms.max(0), "{query}");
            assert!((reach.before_ms - before_ms.max(0)).abs() <= 60_000, "{query}: {reach:?}");
        }
        for query in ["up @ 5", "up @ end()", "up + end()", "range()", "sum(up @ start ())", "up +"] {
            assert_eq!(of(query), None, "{query}");
        }
    }
}
