use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use proptest::prelude::*;

use super::*;

fn runs(bytes: &[u8]) -> Vec<(usize, usize)> {
    Runs::of(Bytes::copy_from_slice(bytes)).unwrap().collect()
}

#[test]
fn runs_and_packed_numbers_are_read() {
    // Three bits: five times 6, then 0 to 7 packed (the example of the format's description), then 300 times 1.
    let bytes = [3, 5 << 1, 6, 1 << 1 | 1, 0b1000_1000, 0b1100_0110, 0b1111_1010, 0xd8, 0x04, 1];
    let mut expected = vec![(6, 5)];
    expected.extend((0..8).map(|number| (number, 1)));
    expected.push((1, 300));
    assert_eq!(runs(&bytes), expected);
    // No bits: a dictionary of one id.
    assert_eq!(runs(&[0, 9 << 1]), [(0, 9)]);
    // Seventeen bits, over the edges of bytes.
    let numbers: Vec<usize> = (0..16).map(|i| i * 14_321 % (1 << 17)).collect();
    let bits: Vec<bool> =
        numbers.iter().flat_map(|number| (0..17).map(move |bit| number >> bit & 1 == 1)).collect();
    let byte = |bits: &[bool]| bits.iter().rev().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
    let packed: Vec<u8> = [17, 2 << 1 | 1].into_iter().chain(bits.chunks(8).map(byte)).collect();
    assert_eq!(runs(&packed), numbers.into_iter().map(|number| (number, 1)).collect::<Vec<_>>());
}

#[test]
fn what_is_cut_off_or_makes_no_sense_ends() {
    assert!(Runs::of(Bytes::new()).is_err());
    assert!(Runs::of(Bytes::from_static(&[33])).is_err());
    assert_eq!(runs(&[3]), []);
    assert_eq!(runs(&[3, 0x80]), []);
    assert_eq!(runs(&[3, 1 << 1 | 1, 0b1000_1000]), [(0, 1), (1, 1)]);
    assert_eq!(runs(&[3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), []);
    // Runs of nothing are passed over.
    assert_eq!(runs(&[1, 0, 1, 0, 1, 4, 1]), [(1, 2)]);
}

fn file(ids: &[i64], properties: WriterProperties) -> Bytes {
    let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let batch = RecordBatch::try_from_iter([("tsid", column)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes.into()
}

fn read(file: &Bytes, ranges: &[Range<usize>]) -> Vec<(usize, i64)> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let footer = ArrowReaderMetadata::load(file, options).unwrap();
    let rows = GroupRows { group: 0, ranges: ranges.to_vec() };
    let pieces = Arc::new(Pieces::of_all(file.clone()));
    let mut found = Vec::new();
    let take = |id, rows: Range<usize>| {
        assert!(!rows.is_empty());
        found.extend(rows.map(|row| (row, id)));
        Ok(())
    };
    each_run(footer.metadata(), 0, &rows, &pieces, take).unwrap();
    found
}

proptest! {
    #[test]
    fn every_way_of_storing_ids_gives_the_rows_asked_for(
        lengths in prop::collection::vec((1_usize..40, 0_i64..30), 1..60),
        cuts in prop::collection::vec(0_usize..1_500, 0..8),
        page_rows in 8_usize..300,
        packed: bool,
        version_2: bool,
        dictionary: bool,
        index: bool,
    ) {
        let ids: Vec<i64> =
            lengths.iter().flat_map(|(length, id)| std::iter::repeat_n(id * 1_000_003 - 7, *length)).collect();
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder()
            .set_compression(if packed { zstd } else { Compression::UNCOMPRESSED })
            .set_writer_version(if version_2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 })
            .set_dictionary_enabled(dictionary)
            .set_data_page_row_count_limit(page_rows)
            .set_write_batch_size(8)
            .set_statistics_enabled(if index { EnabledStatistics::Page } else { EnabledStatistics::Chunk })
            .set_offset_index_disabled(!index)
            .build();
        let file = file(&ids, properties);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(ids.len())).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let ranges: Vec<Range<usize>> = cuts.chunks_exact(2).map(|cut| cut[0]..cut[1]).collect();
        let expected: Vec<(usize, i64)> = ranges.iter().cloned().flatten().map(|row| (row, ids[row])).collect();
        prop_assert_eq!(read(&file, &ranges), expected);
    }
}
