use super::*;

#[test]
fn floats_print_as_go_does() {
    let check = |value: f64, expect: &str| assert_eq!(float_g(value), expect, "{value:?}");
    check(0.0, "0");
    check(-0.0, "-0");
    check(100_000.0, "100000");
    check(1e6, "1e+06");
    check(1_234_567.0, "1.234567e+06");
    check(0.0001, "0.0001");
    check(0.000_012, "1.2e-05");
    check(1.5, "1.5");
    check(f64::INFINITY, "+Inf");
    check(f64::NEG_INFINITY, "-Inf");
    check(f64::NAN, "NaN");
}

#[test]
fn decimal_floats_have_no_exponent() {
    assert_eq!(float_decimal(1e21), "1000000000000000000000");
    assert_eq!(float_decimal(1e-7), "0.0000001");
}

#[test]
fn open_metrics_floats_keep_a_fraction() {
    assert_eq!(float_open_metrics(1.0), "1.0");
    assert_eq!(float_open_metrics(0.5), "0.5");
    assert_eq!(float_open_metrics(f64::INFINITY), "+Inf");
}

#[test]
fn positions_count_lines_and_columns_from_one() {
    assert_eq!(line_column("a + b", 4), (1, 5));
    assert_eq!(line_column("a +\n b", 5), (2, 2));
    assert_eq!(line_column("a", 99), (1, 2));
}

#[test]
fn control_characters_are_quoted_so_that_they_read_back() {
    let text = "\u{7}\u{8}\u{b}\u{c}\n\t\r\u{1}\u{7f}\u{80}\u{96}\u{9f}\"\\é";
    assert_eq!(quoted(text), r#""\a\b\v\f\n\t\r\x01\x7f\u0080\u0096\u009f\"\\é""#);
    let query = format!("{{a={}}}", quoted(text));
    assert_eq!(crate::parse(&query).map(|expr| expr.to_string()), Ok(query));
}
