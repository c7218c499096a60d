use proptest::prelude::*;

use super::*;

fn probe(name: &str, interval_seconds: u32) -> ProbeSpec {
    ProbeSpec { interval_seconds, ..ProbeSpec::new(name, "http://a/") }
}

fn names(due: &[&ProbeSpec]) -> Vec<String> {
    due.iter().map(|probe| probe.name.clone()).collect()
}

/// Minutes of `0..minutes` at which a probe of this interval is due.
fn minutes_due(name: &str, interval_seconds: u32, minutes: i64) -> Vec<i64> {
    let probes = [probe(name, interval_seconds)];
    (0..minutes).filter(|minute| !due(&probes, minute * MINUTE_MS).is_empty()).collect()
}

#[test]
fn a_minute_or_less_is_every_minute() {
    for interval in [10, 15, 30, 60] {
        assert_eq!(minutes_due("a", interval, 10).len(), 10, "{interval}");
    }
}

#[test]
fn longer_intervals_keep_their_grid() {
    let minutes = minutes_due("a", 300, 60);
    assert_eq!(minutes.len(), 12);
    assert!(minutes.windows(2).all(|pair| pair[1] - pair[0] == 5), "{minutes:?}");
}

#[test]
fn an_interval_that_is_not_whole_minutes_holds_on_average() {
    let minutes = minutes_due("a", 90, 30);
    assert_eq!(minutes.len(), 20);
    assert!(minutes.windows(2).all(|pair| pair[1] - pair[0] <= 2));
}

#[test]
fn probes_of_one_interval_spread_over_its_minutes() {
    let probes: Vec<_> = (0..100).map(|i| probe(&format!("probe-{i}"), 600)).collect();
    let loads: Vec<usize> = (0..10).map(|minute| due(&probes, minute * MINUTE_MS).len()).collect();
    assert_eq!(loads.iter().sum::<usize>(), 100);
    assert!(loads.iter().all(|load| (3..=20).contains(load)), "{loads:?}");
}

#[test]
fn only_the_minute_counts() {
    let probes = [probe("a", 300), probe("b", 60)];
    let at = |ms| names(&due(&probes, ms));
    for minute in 0..5 {
        assert_eq!(at(minute * MINUTE_MS), at(minute * MINUTE_MS + 59_999));
    }
}

#[test]
fn the_order_turns_so_that_no_probe_is_always_last() {
    let probes = [probe("a", 60), probe("b", 60), probe("c", 60)];
    let first: Vec<String> =
        (0..3).map(|minute| names(&due(&probes, minute * MINUTE_MS))[0].clone()).collect();
    assert_eq!(first, ["a", "b", "c"]);
    assert_eq!(names(&due(&probes, MINUTE_MS)), ["b", "c", "a"]);
    assert!(due(&[], 0).is_empty());
}

#[test]
fn a_budget_keeps_a_request_for_every_admitted_probe() {
    let mut budget = Budget::new(50, 45);
    assert_eq!(budget.admit(4), 4);
    budget.start();
    assert!(budget.redirect(), "one request is nobody's");
    assert!(!budget.redirect(), "the rest belongs to the three that wait");
    for _ in 0..3 {
        budget.start();
    }
    assert_eq!(budget.left(), 0);
    assert!(!budget.redirect());
}

#[test]
fn a_budget_admits_no_more_than_it_has() {
    let mut budget = Budget::new(50, 47);
    assert_eq!(budget.admit(10), 3);
    assert_eq!(budget.admit(1), 0);
    assert_eq!(Budget::new(5, 9).admit(1), 0);
}

proptest! {
    /// Over a long time a probe runs as often as its interval says, and never later than a minute after its turn.
    #[test]
    fn intervals_hold(name in "[a-z]{1,8}", interval in 60_u32..7200) {
        let minutes = minutes_due(&name, interval, 2000);
        let expected = 2000 * 60 / i64::from(interval);
        let runs = i64::try_from(minutes.len()).unwrap();
        prop_assert!((runs - expected).abs() <= 1, "{} runs, expected {}", runs, expected);
        let longest = i64::from(interval.div_ceil(60));
        for pair in minutes.windows(2) {
            prop_assert!(pair[1] - pair[0] <= longest && pair[1] - pair[0] >= longest - 1);
        }
    }

    /// Whatever the probes do, a run never makes more requests than its limit.
    #[test]
    fn the_limit_is_never_passed(
        limit in 0_u32..80, reserved in 0_u32..20, probes in 0_usize..100, redirects in prop::collection::vec(0_u8..4, 100),
    ) {
        let mut budget = Budget::new(limit, reserved);
        let admitted = budget.admit(probes);
        let mut made = 0;
        for wanted in redirects.iter().take(admitted) {
            budget.start();
            made += 1;
            for _ in 0..*wanted {
                made += u32::from(budget.redirect());
            }
        }
        prop_assert!(made <= limit.saturating_sub(reserved));
        prop_assert_eq!(made + budget.left(), limit.saturating_sub(reserved));
    }
}
