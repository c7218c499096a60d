use super::*;
use model::Labels;

fn entry(labels: &[(&str, &str)]) -> SeriesEntry {
    let labels = Labels::from_pairs(labels.iter().copied());
    SeriesEntry { tsid: labels.hash64().cast_signed(), labels, first_ts_us: 0, last_ts_us: 0 }
}

fn names(entries: &[SeriesEntry]) -> Vec<String> {
    metric_fields(entries).iter().map(|field| field.name().clone()).collect()
}

#[test]
fn labels_stand_between_value_and_day() {
    let entries = [entry(&[("__name__", "x"), ("b", "1")]), entry(&[("__name__", "x"), ("a", "1")])];
    assert_eq!(names(&entries), ["ts", "value", "a", "b", "day", "tsid"]);
    assert_eq!(names(&[]), ["ts", "value", "day", "tsid"]);
}

#[test]
fn labels_never_hide_columns_or_each_other() {
    let entries =
        [entry(&[("ts", "1"), ("value", "2"), ("label_ts", "3"), ("label_label_ts", "4"), ("day", "5")])];
    let names = names(&entries);
    assert_eq!(
        names,
        [
            "ts",
            "value",
            "label_day",
            "label_label_ts",
            "label_ts",
            "label_label_label_ts",
            "label_value",
            "day",
            "tsid"
        ]
    );
}

#[test]
fn series_have_places() {
    let entries = [entry(&[("a", "1")]), entry(&[("a", "2")])];
    let series = SeriesColumns::new(&entries);
    assert_eq!(series.place(entries[1].tsid), Some(1));
    assert_eq!(series.place(12345), None);
    assert_eq!(series.column(0).as_string_view().value(1), "2");
}
