use super::*;

const NOON: i64 = 1_800_000_000_000;

/// Takes in samples of one series at these offsets from noon, received at noon.
fn arrive(past: &mut Past, last_ms: &mut i64, offsets: &[i64]) -> Arrivals {
    let mut arrivals = Arrivals::default();
    for offset in offsets {
        *last_ms = past.arrive(*last_ms, NOON + offset, NOON, &mut arrivals);
    }
    arrivals
}

#[test]
fn samples_in_order_do_not_repeat() {
    let (mut past, mut last) = (Past::default(), i64::MIN);
    past.note(NOON - 1_000, NOON);
    assert_eq!(arrive(&mut past, &mut last, &[-999, -5, 0, 10]), Arrivals::default());
}

#[test]
fn what_is_late_is_told_by_how_much() {
    let (mut past, mut last) = (Past { window_ms: 100, ..Past::default() }, i64::MIN);
    let arrivals = arrive(&mut past, &mut last, &[0, 0, -1, -100, -101, 1]);
    let expect = Arrivals { out_of_order: 2, too_old: 1, repeated: 1, may_repeat: true };
    assert_eq!((arrivals, last), (expect, NOON + 1));
}

#[test]
fn a_series_that_is_not_known_is_compared_with_all_that_are_forgotten() {
    let mut past = Past::default();
    past.forget(NOON - 50);
    past.forget(NOON - 80);
    assert!(arrive(&mut past, &mut i64::MIN.clone(), &[-50]).may_repeat);
    let arrivals = arrive(&mut past, &mut i64::MIN.clone(), &[-60, -55]);
    assert_eq!(
        (arrivals.may_repeat, arrivals.out_of_order),
        (true, 0),
        "late is only what is behind its series"
    );
    assert!(!arrive(&mut past, &mut i64::MIN.clone(), &[-49]).may_repeat);
    past.note(i64::MAX, NOON);
    assert!(arrive(&mut past, &mut i64::MIN.clone(), &[-49]).may_repeat, "nothing is known");
}

#[test]
fn a_sample_from_the_future_touches_its_own_day_only() {
    let (mut past, mut last) = (Past::default(), i64::MIN);
    assert_eq!(arrive(&mut past, &mut last, &[0]), Arrivals::default());
    assert!(arrive(&mut past, &mut last, &[5 * DAY_MS]).may_repeat);
    assert_eq!(last, NOON);
    assert_eq!(arrive(&mut past, &mut last, &[1, 2]), Arrivals::default());
    // Files of a day ahead, too.
    past.note(NOON + 7 * DAY_MS, NOON);
    assert_eq!(arrive(&mut past, &mut last, &[3]), Arrivals::default());
    for day in [5, 7] {
        let mut arrivals = Arrivals::default();
        past.arrive(NOON, NOON + day * DAY_MS + 1, NOON + day * DAY_MS, &mut arrivals);
        assert!(arrivals.may_repeat, "day {day}");
    }
    let mut arrivals = Arrivals::default();
    past.arrive(NOON, NOON + 6 * DAY_MS, NOON + 6 * DAY_MS, &mut arrivals);
    assert_eq!(arrivals, Arrivals::default());
}
