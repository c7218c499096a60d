use serde_json::{Value, json};

use super::*;
use crate::testing::{job, labels};

struct Scraper {
    job: crate::scrape::Job,
    target: Labels,
    cache: SeriesCache,
}

impl Scraper {
    fn new(config: Value) -> Scraper {
        Scraper { job: job(config), target: labels("job=j"), cache: SeriesCache::default() }
    }

    fn append(&mut self, page: &str, timestamp_ms: i64) -> Appended {
        self.append_as(page, timestamp_ms, Format::Text)
    }

    fn append_as(&mut self, page: &str, timestamp_ms: i64, format: Format) -> Appended {
        let rules = AppendRules {
            labels: LabelRules {
                target: &self.target,
                honor_labels: self.job.honor_labels,
                metric_relabel: &self.job.metric_relabel,
                limits: &self.job.limits,
            },
            honor_timestamps: self.job.honor_timestamps,
            track_timestamps_staleness: self.job.track_timestamps_staleness,
            sample_limit: self.job.limits.samples,
        };
        append(&mut self.cache, &rules, page.as_bytes(), format, timestamp_ms)
    }

    /// Points as `name value@timestamp`, `stale` for staleness markers, sorted.
    fn points(&mut self, page: &str, timestamp_ms: i64) -> Vec<String> {
        let appended = self.append(page, timestamp_ms);
        let mut points: Vec<String> = appended
            .points
            .iter()
            .map(|point| {
                assert_eq!(point.labels.get("job"), Some("j"));
                let value =
                    if model::is_stale(point.value) { "stale".into() } else { point.value.to_string() };
                format!("{} {value}@{}", point.labels.name(), point.timestamp_ms)
            })
            .collect();
        points.sort();
        points
    }
}

#[test]
fn values_and_staleness_from_scrape_to_scrape() {
    let mut scraper = Scraper::new(json!({}));
    assert_eq!(scraper.points("a 1\nb 2\n", 1000), ["a 1@1000", "b 2@1000"]);
    assert_eq!(scraper.points("b 3\n", 2000), ["a stale@2000", "b 3@2000"]);
    assert_eq!(scraper.points("b 3\n", 3000), ["b 3@3000"]);
    assert_eq!(scraper.points("b x\n", 4000), ["b stale@4000"], "a broken page is an empty scrape");
    assert_eq!(scraper.points("b x\n", 5000), [] as [&str; 0]);
    assert_eq!(scraper.points("a 1\nb NaN\n", 6000), ["a 1@6000", "b NaN@6000"]);
    let gone = append_nothing(&mut scraper.cache, 7000);
    assert!(gone.len() == 2 && gone.iter().all(|point| model::is_stale(point.value)));
}

#[test]
fn timestamps_of_the_page() {
    let page = "a 1 500\nb 2\n";
    let mut honest = Scraper::new(json!({}));
    assert_eq!(honest.points(page, 1000), ["a 1@500", "b 2@1000"]);
    assert_eq!(honest.points("", 2000), ["b stale@2000"], "no marker for what has its own time");
    let mut tracked = Scraper::new(json!({"track_timestamps_staleness": true}));
    tracked.append(page, 1000);
    assert_eq!(tracked.points("", 2000), ["a stale@2000", "b stale@2000"]);
    let mut ignored = Scraper::new(json!({"honor_timestamps": false}));
    assert_eq!(ignored.points(page, 1000), ["a 1@1000", "b 2@1000"]);
    assert_eq!(ignored.points("", 2000), ["a stale@2000", "b stale@2000"]);
}

#[test]
fn duplicates_and_the_future() {
    let mut scraper = Scraper::new(json!({}));
    let page = "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\na{x=\"1\",y=\"2\"} 3\nb 1 10\nb 2 20\nc 1 601001\nd 1 601000\n";
    assert_eq!(scraper.points(page, 1000), ["a 1@1000", "b 1@10", "b 2@20", "d 1@601000"]);
    let counts = scraper.append(page, 2000).counts;
    assert_eq!((counts.scraped, counts.kept, counts.series_added), (7, 7, 0));
    assert_eq!((counts.duplicates, counts.too_far_in_future), (2, 0));
}

#[test]
fn dropped_series_are_counted_as_scraped_only() {
    let rule = json!({"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"});
    let mut scraper = Scraper::new(json!({"metric_relabel_configs": [rule]}));
    for expect_added in [1, 0] {
        let counts = scraper.append("go_a 1\nb 1\ngo_c 1\n", 1000).counts;
        assert_eq!((counts.scraped, counts.kept, counts.series_added), (3, 1, expect_added));
    }
}

#[test]
fn a_limit_fails_the_scrape_and_counting_goes_on() {
    let mut scraper = Scraper::new(json!({"sample_limit": 2}));
    assert_eq!(scraper.points("a 1\nb 1\n", 1000), ["a 1@1000", "b 1@1000"]);
    let appended = scraper.append("a 1\nb 1\nc 1\nd 1\n", 2000);
    assert_eq!((appended.counts.scraped, appended.counts.kept), (4, 4));
    assert_eq!(appended.failure.expect("fails").to_string(), "sample_limit of 2 exceeded");
    assert!(appended.points.len() == 2 && appended.points.iter().all(|point| model::is_stale(point.value)));
    assert!(appended.metadata.is_empty());

    let mut scraper = Scraper::new(json!({"label_limit": 2}));
    let appended = scraper.append("a{x=\"1\"} 1\nb 1\nc 1\n", 1000);
    assert_eq!(appended.counts.scraped, 3);
    assert!(appended.failure.is_some() && appended.points.is_empty());
}

