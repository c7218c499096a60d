use super::*;
use crate::head::registry::Registry;

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name)])
}

/// Rows of series `a` and `b`, every other one, at 0, 1, 2 … minutes.
fn filled(count: i64) -> (SparseRows<StartRow>, [i64; 2]) {
    let mut registry = Registry::default();
    let indexes = ["a", "b"].map(|name| registry.resolve(&labels(name)));
    let rows = SparseRows::default();
    for i in 0..count {
        let row = StartRow { timestamp_ms: i * 60_000, start_ms: 1 };
        let index = indexes[usize::from(i % 2 == 1)];
        rows.append([row].into_iter(), &[index], &mut registry, 3);
        assert_eq!(registry.entry(index).sparse_generation, 3);
    }
    (rows, indexes.map(|index| registry.entry(index).id))
}

fn times(found: &[SeriesRows<StartRow>]) -> Vec<(i64, Vec<i64>)> {
    let minutes = |one: &SeriesRows<StartRow>| one.rows.iter().map(|row| row.timestamp_ms / 60_000).collect();
    let mut found: Vec<(i64, Vec<i64>)> = found.iter().map(|one| (one.tsid, minutes(one))).collect();
    found.sort();
    found
}

#[test]
fn rows_are_found_by_id_and_time() {
    let (rows, [a, b]) = filled(10);
    let (start_ms, end_ms) = (3 * 60_000, 6 * 60_000);
    assert_eq!(times(&rows.by_ids(&[a, 99], start_ms, end_ms)), [(a, vec![4, 6])]);
    let mut both = [(a, vec![4, 6]), (b, vec![3, 5])];
    both.sort();
    assert_eq!(times(&rows.series_rows(start_ms, end_ms, |_, _| true)), both);
    assert_eq!(
        times(&rows.series_rows(start_ms, end_ms, |_, labels| labels.name() == "b")),
        [(b, vec![3, 5])]
    );
    assert!(rows.by_ids(&[a, b], 601_000, i64::MAX).is_empty());
    assert!(rows.by_ids(&[a], 60_000, 60_000).is_empty(), "only `b` has a row then");
}

#[test]
fn counts_are_told() {
    let (rows, _) = filled(2_000);
    assert_eq!((rows.rows(), rows.series_count()), (2_000, 2));
    assert_eq!((rows.min_ms(), rows.max_ms()), (Some(0), Some(1_999 * 60_000)));
    assert_eq!(rows.days(), BTreeMap::from([(0, 1_440), (1, 560)]));
    let held = 2_000 * size_of::<StartRow>() as u64;
    assert!((held..3 * held).contains(&rows.heap_bytes()), "{} bytes", rows.heap_bytes());
    let empty = SparseRows::<StartRow>::default();
    assert_eq!((empty.rows(), empty.min_ms(), empty.max_ms(), empty.heap_bytes()), (0, None, None, 0));
}

#[test]
fn heads_become_one_without_repetitions() {
    let (first, [a, b]) = filled(10);
    let (second, _) = filled(14);
    let merged = SparseRows::merged([&first, &second].into_iter());
    let mut expect = [(a, vec![0, 2, 4, 6, 8, 10, 12]), (b, vec![1, 3, 5, 7, 9, 11, 13])];
    expect.sort();
    assert_eq!(times(&merged.series_rows(i64::MIN, i64::MAX, |_, _| true)), expect);
    assert_eq!((merged.rows(), merged.min_ms(), merged.max_ms()), (14, Some(0), Some(13 * 60_000)));
}

#[test]
fn an_exemplar_shown_again_and_again_is_kept_once() {
    let mut registry = Registry::default();
    let index = registry.resolve(&labels("a"));
    let rows = SparseRows::default();
    let exemplar =
        |value: f64| ExemplarRow { timestamp_ms: 5, value, labels: Labels::from_pairs([("trace_id", "x")]) };
    for value in [1.0, 1.0, 1.0, 2.0, 2.0, 1.0] {
        rows.append([exemplar(value)].into_iter(), &[index], &mut registry, 1);
    }
    assert_eq!(rows.rows(), 3);
}
