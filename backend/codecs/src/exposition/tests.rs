use proptest::prelude::*;

use super::*;

/// What a page says, one line an entry, in a form easy to compare.
fn render(format: Format, page: &str) -> Result<Vec<String>, ParseError> {
    let mut out = Vec::new();
    for entry in Parser::new(format, page.as_bytes())? {
        out.push(match entry? {
            Entry::Type { family, kind } => format!("type {family} {kind:?}"),
            Entry::Help { family, text } => format!("help {family} {text:?}"),
            Entry::Unit { family, unit } => format!("unit {family} {unit}"),
            Entry::Sample(sample) => render_sample(&sample)?,
        });
    }
    Ok(out)
}

fn render_sample(sample: &Sample<'_>) -> Result<String, ParseError> {
    let mut pairs = Vec::new();
    sample.series.read_labels(&mut pairs)?;
    let mut line = format!("{:?} = {:?}", model::Labels::from_pairs(pairs), sample.value);
    if let Some(timestamp_ms) = sample.timestamp_ms {
        line += &format!(" @{timestamp_ms}");
    }
    if let Some(exemplar) = sample.exemplar {
        let mut pairs = Vec::new();
        exemplar.labels.read_exemplar_labels(&mut pairs)?;
        line += &format!(" # {pairs:?} {:?} {:?}", exemplar.value, exemplar.timestamp_ms);
    }
    Ok(line)
}

#[track_caller]
fn check(format: Format, page: &str, expect: &[&str]) {
    assert_eq!(render(format, page).expect("page is well-formed"), expect);
}

#[track_caller]
fn check_error(format: Format, page: &str, line: usize, offset: usize, reason: Reason) {
    assert_eq!(render(format, page), Err(ParseError { line, offset, reason }));
}

#[test]
fn samples_of_the_text_format() {
    check(Format::Text, "a 1\n", &["a{} = 1.0"]);
    check(Format::Text, "a 1", &["a{} = 1.0"]);
    check(Format::Text, "a{} 1\n", &["a{} = 1.0"]);
    check(Format::Text, "\n  \t\na_b:c 1\n\n", &["a_b:c{} = 1.0"]);
    check(Format::Text, "a{x=\"1\",y=\"2\"} 3\n", &["a{x=\"1\", y=\"2\"} = 3.0"]);
    check(Format::Text, "a { x = \"1\" , } \t 3  4 \n", &["a{x=\"1\"} = 3.0 @4"]);
    check(Format::Text, "a{x=\"1\"}3\n", &["a{x=\"1\"} = 3.0"]);
    check(Format::Text, "a 1 -1234\r\nb 2\r\n", &["a{} = 1.0 @-1234", "b{} = 2.0"]);
    check(Format::Text, "a{x=\"\"} 1\n", &["a{} = 1.0"]);
    check(Format::Text, "a{x=\"}{,= #\"} 1\n", &["a{x=\"}{,= #\"} = 1.0"]);
}

#[test]
fn values() {
    for (text, expect) in [
        ("0", "0.0"),
        ("-0", "-0.0"),
        ("+Inf", "inf"),
        ("-Inf", "-inf"),
        ("inf", "inf"),
        ("NaN", "NaN"),
        ("1e-9", "1e-9"),
        ("1.", "1.0"),
        (".5", "0.5"),
        ("123456789012345", "123456789012345.0"),
        ("18446744073709551615", "1.8446744073709552e19"),
    ] {
        check(Format::Text, &format!("a {text}\n"), &[&format!("a{{}} = {expect}")]);
    }
    for text in ["0x1p3", "1_000", "one", "1,5", "--1", "{}"] {
        assert!(render(Format::Text, &format!("a {text}\n")).is_err(), "`{text}` is not a number");
    }
}

#[test]
fn no_page_writes_a_staleness_marker() {
    let page = b"a NaN\nb nan\nc -NaN\n";
    for entry in Parser::new(Format::Text, page).expect("utf-8") {
        let Ok(Entry::Sample(sample)) = entry else { panic!("sample expected") };
        assert_eq!(sample.value.to_bits(), NORMAL_NAN_BITS);
        assert!(!model::is_stale(sample.value));
    }
}

