use super::*;
use crate::testing::labels;

/// Shows `texts` to the cache as a scrape that succeeds; returns what is gone, and how many series were new.
fn scrape(cache: &mut SeriesCache, texts: &[&str]) -> (Vec<String>, usize) {
    cache.begin();
    let mut live = Vec::new();
    let mut added = 0;
    for text in texts {
        let (_, expected) = cache.expected();
        let series = match cache.find(text, expected) {
            Some(Meaning::Series(series)) => series,
            Some(Meaning::Dropped) => continue,
            None => {
                // The text up to a dash is the series, so that different texts may mean the same.
                let name = text.split('-').next().expect("split gives one part at least");
                let (series, new) = cache.insert(text, labels(&format!("__name__={name}")));
                added += usize::from(new);
                series
            }
        };
        if cache.mark(series) {
            live.push(series);
        }
    }
    let gone = cache.commit(&live);
    (names(gone), added)
}

fn names(labels: Vec<Labels>) -> Vec<String> {
    let mut names: Vec<String> = labels.iter().map(|labels| labels.name().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_disappears_is_told_once() {
    let mut cache = SeriesCache::default();
    assert_eq!(scrape(&mut cache, &["a", "b", "c"]), (vec![], 3));
    assert_eq!(scrape(&mut cache, &["c", "a"]), (vec!["b".to_owned()], 0));
    assert_eq!(scrape(&mut cache, &["c", "a"]), (vec![], 0));
    assert_eq!(scrape(&mut cache, &["a", "b"]), (vec!["c".to_owned()], 1));
    assert_eq!(scrape(&mut cache, &[]), (vec!["a".to_owned(), "b".to_owned()], 0));
    assert_eq!((cache.texts.len(), cache.series.len(), cache.by_labels.len()), (0, 0, 0));
    assert_eq!(cache.by_text.len(), 0);
}

#[test]
fn the_same_series_under_another_text_is_the_same_series() {
    let mut cache = SeriesCache::default();
    scrape(&mut cache, &["a-1"]);
    assert_eq!(scrape(&mut cache, &["a-2"]), (vec![], 0), "neither gone nor new");
    assert_eq!((cache.texts.len(), cache.series.len()), (1, 1));
    cache.begin();
    let Some(Meaning::Series(series)) = cache.find("a-2", None) else { panic!("known") };
    assert!(cache.mark(series));
    let (other, new) = cache.insert("a-3", labels("__name__=a"));
    assert_eq!((other, new, cache.mark(other)), (series, false, false), "a duplicate in one scrape");
}

#[test]
fn a_failed_scrape_ends_everything_once() {
    let mut cache = SeriesCache::default();
    scrape(&mut cache, &["a", "b"]);
    cache.begin();
    assert!(cache.find("a", None).is_some(), "seen before the failure");
    assert_eq!(names(cache.fail()), ["a", "b"]);
    cache.begin();
    assert!(cache.fail().is_empty());
    assert_eq!(scrape(&mut cache, &["a"]), (vec![], 0), "known, and live again");
    assert_eq!(names(cache.live()), ["a"]);
}

#[test]
fn scrapes_that_always_fail_do_not_fill_the_memory() {
    let mut cache = SeriesCache::default();
    for round in 0..100 {
        cache.begin();
        for i in 0..100 {
            cache.insert(&format!("s{round}_{i}"), labels(&format!("__name__=s{round}_{i}")));
        }
        cache.fail();
        assert!(cache.texts.len() <= UNCOMMITTED_TEXTS_MAX + 100);
    }
    assert_eq!(cache.texts.len(), cache.by_text.len());
    assert!(cache.texts.slots.len() <= UNCOMMITTED_TEXTS_MAX + 200, "slots are used again");
}

#[test]
fn adopted_series_end_unless_they_go_on() {
    let mut cache = SeriesCache::default();
    cache.adopt(vec![labels("__name__=a"), labels("__name__=b")]);
    assert_eq!(names(cache.live()), ["a", "b"]);
    assert_eq!(scrape(&mut cache, &["a"]), (vec!["b".to_owned()], 0));
    assert_eq!((cache.series.len(), cache.by_labels.len()), (1, 1));
}

#[test]
fn the_order_of_the_last_page_is_expected() {
    let mut cache = SeriesCache::default();
    scrape(&mut cache, &["a", "b", "c"]);
    cache.begin();
    for text in ["a", "b", "c"] {
        let (expected, id) = cache.expected();
        assert_eq!(expected, text);
        assert!(cache.find(text, id).is_some());
    }
    assert_eq!(cache.expected().0, "");
    // A wrong expectation is only slower.
    cache.begin();
    let (_, id) = cache.expected();
    assert!(cache.find("c", id).is_some());
}

#[test]
fn metadata_is_told_when_it_is_new_or_changes() {
    let mut cache = SeriesCache::default();
    let mut page = |facts: &[(&str, Fact<'_>)]| {
        cache.begin();
        for (family, fact) in facts {
            cache.describe(family, *fact);
        }
        let new = cache.new_metadata();
        cache.commit(&[]);
        new.into_iter().map(|metadata| (metadata.family, metadata.kind, metadata.help)).collect::<Vec<_>>()
    };
    let gauge = ("f", Fact::Kind(MetricKind::Gauge));
    let told = |help: &str| vec![("f".to_owned(), MetricKind::Gauge, help.to_owned())];
    assert_eq!(page(&[gauge, ("f", Fact::Help("h"))]), told("h"));
    assert_eq!(page(&[gauge, ("f", Fact::Help("h"))]), vec![]);
    assert_eq!(page(&[gauge, ("f", Fact::Help("i"))]), told("i"));
    assert_eq!(page(&[]), vec![]);
    assert_eq!(page(&[gauge]), told(""), "a family that was gone is new");
}
