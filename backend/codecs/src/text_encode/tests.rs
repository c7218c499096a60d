use model::Labels;
use proptest::prelude::*;

use super::*;
use crate::exposition::{Entry, Parser};

#[test]
fn a_page_reads_as_expected() {
    let mut writer = Writer::new(Format::Text);
    writer.family("a_total", MetricKind::Counter, "how \"many\"\n\\");
    writer.sample("a_total", [("x", "q\"\\\n")], 1.5);
    writer.sample_at("a_total", [] as [(&str, &str); 0], f64::INFINITY, Some(1234));
    writer.family("my.gauge", MetricKind::GaugeHistogram, "");
    writer.sample("my.gauge", [("a.b", "c")], 1e300);
    let expect = "# HELP a_total how \"many\"\\n\\\\\n# TYPE a_total counter\na_total{x=\"q\\\"\\\\\\n\"} 1.5\na_total +Inf 1234\n\
        # HELP \"my.gauge\" \n# TYPE \"my.gauge\" untyped\n{\"my.gauge\",\"a.b\"=\"c\"} 1e300\n";
    assert_eq!(writer.finish(), expect);
}

#[test]
fn openmetrics_counters_and_timestamps() {
    let mut writer = Writer::new(Format::OpenMetrics);
    writer.family("a_total", MetricKind::Counter, "x");
    writer.sample_at("a_total", [("l", "v")], 0.1, Some(-1));
    let expect = "# HELP a x\n# TYPE a counter\na_total{l=\"v\"} 0.1 -0.001\n# EOF\n";
    assert_eq!(writer.finish(), expect);
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-z_:.\"\\\\\n é{}=,#0-9]{1,8}").expect("pattern compiles")
}

type Row = (String, Vec<(String, String)>, f64, Option<i64>);

fn row() -> impl Strategy<Value = Row> {
    let labels = proptest::collection::btree_map(text(), text(), 0..4)
        .prop_map(|map| map.into_iter().collect::<Vec<(String, String)>>());
    // OpenMetrics writes seconds as a double; keep to years a double holds to the millisecond.
    let timestamp = proptest::option::of(-4_000_000_000_000i64..4_000_000_000_000);
    (text(), labels, any::<f64>(), timestamp)
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(rows in proptest::collection::vec(row(), 0..6), help in text()) {
        for format in [Format::Text, Format::OpenMetrics] {
            let mut writer = Writer::new(format);
            writer.family("my.family", MetricKind::Gauge, &help);
            for (name, labels, value, timestamp_ms) in &rows {
                writer.sample_at(name, labels.iter().map(|(n, v)| (n, v)), *value, *timestamp_ms);
            }
            let page = writer.finish();
            let mut entries = Parser::new(format, page.as_bytes()).expect("utf-8");
            let family = std::borrow::Cow::Borrowed("my.family");
            prop_assert_eq!(entries.next(), Some(Ok(Entry::Help { family: family.clone(), text: (&*help).into() })));
            prop_assert_eq!(entries.next(), Some(Ok(Entry::Type { family, kind: MetricKind::Gauge })));
            for (name, labels, value, timestamp_ms) in &rows {
                let Some(Ok(Entry::Sample(sample))) = entries.next() else { panic!("sample expected in {page}") };
                let mut pairs = Vec::new();
                sample.series.read_labels(&mut pairs).expect("labels are well-formed");
                let mut expect = Labels::from_pairs(labels.iter().map(|(n, v)| (n, v))).to_builder();
                prop_assert_eq!(Labels::from_pairs(pairs), expect.set(METRIC_NAME, name).build());
                prop_assert!(sample.value == *value || (sample.value.is_nan() && value.is_nan()));
                prop_assert_eq!(sample.timestamp_ms, *timestamp_ms);
            }
            prop_assert_eq!(entries.next(), None);
        }
    }
}
