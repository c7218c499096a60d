use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Float64Type;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Encoding;
use parquet::file::metadata::ParquetMetaData;

use super::*;
use crate::catalog::DataFile;
use crate::error::Error;
use crate::testing::{DAY, Dice, metrics, random_rows, sorted};

fn read_all(bytes: Bytes) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let schema = Arc::clone(builder.schema());
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn footer(bytes: &Bytes) -> Arc<ParquetMetaData> {
    Arc::clone(ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap().metadata())
}

/// Every float of every column as bits: `==` calls two NaNs different and two zeros the same.
fn float_bits(batch: &RecordBatch) -> Vec<Option<u64>> {
    let columns = batch.columns().iter().filter_map(|column| column.as_primitive_opt::<Float64Type>());
    columns
        .flat_map(|column| column.iter().map(|value| value.map(f64::to_bits)).collect::<Vec<_>>())
        .collect()
}

fn assert_same(read: &RecordBatch, written: &RecordBatch, what: &str) {
    assert_eq!(float_bits(read), float_bits(written), "{what}");
    assert_eq!(read.schema().fields(), written.schema().fields(), "{what}");
    for (i, (read, written)) in read.columns().iter().zip(written.columns()).enumerate() {
        if read.as_primitive_opt::<Float64Type>().is_none() {
            assert_eq!(read, written, "{what} column {i}");
        }
    }
}

#[test]
fn rows_of_every_table_come_back_bit_by_bit() {
    for seed in 0..crate::testing::seeds(6) {
        let dice = Dice::new(seed);
        for table in Table::ALL {
            for profile in [WriteProfile::Flush, WriteProfile::Compacted] {
                let rows = random_rows(table, 1 + dice.below(400) as usize, &dice);
                let cut = dice.below(rows.num_rows() as u64 + 1) as usize;
                let pieces = [rows.slice(0, cut), rows.slice(cut, rows.num_rows() - cut)];
                let file = encode(table, &pieces, profile).unwrap();
                assert_eq!(file.rows, rows.num_rows() as u64);
                assert_same(&read_all(file.bytes), &rows, &format!("{table} {profile:?} seed {seed}"));
            }
        }
    }
}

#[test]
fn the_stale_marker_and_other_nans_stay_what_they_are() {
    let bits = [
        model::STALE_NAN_BITS,
        0x7ff8_0000_0000_0000,
        0x7ff8_0000_dead_beef,
        0xfff0_0000_0000_0001,
        (-0.0f64).to_bits(),
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        1,
    ];
    let rows: Vec<_> = bits.iter().zip(0..).map(|(bits, i)| ("m", 1, i, f64::from_bits(*bits))).collect();
    let file = encode(Table::Metrics, &[metrics(&rows)], WriteProfile::Flush).unwrap();
    let read = read_all(file.bytes);
    let values = read.column_by_name("value").unwrap().as_primitive::<Float64Type>();
    assert_eq!(values.iter().map(|value| value.unwrap().to_bits()).collect::<Vec<_>>(), bits);
}

#[test]
fn rows_out_of_order_or_with_other_columns_are_refused() {
    let check = |batches: &[RecordBatch]| encode(Table::Metrics, batches, WriteProfile::Flush);
    let one = metrics(&[("b", 1, 5, 0.0)]);
    assert!(check(&[metrics(&[("a", 1, 5, 0.0), ("a", 1, 4, 0.0)])]).is_err(), "times go back");
    assert!(check(&[metrics(&[("a", 2, 5, 0.0), ("a", 1, 6, 0.0)])]).is_err(), "series go back");
    assert!(check(&[one.clone(), metrics(&[]), metrics(&[("a", 1, 5, 0.0)])]).is_err(), "metrics go back");
    assert!(check(&[one.clone(), metrics(&[("b", 1, 5, 0.0), ("c", -1, 0, 0.0)])]).is_ok());
    let error = check(&[random_rows(Table::Logs, 3, &Dice::new(1))]).unwrap_err();
    assert!(matches!(error, Error::Schema { .. }), "{error}");
    let narrow = one.project(&[0, 1, 2, 3]).unwrap();
    assert!(check(&[narrow]).is_err());
}