#[test]
fn escapes_and_quoted_names() {
    check(Format::Text, r#"a{x="q\"b\\n\nend\q"} 1"#, &["a{x=\"q\\\"b\\\\n\\nend\\\\q\"} = 1.0"]);
    check(Format::Text, r#"{"my.metric", a="b"} 1"#, &[r#"my.metric{a="b"} = 1.0"#]);
    check(Format::Text, r#"{a="b","my.metric"} 1"#, &[r#"my.metric{a="b"} = 1.0"#]);
    check(Format::Text, r#"{"my.metric","ключ"="значение"} 1"#, &[r#"my.metric{ключ="значение"} = 1.0"#]);
    check(Format::Text, "# TYPE \"my.metric\" gauge\n", &["type my.metric Gauge"]);
    check(Format::Text, r#"{"m\"x"} 1"#, &[r#"m"x{} = 1.0"#]);
}

#[test]
fn metadata_and_comments_of_the_text_format() {
    let page =
        "# HELP a one\\ntwo \\\\ \\\" three\n# TYPE a untyped\n#comment\n# any HELP\n# EOF\n# HELP b\na 1\n";
    let expect = ["help a \"one\\ntwo \\\\ \\\\\\\" three\"", "type a Unknown", "help b \"\"", "a{} = 1.0"];
    check(Format::Text, page, &expect);
    check_error(Format::Text, "# TYPE a thing\n", 1, 9, Reason::TypeUnknown);
    check_error(Format::Text, "# TYPE 1a gauge\n", 1, 7, Reason::NameExpected);
}

#[test]
fn errors_of_the_text_format_say_where() {
    use Reason::*;
    for (page, line, offset, reason) in [
        ("a 1\nb\n", 2, 5, ValueExpected),
        ("a 1\nb x\n", 2, 6, ValueInvalid),
        ("1a 1\n", 1, 0, NameExpected),
        ("<html>\n", 1, 0, NameExpected),
        ("a 1 x\n", 1, 4, TimestampInvalid),
        ("a 1 1.5\n", 1, 4, TimestampInvalid),
        ("a 1 2 3\n", 1, 6, TextAfterSample),
        ("a{x=\"1\" 1\n", 1, 1, BraceOpen),
        ("a{x=\"1} 1\nb 1\n", 1, 4, QuoteOpen),
        ("a{x=\"1\\", 1, 4, QuoteOpen),
        ("a{x 1} 1\n", 1, 4, EqualsExpected),
        ("a{x=1} 1\n", 1, 4, LabelValueExpected),
        ("a{1=\"x\"} 1\n", 1, 2, LabelNameExpected),
        ("a{a:b=\"x\"} 1\n", 1, 3, EqualsExpected),
        ("a{,} 1\n", 1, 2, LabelNameExpected),
        ("a{x=\"1\"y=\"2\"} 1\n", 1, 7, CommaExpected),
        ("a{x=\"1\",x=\"2\"} 1\n", 1, 8, LabelNameTwice),
        ("a{\"b\"} 1\n", 1, 2, NameTwice),
        ("a 1\n{x=\"1\"} 1\n", 2, 4, NameExpected),
        ("a 1 # {x=\"1\"} 1\n", 1, 4, TimestampInvalid),
    ] {
        check_error(Format::Text, page, line, offset, reason);
    }
    let error = Parser::new(Format::Text, b"a 1\nb\xff 1\n").expect_err("not utf-8");
    assert_eq!((error.line, error.offset, error.reason), (2, 5, NotUtf8));
    assert_eq!(error.to_string(), "line 2, byte 5: not valid utf-8");
}

#[test]
fn openmetrics_pages() {
    let page = "# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds say \\\"x\\\"\n\
        a_seconds_total{c=\"1\"} 2.0 1520879607.789 # {trace_id=\"abc\"} 0.5 1520879607.1\n\
        a_seconds_created{c=\"1\"} 1520430000\nb 1 # {} 2\n# EOF\n";
    check(
        Format::OpenMetrics,
        page,
        &[
            "type a_seconds Counter",
            "unit a_seconds seconds",
            "help a_seconds \"say \\\"x\\\"\"",
            "a_seconds_total{c=\"1\"} = 2.0 @1520879607789 # [(\"trace_id\", \"abc\")] 0.5 Some(1520879607100)",
            "a_seconds_created{c=\"1\"} = 1520430000.0",
            "b{} = 1.0 # [] 2.0 None",
        ],
    );
    check(Format::OpenMetrics, "# EOF", &[]);
}

#[test]
fn errors_of_openmetrics() {
    use Reason::*;
    for (page, line, offset, reason) in [
        ("", 1, 0, EofMissing),
        ("a 1\n", 1, 4, EofMissing),
        ("# EOF\na 1\n", 1, 6, TextAfterEof),
        ("a 1\n\n# EOF\n", 2, 4, LineEmpty),
        ("# hello\n# EOF\n", 1, 0, Comment),
        ("# UNIT a_bytes seconds\n# EOF\n", 1, 14, UnitMismatch),
        ("a 1 NaN\n# EOF\n", 1, 4, TimestampInvalid),
        ("a 1 1e300\n# EOF\n", 1, 4, TimestampInvalid),
        ("a 1 1 x\n# EOF\n", 1, 6, TextAfterSample),
        ("a 1 # x\n# EOF\n", 1, 6, ExemplarExpected),
        ("a 1 # {x=\"1\"}\n# EOF\n", 1, 13, ValueExpected),
        ("a 1\na 1 # {x=1} 1\n# EOF\n", 2, 13, LabelValueExpected),
    ] {
        check_error(Format::OpenMetrics, page, line, offset, reason);
    }
}

#[test]
fn an_expected_series_is_recognised_only_where_it_is_meant() {
    for (expected, line, hit) in [
        ("a{x=\"1\"}", "a{x=\"1\"} 5", true),
        ("a{x=\"1\"}", "a{x=\"1\"} 5 77", true),
        ("a", "a 5", true),
        ("a", "a {x=\"1\"} 5", false),
        ("a", "a  {x=\"1\"} 5", false),
        ("a", "ab 5", false),
        ("a{x=\"1\"}", "a{x=\"1\"}5", true),
    ] {
        let plain = Parser::new(Format::Text, line.as_bytes()).expect("utf-8").next();
        let mut parser = Parser::new(Format::Text, line.as_bytes()).expect("utf-8");
        let told = parser.next_expecting(expected);
        assert_eq!(plain, told, "{line}");
        let Some(Ok(Entry::Sample(sample))) = told else { panic!("sample expected in {line}") };
        assert_eq!(sample.series.as_str() == expected, hit, "{line}");
        assert!(parser.next_expecting(expected).is_none());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
    }

    #[test]
    fn arbitrary_tokens_never_panic(
        tokens in proptest::collection::vec(
            proptest::sample::select(vec![
                "a", "{", "}", "\"", "\\", "=", ",", " ", "\n", "#", " # ", "HELP ", "# TYPE ", "1", "-", "NaN", "é", "\r",
                "# EOF", "x=\"1\"", "\t", "counter",
            ]),
            0..60,
        )
    ) {
        exercise(tokens.concat().as_bytes());
    }
}

fn exercise(bytes: &[u8]) {
    for format in [Format::Text, Format::OpenMetrics] {
        let Ok(parser) = Parser::new(format, bytes) else { continue };
        let mut pairs = Vec::new();
        let mut last = "";
        let mut hinted = parser.clone();
        for entry in parser {
            // As text, since NaN differs from itself.
            let with_hint = format!("{:?}", hinted.next_expecting(last));
            assert_eq!(with_hint, format!("{:?}", Some(&entry)), "a hint changes nothing");
            if let Ok(Entry::Sample(sample)) = entry {
                last = sample.series.as_str();
                let _ = sample.series.name();
                if sample.series.read_labels(&mut pairs).is_err() {
                    last = "";
                }
                if let Some(exemplar) = sample.exemplar {
                    let _ = exemplar.labels.read_exemplar_labels(&mut pairs);
                }
            }
        }
    }
}
