use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use proptest::prelude::*;

use super::*;
use crate::tables::map_builder;
use crate::testing::{DAY, Dice, metrics, random_rows};

#[test]
fn a_small_file() {
    let rows = [metrics(&[("a", 7, 1_500, 1.0), ("a", -9, 2_001, 2.0)]), metrics(&[("b", 1, 999, 3.0)])];
    let stats: Value = serde_json::from_str(&of_batches(Table::Metrics, &rows).unwrap()).unwrap();
    let expected = json!({
        "numRecords": 3,
        "minValues": {"metric": "a", "tsid": -9, "ts": "2026-11-22T00:00:00.000Z"},
        "maxValues": {"metric": "b", "tsid": 7, "ts": "2026-11-22T00:00:00.003Z"},
        "nullCount": {"metric": 0, "tsid": 0, "ts": 0},
    });
    assert_eq!(stats, expected);
    let (count, bounds) = parse(Table::Metrics, &stats.to_string(), true);
    let start = i64::from(DAY) * crate::paths::DAY_US;
    assert_eq!(count, Some(3));
    assert_eq!((bounds.min_ts_us, bounds.max_ts_us), (Some(start), Some(start + 3_000)));
    assert_eq!((bounds.min_key.as_deref(), bounds.max_key.as_deref()), (Some("a"), Some("b")));
    assert_eq!((bounds.min_id, bounds.max_id), (Some(-9), Some(7)));
    let (_, foreign) = parse(Table::Metrics, &stats.to_string(), false);
    assert_eq!(foreign.max_ts_us, Some(start + 3_999), "another writer may have cut the microseconds");
}

#[test]
fn statistics_not_understood_prune_nothing() {
    for text in ["", "null", "[]", "{\"numRecords\":-1}", "{\"minValues\":{\"ts\":5,\"metric\":{}}}"] {
        assert_eq!(parse(Table::Metrics, text, false), (None, FileStats::default()), "{text}");
    }
}

#[test]
fn every_table_has_bounds_for_its_columns() {
    for table in Table::ALL {
        let rows = random_rows(table, 50, &Dice::new(1));
        let stats: Value = serde_json::from_str(&of_batches(table, &[rows]).unwrap()).unwrap();
        for name in table.stats_columns() {
            assert!(!stats["minValues"][name].is_null() && !stats["maxValues"][name].is_null(), "{name}");
            assert_eq!(stats["nullCount"][name], 0);
        }
        let (count, bounds) = parse(table, &stats.to_string(), true);
        assert_eq!(count, Some(50));
        assert!(bounds.min_ts_us.is_some() && bounds.max_key.is_some());
    }
}

fn series(names: &[String], first: &[i64]) -> RecordBatch {
    let mut labels = map_builder();
    names.iter().for_each(|_| labels.append(true).unwrap());
    let times =
        || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(first.to_vec()).with_timezone("UTC")) };
    let names: ArrayRef = Arc::new(arrow::array::StringArray::from(names.to_vec()));
    let ids: ArrayRef = Arc::new(Int64Array::from(first.to_vec()));
    let columns = vec![ids, names, Arc::new(labels.finish()), times(), times()];
    RecordBatch::try_new(Table::Series.file_schema(), columns).unwrap()
}

proptest! {
    #[test]
    fn bounds_are_never_narrower_than_the_truth(
        rows in proptest::collection::vec(
            ("([a-zé\u{10fffe}-\u{10ffff}]{0,3}){0,120}", -30_000_000_000_000_000i64..250_000_000_000_000_000), 1..6),
    ) {
        let (names, times): (Vec<String>, Vec<i64>) = rows.into_iter().unzip();
        let stats = of_batches(Table::Series, &[series(&names, &times)]).unwrap();
        let (_, bounds) = parse(Table::Series, &stats, true);
        let (least, greatest) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        prop_assert!(bounds.min_ts_us.unwrap() <= *least && *least - bounds.min_ts_us.unwrap() < 1_000);
        prop_assert!(bounds.max_ts_us.unwrap() >= *greatest && bounds.max_ts_us.unwrap() - *greatest < 1_000);
        prop_assert!(bounds.min_key.as_ref().is_none_or(|bound| bound <= names.iter().min().unwrap()));
        prop_assert!(bounds.max_key.as_ref().is_none_or(|bound| bound >= names.iter().max().unwrap()));
        prop_assert_eq!((bounds.min_id, bounds.max_id), (Some(*least), Some(*greatest)));
    }
}