fn encodings(metadata: &ParquetMetaData, name: &str) -> Vec<Encoding> {
    let columns = metadata.row_group(0).columns();
    let column = columns.iter().find(|column| column.column_path().string() == name).unwrap();
    column.encodings().collect()
}

#[test]
fn columns_have_the_encodings_they_were_measured_with() {
    let rows: Vec<_> = (0..3_000).map(|i| ("m", i / 100, i % 100, i as f64 * 0.5)).collect();
    let file = encode(Table::Metrics, &[metrics(&rows)], WriteProfile::Compacted).unwrap();
    let metadata = footer(&file.bytes);
    let of_times = encodings(&metadata, "ts");
    assert!(
        of_times.iter().any(|encoding| matches!(encoding, Encoding::DELTA_BINARY_PACKED | Encoding::PLAIN))
    );
    for name in ["metric", "tsid", "job", "instance"] {
        assert!(encodings(&metadata, name).contains(&Encoding::RLE_DICTIONARY), "{name}");
    }
    for name in ["ts", "value"] {
        assert!(!encodings(&metadata, name).contains(&Encoding::RLE_DICTIONARY), "{name}");
    }
    let group = metadata.row_group(0);
    let bounded: Vec<bool> = group.columns().iter().map(|column| column.statistics().is_some()).collect();
    assert_eq!(bounded, [true, true, true, false, true, true], "no bounds for `value`");
    let sorting: Vec<i32> = group.sorting_columns().unwrap().iter().map(|column| column.column_idx).collect();
    assert_eq!(sorting, [0, 1, 2]);
    assert!(group.columns().iter().all(|column| column.offset_index_offset().is_some()));
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    assert!(pairs.iter().any(|pair| pair.key == "atl.table" && pair.value.as_deref() == Some("metrics")));
}

#[test]
fn sorting_columns_name_the_right_leaves_in_every_table() {
    for table in Table::ALL {
        let file = encode(table, &[random_rows(table, 5, &Dice::new(3))], WriteProfile::Flush).unwrap();
        let metadata = footer(&file.bytes);
        let group = metadata.row_group(0);
        let names =
            group.sorting_columns().unwrap().iter().map(|sorting| {
                group.column(usize::try_from(sorting.column_idx).unwrap()).column_path().string()
            });
        assert_eq!(names.collect::<Vec<_>>(), table.sort_columns());
    }
}

#[test]
fn trace_ids_have_a_bloom_filter() {
    let file =
        encode(Table::Logs, &[random_rows(Table::Logs, 500, &Dice::new(9))], WriteProfile::Flush).unwrap();
    let metadata = footer(&file.bytes);
    let with: Vec<String> = metadata
        .row_group(0)
        .columns()
        .iter()
        .filter(|column| column.bloom_filter_offset().is_some())
        .map(|column| column.column_path().string())
        .collect();
    assert_eq!(with, ["trace_id"]);
}

async fn stored(table: Table, rows: &RecordBatch) -> (Arc<dyn ObjectStore>, DataFile) {
    let file = encode(table, std::slice::from_ref(rows), WriteProfile::Flush).unwrap();
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let key = Path::from("m/day=2026-11-22/x.parquet");
    let size = file.bytes.len() as u64;
    objects.put(&key, PutPayload::from(file.bytes)).await.unwrap();
    let path = "day=2026-11-22/x.parquet".to_owned();
    let (rows, stats) = (file.rows, file.stats);
    (
        objects,
        DataFile {
            table,
            day: DAY,
            path,
            key,
            size,
            rows,
            stats,
            crc32c: None,
            tags: FileTags::default(),
            written_ms: 0,
        },
    )
}

async fn read(objects: &Arc<dyn ObjectStore>, file: &DataFile, options: &ReadOptions) -> Vec<RecordBatch> {
    let footers = Footers::default();
    let stream = read_batches(objects, &footers, file, options).await.unwrap();
    stream.try_collect().await.unwrap()
}