#[test]
fn a_page_without_names_fails() {
    let rule = json!({"regex": "__name__", "action": "labeldrop"});
    let mut scraper = Scraper::new(json!({"metric_relabel_configs": [rule]}));
    let failure = scraper.append("a 1\n", 1000).failure.expect("fails");
    assert_eq!(failure.to_string(), "a series has no metric name after relabelling");
    let mut scraper = Scraper::new(json!({}));
    let failure = scraper.append("a 1\nb{x=1} 1\n", 1000).failure.expect("fails");
    assert_eq!(failure.to_string(), "line 2, byte 8: expected a quoted label value");
}

#[test]
fn metadata_comes_with_the_first_page() {
    let mut scraper = Scraper::new(json!({}));
    let page = "# HELP a helps\n# TYPE a counter\na 1\n";
    let metadata = scraper.append(page, 1000).metadata;
    assert_eq!(metadata.len(), 1);
    assert_eq!((metadata[0].family.as_str(), metadata[0].help.as_str()), ("a", "helps"));
    assert!(scraper.append(page, 2000).metadata.is_empty());
}

mod against_a_model {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// A page as names with values, a broken page, or no page at all.
    #[derive(Clone, Debug)]
    enum Step {
        Page(BTreeMap<u8, u8>, bool),
        Broken(Vec<u8>),
        Nothing,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (proptest::collection::btree_map(0u8..8, any::<u8>(), 0..8), any::<bool>())
                .prop_map(|(page, reversed)| Step::Page(page, reversed)),
            1 => proptest::collection::vec(0u8..8, 0..4).prop_map(Step::Broken),
            1 => Just(Step::Nothing),
        ]
    }

    /// Odd series are written in another way when the page is reversed.
    fn line(name: u8, value: u8, reversed: bool) -> String {
        if reversed {
            format!("s{{n=\"{name}\",m=\"x\"}} {value}\n")
        } else {
            format!("s{{m=\"x\",n=\"{name}\"}} {value}\n")
        }
    }

    proptest! {
        #[test]
        fn every_series_is_written_once_and_ended_once(steps in proptest::collection::vec(step(), 1..12)) {
            let mut scraper = Scraper::new(json!({}));
            let mut live: BTreeSet<u8> = BTreeSet::new();
            for (step, timestamp_ms) in steps.into_iter().zip(1..) {
                let (points, page) = match step {
                    Step::Page(page, reversed) => {
                        let mut lines: Vec<String> = page.iter().map(|(name, value)| line(*name, *value, reversed)).collect();
                        if reversed {
                            lines.reverse();
                        }
                        let appended = scraper.append(&lines.concat(), timestamp_ms);
                        prop_assert!(appended.failure.is_none());
                        prop_assert_eq!(appended.counts.kept, page.len());
                        (appended.points, page)
                    }
                    Step::Broken(names) => {
                        let mut text: String = names.iter().map(|name| line(*name, 1, false)).collect();
                        text.push_str("broken");
                        (scraper.append(&text, timestamp_ms).points, BTreeMap::new())
                    }
                    Step::Nothing => (append_nothing(&mut scraper.cache, timestamp_ms), BTreeMap::new()),
                };
                let mut written = BTreeMap::new();
                for point in points {
                    let name: u8 = point.labels.get("n").expect("set").parse().expect("a number");
                    let value = (!model::is_stale(point.value)).then_some(point.value);
                    prop_assert_eq!(written.insert(name, value), None, "once");
                }
                let mut expect: BTreeMap<u8, Option<f64>> = live.iter().map(|name| (*name, None)).collect();
                expect.extend(page.iter().map(|(name, value)| (*name, Some(f64::from(*value)))));
                prop_assert_eq!(written, expect);
                live = page.into_keys().collect();
            }
        }
    }
}

#[test]
fn exemplars_come_with_their_time_or_that_of_the_scrape() {
    let page = "# TYPE a counter\n\
        a_total{x=\"1\"} 1 # {trace_id=\"one\"} 0.5 3.5\n\
        a_total{x=\"2\"} 1 # {trace_id=\"two\"} 0.25\n\
        a_total{x=\"3\"} 1 # {t=\"LONG\"} 1\n\
        a_total{x=\"4\"} 1\n# EOF\n"
        .replace("LONG", &"l".repeat(128));
    for (honored, first_ms) in [(true, 3_500), (false, 9_000)] {
        let mut scraper = Scraper::new(json!({"honor_timestamps": honored}));
        let appended = scraper.append_as(&page, 9_000, Format::OpenMetrics);
        assert_eq!(appended.points.len(), 4);
        let exemplars: Vec<String> = appended
            .exemplars
            .iter()
            .map(|exemplar| {
                assert_eq!(exemplar.labels.get("job"), Some("j"), "the labels of the series");
                let trace = exemplar.exemplar_labels.get("trace_id").unwrap();
                format!("{} {trace} {}@{}", exemplar.labels.name(), exemplar.value, exemplar.timestamp_ms)
            })
            .collect();
        assert_eq!(exemplars, [format!("a_total one 0.5@{first_ms}"), "a_total two 0.25@9000".to_owned()]);
        let broken = scraper.append_as(&page.replace("# EOF", "}"), 10_000, Format::OpenMetrics);
        assert!(broken.failure.is_some() && broken.exemplars.is_empty());
    }
}
