use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<StatusPattern, StatusPatternError> {
    text.parse()
}

#[test]
fn the_three_forms_accept_what_they_say() {
    let class = parse("2xx").unwrap();
    assert!(class.matches(200) && class.matches(299) && !class.matches(199) && !class.matches(300));
    let range = parse(" 200 - 399 ").unwrap();
    assert!(range.matches(200) && range.matches(399) && !range.matches(400));
    let one = parse("204").unwrap();
    assert!(one.matches(204) && !one.matches(203));
    assert_eq!(parse("5XX"), parse("5xx"));
}

#[test]
fn errors_say_what_is_wrong() {
    let cases = [
        ("", "is not like"),
        ("ok", "is not like"),
        ("20", "is not like"),
        ("2000", "is not like"),
        ("+20", "is not like"),
        ("xx", "is not like"),
        ("22xx", "is not like"),
        ("200-", "is not like"),
        ("200-299-399", "is not like"),
        ("0xx", "outside 100-599"),
        ("6xx", "outside 100-599"),
        ("099", "outside 100-599"),
        ("200-600", "outside 100-599"),
        ("399-200", "ends before it begins"),
    ];
    for (text, expected) in cases {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(expected) && error.contains(&format!("`{text}`")), "{text}: {error}");
    }
}

#[test]
fn a_bare_number_is_read_as_well() {
    let patterns: Vec<StatusPattern> = serde_json::from_str(r#"[200, "3xx"]"#).unwrap();
    assert_eq!(patterns, [parse("200").unwrap(), parse("3xx").unwrap()]);
    let error = serde_json::from_str::<StatusPattern>("20").unwrap_err().to_string();
    assert!(error.contains("status pattern `20`"), "{error}");
    assert!(serde_json::from_str::<StatusPattern>("true").is_err());
}

proptest! {
    #[test]
    fn display_and_parse_are_inverse(low in 100_u16..=599, span in 0_u16..=499) {
        let pattern = StatusPattern { low, high: (low + span).min(599) };
        prop_assert_eq!(parse(&pattern.to_string()), Ok(pattern));
        let json = serde_json::to_string(&pattern).unwrap();
        prop_assert_eq!(serde_json::from_str::<StatusPattern>(&json).unwrap(), pattern);
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in ".{0,40}") {
        let _ = parse(&text);
    }
}