#[tokio::test]
async fn only_rows_of_the_key_and_the_columns_asked_for_come() {
    let names = ["a", "b", "c"];
    let rows: Vec<_> = (0..300).map(|i| (names[i as usize / 100], i / 10, i, i as f64)).collect();
    let rows = metrics(&rows);
    let (objects, file) = stored(Table::Metrics, &rows).await;
    let all =
        concat_batches(rows.schema_ref(), &read(&objects, &file, &ReadOptions::default()).await).unwrap();
    assert_same(&all, &rows, "all");
    let options = ReadOptions {
        key: Some("b".to_owned()),
        columns: Some(vec!["value".to_owned(), "tsid".to_owned()]),
        batch_rows: Some(7),
        ..ReadOptions::default()
    };
    let batches = read(&objects, &file, &options).await;
    assert!(batches.iter().all(|batch| batch.num_rows() <= 7 && batch.num_columns() == 2));
    let values: Vec<f64> = batches
        .iter()
        .flat_map(|batch| {
            batch.column_by_name("value").unwrap().as_primitive::<Float64Type>().values().to_vec()
        })
        .collect();
    assert_eq!(values, (100..200).map(f64::from).collect::<Vec<_>>());
    let limited = ReadOptions { limit: Some(11), ..options };
    let count: usize = read(&objects, &file, &limited).await.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(count, 11);
}

