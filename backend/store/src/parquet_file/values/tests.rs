use std::collections::HashSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::Encoding;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::encodings::{Dictionary, plain, split};
use super::plan::{PageEncoding, plan};
use super::*;
use crate::parquet_file::{WriteProfile, encode};
use crate::tables::Table;
use crate::testing::{Dice, metrics};

const KINDS: u64 = 7;
const PAGE_ROWS: usize = Effort::Thorough.page_rows();
const ONE: Starts<'static> = Starts { metrics: &[0], series: &[0] };

/// `count` numbers of one kind: what metrics hold, and what they never should.
fn numbers(kind: u64, count: usize, dice: &Dice) -> Vec<f64> {
    let mut total = dice.below(1 << 40) as f64;
    let odd = [
        f64::from_bits(model::STALE_NAN_BITS),
        f64::from_bits(0x7ff8_0000_dead_beef),
        f64::from_bits(0xfff0_0000_0000_0001),
        -0.0,
        0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE / 4.0,
        f64::MAX,
    ];
    let mut number = || match kind {
        0 => total,
        1 => {
            total += dice.below(5_000) as f64;
            total
        }
        2 => (dice.below(20_000_000) as f64).sqrt().round() / 1e9,
        3 => f64::from_bits(dice.next()),
        4 => odd[dice.below(odd.len() as u64) as usize],
        5 => dice.below(700) as f64 / 1e3,
        _ => f64::from_bits(0x7ff8_0000_0000_0000 | dice.below(3_000)),
    };
    (0..count).map(|_| number()).collect()
}

/// Samples of several metrics in the table's order, most of them longer than a page's least.
fn samples(dice: &Dice) -> RecordBatch {
    let names: Vec<String> = (0..12).map(|i| format!("metric_{i:02}")).collect();
    let mut rows = Vec::new();
    for name in &names {
        let (kind, most) = (dice.below(KINDS), if dice.one_in(3) { 30_000 } else { 500 });
        for tsid in 0..1 + dice.below(3) as i64 {
            let values = numbers(kind, 1 + dice.below(most) as usize, dice);
            rows.extend(values.into_iter().zip(0..).map(|(value, us)| (name.as_str(), tsid, us, value)));
        }
    }
    metrics(&rows)
}

fn bits(batches: &[RecordBatch]) -> Vec<u64> {
    let columns =
        batches.iter().map(|batch| batch.column_by_name("value").unwrap().as_primitive::<Float64Type>());
    columns.flat_map(|column| column.values().iter().map(|value| value.to_bits())).collect()
}

fn reader(file: &Bytes) -> ParquetRecordBatchReaderBuilder<Bytes> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).unwrap()
}

fn page_encodings(metadata: &ParquetMetaData) -> HashSet<Encoding> {
    metadata.row_groups().iter().flat_map(|group| group.column(3).encodings()).collect()
}

#[test]
fn any_numbers_come_back_bit_by_bit_from_pages_of_every_encoding() {
    let mut seen = HashSet::new();
    for seed in 0..crate::testing::seeds(12) {
        let dice = Dice::new(seed);
        let rows = samples(&dice);
        for profile in [WriteProfile::Flush, WriteProfile::Compacted] {
            let file = encode(Table::Metrics, std::slice::from_ref(&rows), profile).unwrap();
            seen.extend(page_encodings(reader(&file.bytes).metadata()));
            let read: Vec<_> = reader(&file.bytes).build().unwrap().map(Result::unwrap).collect();
            assert_eq!(bits(&read), bits(std::slice::from_ref(&rows)), "seed {seed} {profile:?}");
        }
    }
    let all = [Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT, Encoding::RLE_DICTIONARY];
    assert!(all.iter().all(|encoding| seen.contains(encoding)), "{seen:?}");
}

#[test]
fn chosen_rows_are_found_through_the_page_index() {
    for seed in 100..100 + crate::testing::seeds(12) {
        let dice = Dice::new(seed);
        let rows = samples(&dice);
        let file = encode(Table::Metrics, std::slice::from_ref(&rows), WriteProfile::Compacted).unwrap();
        let (mut selectors, mut wanted, mut at) = (Vec::new(), Vec::new(), 0);
        while at < rows.num_rows() {
            let skip = (dice.below(9_000) as usize).min(rows.num_rows() - at);
            let take = (1 + dice.below(40) as usize).min(rows.num_rows() - at - skip);
            selectors.extend([RowSelector::skip(skip), RowSelector::select(take)]);
            wanted.push(rows.slice(at + skip, take));
            at += skip + take;
        }
        let selected = reader(&file.bytes).with_row_selection(RowSelection::from(selectors));
        let read: Vec<_> = selected.build().unwrap().map(Result::unwrap).collect();
        assert_eq!(bits(&read), bits(&wanted), "seed {seed}");
        let (read, wanted) =
            (concat_batches(rows.schema_ref(), &read), concat_batches(rows.schema_ref(), &wanted));
        assert_eq!(read.unwrap().column(1), wanted.unwrap().column(1), "seed {seed}");
    }
}

