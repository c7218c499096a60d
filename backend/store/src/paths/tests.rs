use model::ManualClock;
use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn days_and_their_names_are_the_same_thing(day in -700_000i32..2_900_000) {
        prop_assert_eq!(parse_day(&day_name(day)), Some(day));
    }

    #[test]
    fn the_day_after_has_the_next_name_in_order(day in -700_000i32..2_900_000) {
        prop_assert!(day_name(day) < day_name(day + 1));
    }

    #[test]
    fn times_come_back_from_their_names(ms in -60_000_000_000_000i64..250_000_000_000_000) {
        prop_assert_eq!(parse_iso_us(&iso_ms(ms)), Some(ms * 1_000));
    }

    #[test]
    fn whatever_is_written_in_a_log_never_leads_out_of_the_table(path in ".{0,40}") {
        let root = Path::from("team/atl/metrics");
        if let Ok(key) = data_key(&root, &path) {
            prop_assert!(key.prefix_matches(&root));
            prop_assert!(!key.as_ref().contains(".."), "{}", key);
        }
    }
}

#[test]
fn well_known_days() {
    for (day, name) in [(0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (20_779, "2026-11-22")]
    {
        assert_eq!((day_name(day).as_str(), parse_day(name)), (name, Some(day)));
    }
    for bad in ["2026-02-29", "2026-13-01", "2026-00-10", "26-01-01", "2026-1-01", "2026-11-2x", "", "x"] {
        assert_eq!(parse_day(bad), None, "{bad}");
    }
    assert_eq!((day_of_us(-1), day_of_us(0), day_of_us(DAY_US)), (-1, 0, 1));
}

#[test]
fn times_as_other_writers_put_them() {
    let noon = Some(20_779 * DAY_US + 43_200_000_000);
    for text in ["2026-11-22T12:00:00Z", "2026-11-22 12:00:00", "2026-11-22T12:00:00.000+00:00"] {
        assert_eq!(parse_iso_us(text), noon, "{text}");
    }
    assert_eq!(parse_iso_us("2026-11-22T12:00:00.1234567Z"), noon.map(|us| us + 123_456));
    for bad in ["2026-11-22", "2026-11-22T12:00Z", "2026-11-22T99:00:00Z", "noon", "2026-11-22T12:00:00.xZ"] {
        assert_eq!(parse_iso_us(bad), None, "{bad}");
    }
}

#[test]
fn data_paths_are_unique_and_in_order_of_time() {
    let clock = ManualClock::at_ms(1_795_000_000_000);
    let names = FileNames::default();
    let first = names.next_path(&clock, 20_779);
    let second = names.next_path(&clock, 20_779);
    clock.advance_ms(5);
    let third = names.next_path(&clock, 20_779);
    assert!(first.starts_with("day=2026-11-22/") && first.ends_with(".parquet"), "{first}");
    assert_ne!(first, second);
    assert!(first < third && second < third);
}

#[test]
fn paths_of_other_writers_are_decoded_and_hostile_ones_refused() {
    let root = Path::from("t/metrics");
    let key = data_key(&root, "day=2026-11-22/part%20one%25.parquet").unwrap();
    assert_eq!(key.as_ref(), "t/metrics/day=2026-11-22/part one%.parquet");
    for bad in ["../secret", "s3://other/x.parquet", "/abs/x.parquet", "a/%2e%2e/b", "%zz", "a%2"] {
        assert!(data_key(&root, bad).is_err(), "{bad}");
    }
}
