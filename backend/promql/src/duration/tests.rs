use super::*;

#[test]
fn durations_parse_and_print() {
    let check = |text: &str, ms: i64| {
        assert_eq!(parse_duration(text), Some(ms), "{text}");
        assert_eq!(parse_duration(&format_duration(ms)), Some(ms), "{text}");
    };
    check("5m", 300_000);
    check("1h30m", 5_400_000);
    check("1d", 86_400_000);
    check("1y2w3d4h5m6s7ms", 33_019_506_007);
    check("10s53ms", 10_053);
}

#[test]
fn wrong_durations_are_refused() {
    for text in ["", "5", "m", "5x", "1m1h", "1m1m", "1.5h", "99999999999999999999y"] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

#[test]
fn printed_durations_are_short() {
    assert_eq!(format_duration(0), "0s");
    assert_eq!(format_duration(-90_000), "-1m30s");
    assert_eq!(format_duration(7 * 86_400_000), "1w");
    assert_eq!(format_duration(10 * 86_400_000), "10d");
}