#[test]
fn pages_cover_all_rows_and_stay_small() {
    for seed in 0..crate::testing::seeds(8) {
        let dice = Dice::new(seed);
        let (mut values, mut starts) = (Vec::new(), Vec::new());
        for _ in 0..1 + dice.below(9) {
            starts.push(values.len());
            let count = 1 + dice.below(if dice.one_in(4) { 300_000 } else { 6_000 }) as usize;
            values.extend(numbers(dice.below(KINDS), count, &dice));
        }
        let pages = plan(&values, Starts { metrics: &starts, series: &starts }, PAGE_ROWS).unwrap();
        let mut at = 0;
        for page in &pages {
            assert_eq!(page.rows.start, at, "seed {seed}");
            assert!(!page.rows.is_empty() && page.rows.len() <= PAGE_ROWS, "seed {seed} {page:?}");
            at = page.rows.end;
        }
        assert_eq!(at, values.len(), "seed {seed}");
    }
    assert_eq!(plan(&[], ONE, PAGE_ROWS).unwrap(), []);
}

#[test]
fn each_kind_of_metric_gets_the_encoding_that_suits_it() {
    let of = |kind: u64| {
        let values = numbers(kind, 60_000, &Dice::new(kind + 1));
        let pages = plan(&values, ONE, PAGE_ROWS).unwrap();
        assert_eq!(pages.len(), 60_000_usize.div_ceil(PAGE_ROWS), "kind {kind}");
        assert!(pages.iter().all(|page| page.encoding == pages[0].encoding), "kind {kind}: {pages:?}");
        pages[0].encoding
    };
    assert_eq!(of(0), PageEncoding::Plain, "a constant");
    assert_eq!(of(1), PageEncoding::Split, "a busy counter");
    assert_eq!(of(2), PageEncoding::Dictionary, "durations in nanoseconds");
    let noise = numbers(3, 60_000, &Dice::new(5));
    assert_ne!(
        plan(&noise, ONE, PAGE_ROWS).unwrap()[0].encoding,
        PageEncoding::Dictionary,
        "noise never comes again"
    );
}

#[test]
fn a_series_that_shares_no_numbers_stays_out_of_the_dictionary_of_its_metric() {
    let dice = Dice::new(11);
    let mut values = numbers(2, 60_000, &dice);
    values.extend((0..8_000).map(|_| (dice.next() >> 12) as f64 / 1e9));
    let starts = Starts { metrics: &[0], series: &[0, 20_000, 40_000, 60_000] };
    let pages: Vec<_> = plan(&values, starts, PAGE_ROWS)
        .unwrap()
        .into_iter()
        .map(|page| (page.encoding, page.rows))
        .collect();
    let (last, others) = pages.split_last().unwrap();
    assert!(others.iter().all(|page| page.0 == PageEncoding::Dictionary), "{pages:?}");
    assert!(last.0 != PageEncoding::Dictionary && last.1 == (60_000..68_000), "{pages:?}");
}

#[test]
fn streams_are_split_as_the_format_says() {
    let values = [1.5, -2.25, f64::from_bits(0x0102_0304_0506_0708)];
    let (plain, split) = (plain(&values), split(&values));
    for (i, row) in plain.chunks(8).enumerate() {
        for (k, byte) in row.iter().enumerate() {
            assert_eq!(split[k * values.len() + i], *byte);
        }
    }
}

#[test]
fn a_dictionary_is_in_order_and_its_places_are_whole_bytes() {
    for (count, width) in [(1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 3)] {
        let values: Vec<f64> = (0..count).rev().map(|i| f64::from(i) - 100.0).collect();
        let dictionary = Dictionary::of(values.iter());
        assert_eq!(dictionary.len(), values.len());
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        assert_eq!(dictionary.bytes(), plain(&sorted));
        let places = dictionary.indices(&values).unwrap();
        assert_eq!(usize::from(places[0]), width * 8, "{count} numbers");
        let groups = values.len().div_ceil(8);
        assert_eq!(places.len(), 1 + groups * 8 * width + values.len().div_ceil(504), "{count} numbers");
    }
    let dictionary = Dictionary::of([0.0, 1.0].iter());
    assert!(dictionary.indices(&[-0.0]).is_none(), "the zeros are two");
}