#[tokio::test]
async fn row_groups_that_cannot_match_are_not_read() {
    // Two row groups: 131,072 rows in the first.
    let count = 140_000;
    let rows: Vec<_> = (0..count).map(|i| (if i < 131_072 { "a" } else { "b" }, 1, i, 0.0)).collect();
    let (objects, file) = stored(Table::Metrics, &metrics(&rows)).await;
    let rows_of = async |options: ReadOptions| -> usize {
        read(&objects, &file, &options).await.iter().map(RecordBatch::num_rows).sum()
    };
    let start = i64::from(DAY) * crate::paths::DAY_US;
    let late = ReadOptions { start_us: Some(start + 135_000), ..ReadOptions::default() };
    assert_eq!(rows_of(late).await, count as usize - 131_072);
    let early = ReadOptions { end_us: Some(start + 5), ..ReadOptions::default() };
    assert_eq!(rows_of(early).await, 131_072);
    let none = ReadOptions { key: Some("zzz".to_owned()), ..ReadOptions::default() };
    assert_eq!(rows_of(none).await, 0);
    let b = ReadOptions { key: Some("b".to_owned()), end_us: Some(start + 5), ..ReadOptions::default() };
    assert_eq!(rows_of(b).await, 0);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_that_names_it() {
    let rows = random_rows(Table::Logs, 200, &Dice::new(4));
    let (objects, mut file) = stored(Table::Logs, &rows).await;
    let bytes = objects.get(&file.key).await.unwrap().bytes().await.unwrap();
    for cut in [0, 4, 100, bytes.len() - 1] {
        objects.put(&file.key, PutPayload::from(bytes.slice(..cut))).await.unwrap();
        file.size = cut as u64;
        let outcome = read_batches(&objects, &Footers::default(), &file, &ReadOptions::default()).await;
        let error = outcome.err().unwrap().to_string();
        assert!(error.contains("m/day=2026-11-22/x.parquet"), "{cut}: {error}");
    }
    file.size = u64::MAX;
    let outcome = read_batches(&objects, &Footers::default(), &file, &ReadOptions::default()).await;
    assert!(matches!(outcome.err().unwrap(), Error::TooLarge { .. }));
}

#[tokio::test]
async fn footers_are_read_once() {
    let (objects, file) = stored(Table::Metrics, &metrics(&[("a", 1, 1, 1.0)])).await;
    let footers = Footers::default();
    footers.read(&objects, &file.key, file.size).await.unwrap();
    assert!(footers.bytes() > 0);
    objects.delete(&file.key).await.unwrap();
    footers.read(&objects, &file.key, file.size).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footers_are_the_same_read_from_a_folder_and_through_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let folder = crate::objects::DurableFolder::open(dir.path().to_owned()).unwrap();
    let blocking = async |key: &Path, size: u64| {
        let (folder, key, root) = (folder.clone(), key.clone(), dir.path().to_owned());
        tokio::task::spawn_blocking(move || {
            let footers = Footers::default();
            let footer = footers.read_blocking(&folder, &key, size)?;
            // Once read it is known.
            std::fs::remove_file(root.join(key.as_ref())).unwrap();
            assert_eq!(footers.read_blocking(&folder, &key, size)?.metadata(), footer.metadata());
            assert!(footers.known(&key, size).is_some() && footers.known(&key, size + 1).is_none());
            Ok::<_, Error>(footer)
        })
        .await
        .unwrap()
    };
    // A file smaller than what is read of an end at first, and one whose footer is larger than that.
    let wide: Vec<_> =
        (0..3_000).map(|i| (["a", "b"][i as usize / 1_500], i, 1, f64::from(i as u32))).collect();
    let long_name = "n".repeat(90_000);
    let long: Vec<_> = [(long_name.as_str(), 1, 1, 1.0)].to_vec();
    for rows in [metrics(&wide), metrics(&long)] {
        let (objects, file) = stored(Table::Metrics, &rows).await;
        let bytes = objects.get(&file.key).await.unwrap().bytes().await.unwrap();
        let through = Footers::default().read(&objects, &file.key, file.size).await.unwrap();
        folder.put(&file.key, PutPayload::from(bytes.clone())).await.unwrap();
        let here = blocking(&file.key, file.size).await.unwrap();
        assert_eq!(here.metadata(), through.metadata());
        folder.put(&file.key, PutPayload::from(bytes.clone())).await.unwrap();
        let other_size = blocking(&file.key, file.size - 1).await.err().unwrap().to_string();
        assert!(other_size.contains("x.parquet") && other_size.contains("instead of"), "{other_size}");
        for cut in [0, 4, 100, bytes.len() - 1] {
            folder.put(&file.key, PutPayload::from(bytes.slice(..cut))).await.unwrap();
            let error = blocking(&file.key, cut as u64).await.err().unwrap().to_string();
            assert!(error.contains("m/day=2026-11-22/x.parquet"), "{cut}: {error}");
        }
    }
}

/// Some hours of scrapes as node_exporter's look: four targets, all series of a target at the same times, with the
/// jitter of a scraper; a third of the series constant, counters with two decimals, byte counters, gauges in
/// whole pages, histogram buckets, a few of full entropy.
#[test]
#[expect(clippy::print_stdout, reason = "what it measures is for the person who runs it")]
fn a_sample_takes_few_bytes() {
    for (hours, profile, most) in [(2, WriteProfile::Flush, 2.05), (6, WriteProfile::Compacted, 1.8)] {
        let rows = scrapes(hours * 240, &Dice::new(7));
        let samples = rows.num_rows() as f64;
        let start = std::time::Instant::now();
        let file = encode(Table::Metrics, &[rows], profile).unwrap();
        let took = start.elapsed();
        let bytes_a_sample = file.bytes.len() as f64 / samples;
        println!(
            "{hours} h, {samples} samples, {profile:?}: {bytes_a_sample:.3} bytes a sample, in {took:?}"
        );
        for column in crate::inspect::column_sizes(footer(&file.bytes).row_groups()) {
            println!("  {:10} {:.3}", column.name, column.compressed_bytes as f64 / samples);
        }
        assert!(bytes_a_sample < most, "{bytes_a_sample}");
    }
}

fn scrapes(count: i64, dice: &Dice) -> RecordBatch {
    let times: Vec<Vec<i64>> = (0..4)
        .map(|target| {
            let jitter = || dice.below(5) as i64 - 2;
            (0..count).map(|i| (target * 3_750 + i * 15_000 + 10 + jitter()) * 1_000).collect()
        })
        .collect();
    let names: Vec<String> = (0..100).map(|metric| format!("node_metric_{metric:03}")).collect();
    let mut rows = Vec::new();
    for series in 0..500 {
        let (metric, tsid) = (series / 5, dice.next() as i64);
        let mut value = dice.below(1 << 30) as f64;
        for &us in &times[series % 4] {
            value = next_value(metric % 25, value, dice);
            rows.push((names[metric].as_str(), tsid, us, value));
        }
    }
    sorted(Table::Metrics, &metrics(&rows))
}

fn next_value(kind: usize, value: f64, dice: &Dice) -> f64 {
    match kind {
        0..=8 => value,
        9..=13 => ((value + dice.below(1_500) as f64 / 100.0) * 100.0).round() / 100.0,
        14..=17 => value + dice.below(200_000) as f64,
        18..=20 => (value + 4_096.0 * (dice.below(200) as f64 - 100.0)).max(0.0),
        21..=23 => value + dice.below(3) as f64,
        _ => dice.next() as f64 / 1e18,
    }
}
