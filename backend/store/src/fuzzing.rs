//! What must hold for any bytes at all: entries for the fuzz targets in `tests/fuzz`, which are also fed with the
//! targets' corpora in every test run. Each takes bytes and panics where a property does not hold.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use model::{Batch, Exemplar, HistogramPoint, Labels};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::catalog::DataFile;
use crate::delta::actions::{decode, encode};
use crate::delta::{TableState, checkpoint};
use crate::parquet_file::{FileStats, FileTags, Footers, FrontToBack, ReadOptions, read_batches};
use crate::sparse::{ExemplarRow, HistogramRow, SparseRow, StartRow};
use crate::tables::Table;
use crate::wal::Lsn;
use crate::wal::codec::{self, Origin};
use crate::wal::definitions::{self, Dictionary};
use crate::wal::disk::{Append, Disk};
use crate::wal::frame::{self, FRAME_HEADER_BYTES};
use crate::wal::replay::{ReplayProgress, Sink, replay};
use crate::wal::segment::{self, SegmentName};

/// A log of one segment with these bytes: replay ends, twice with the same, and what is committed stays away. Once as
/// they are, and once with checksums that are right, since hardly anything behind a wrong one is looked at.
pub fn wal_replay(data: &[u8]) {
    replay_segment(data);
    replay_segment(&sealed_segment(data));
}

/// The bytes with the checksums and markers that belong to them, up to a frame that does not end.
fn sealed_segment(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let Some((header, frames)) = bytes.split_at_mut_checked(segment::HEADER_BYTES) else { return bytes };
    let crc = crc32c::crc32c(&header[..20]);
    header[20..24].copy_from_slice(&crc.to_le_bytes());
    let mut rest = frames;
    while let Some(length) = rest.get(4..8) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some((frame, behind)) = rest.split_at_mut_checked(FRAME_HEADER_BYTES + length) else { break };
        frame[..4].copy_from_slice(&header[8..12]);
        let crc = frame::checksum(frame);
        frame[8..12].copy_from_slice(&crc.to_le_bytes());
        rest = behind;
    }
    bytes
}

fn replay_segment(data: &[u8]) {
    // The marker is in the name as well as in the header.
    let marker =
        data.get(8..12).map_or(1, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let disk = Segment {
        name: SegmentName { sequence: 1, marker }.file_name(),
        bytes: Bytes::copy_from_slice(data),
    };
    let read = |above: Lsn| {
        let mut kept = Kept { above, ..Kept::default() };
        let (position, report) = replay(&disk, &mut kept, &ReplayProgress::default())
            .expect("a directory in memory can be listed");
        (kept, position.next_lsn, report)
    };
    let (first, next_lsn, report) = read(0);
    assert!(
        report.bytes <= data.len() as u64 && report.damaged_bytes + report.torn_bytes <= data.len() as u64
    );
    assert_eq!(first.batches.len() as u64, report.batches);
    assert!(first.batches.iter().all(|(lsn, _)| *lsn < next_lsn));
    let (second, _, again) = read(0);
    assert_eq!((&second.batches, again), (&first.batches, report));
    let (rest, ..) = read(next_lsn);
    assert!(rest.batches.is_empty());
}

/// A directory with one segment.
#[derive(Debug)]
struct Segment {
    name: String,
    bytes: Bytes,
}

impl Disk for Segment {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(vec![self.name.clone()])
    }

    fn create(&self, _name: &str) -> io::Result<Box<dyn Append>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, _name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.bytes.clone())))
    }

    fn size(&self, _name: &str) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn sync(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Kept {
    above: Lsn,
    batches: Vec<(Lsn, String)>,
}

impl Sink for Kept {
    fn wants(&self, lsn: Lsn) -> bool {
        lsn > self.above
    }

    fn origin(&mut self, _lsn: Lsn, _origin: &Origin) {}

    fn batch(&mut self, lsn: Lsn, received_ms: i64, batch: Batch) {
        self.batches.push((lsn, format!("{received_ms} {}", text(&batch))));
    }
}

/// All that a batch holds, floats as bits.
pub(crate) fn text(batch: &Batch) -> String {
    let mut text = format!("{:?} {:?}\n", batch.source, batch.batch_id);
    for point in &batch.points {
        text += &format!("{:?} {} {:x}\n", point.labels, point.timestamp_ms, point.value.to_bits());
    }
    for point in &batch.histograms {
        let HistogramPoint { labels, timestamp_ms, start_ms, histogram } = point;
        let floats = [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum];
        let counts = [&histogram.positive.counts, &histogram.negative.counts, &histogram.custom_bounds];
        let bits = |floats: &[f64]| floats.iter().map(|float| float.to_bits()).collect::<Vec<_>>();
        text +=
            &format!("{labels:?} {timestamp_ms} {start_ms} {:?} {}", histogram.reset_hint, histogram.schema);
        text += &format!("{:?} {:?}", histogram.positive.spans, histogram.negative.spans);
        text += &format!("{:x?} {:x?}\n", bits(&floats), counts.map(|counts| bits(counts)));
    }
    text += &format!("{:?}\n", batch.starts);
    for Exemplar { labels, exemplar_labels, timestamp_ms, value } in &batch.exemplars {
        text += &format!("{labels:?} {exemplar_labels:?} {timestamp_ms} {:x}\n", value.to_bits());
    }
    text + &format!("{:?}\n{:?}\n{:?}", batch.metadata, batch.log_streams, batch.probes)
}

/// Definitions and a record behind each other, the length of the first in two bytes before them: what decodes is
/// encoded and decoded to the same.
pub fn wal_record(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let at = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (defined, record) = rest.split_at(at);
    let mut dictionary = Dictionary::default();
    // What is learnt before an error counts, as in a damaged segment.
    let _ = dictionary.learn(defined);
    let Ok((received_ms, batch)) = codec::decode(record, &dictionary) else { return };
    let origin = codec::decode_origin(record).expect("a record that decodes has an origin");
    assert_eq!((&origin.source, &origin.batch_id), (&batch.source, &batch.batch_id));
    let mut sets: Vec<Labels> = Vec::new();
    let mut number = |labels: &Labels| {
        sets.push(Labels::clone(labels));
        sets.len() as u32 - 1
    };
    let series: Vec<u32> = batch.series().map(&mut number).collect();
    let streams: Vec<u32> = batch.log_streams.iter().map(|stream| number(&stream.labels)).collect();
    let (mut defined, mut record) = (Vec::new(), Vec::new());
    definitions::encode(0, &sets, &mut defined);
    codec::encode(&batch, received_ms, &series, &streams, &mut record);
    let mut dictionary = Dictionary::default();
    dictionary.learn(&defined).expect("definitions just written");
    let (again_ms, again) = codec::decode(&record, &dictionary).expect("a record just written");
    assert_eq!((again_ms, text(&again)), (received_ms, text(&batch)));
}

/// The bytes of a token sidecar.
pub fn token_sidecar(data: &[u8]) {
    crate::tokens::fuzz_sidecar(data);
}

/// A commit of the log: what a table comes to by it goes into a checkpoint and comes back the same.
pub fn delta_log(data: &[u8]) {
    let Ok(lines) = decode(data) else { return };
    let written = encode(&lines).expect("actions that were read can be written");
    let again = decode(&written).expect("actions that were written can be read");
    assert_eq!(format!("{again:?}"), format!("{lines:?}"));
    for table in [Table::Metrics, Table::Logs] {
        let empty = || TableState::empty(table, Path::from("table"));
        let mut state = empty();
        if state.apply(0, lines.clone()).is_err() {
            assert_eq!(state.version, -1, "a commit that is refused changes nothing");
            continue;
        }
        let bytes = checkpoint::encode(&state.checkpoint_lines()).expect("a state can be written");
        let mut copy = empty();
        copy.apply(0, checkpoint::read(bytes.into()).expect("a checkpoint just written"))
            .expect("the same actions");
        assert!(copy.files().eq(state.files()), "files of a checkpoint");
        assert_eq!(copy.watermarks(), state.watermarks());
        assert_eq!(copy.tombstones().count(), state.tombstones().count());
    }
}

/// Reads rows of histograms, start times and exemplars, whatever columns there are.
fn sparse_rows(batch: &RecordBatch) {
    let rows = batch.num_rows();
    let decoded = [
        HistogramRow::decode(batch).map(|rows| rows.len()),
        StartRow::decode(batch).map(|rows| rows.len()),
        ExemplarRow::decode(batch).map(|rows| rows.len()),
    ];
    assert!(decoded.into_iter().flatten().all(|decoded| decoded == rows), "a row for every row");
}

/// A data file that is not what it should be is an error to whoever reads it, and nothing else.
pub fn parquet_footer(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let key = Path::from("metrics/day=2026-11-22/file.parquet");
        objects.put(&key, PutPayload::from(data.to_vec())).await.expect("memory takes it");
        let file = Arc::new(DataFile {
            table: Table::Metrics,
            day: 20_779,
            path: "day=2026-11-22/file.parquet".to_owned(),
            key,
            size: data.len() as u64,
            rows: 0,
            stats: FileStats::default(),
            crc32c: None,
            tags: FileTags::default(),
            written_ms: 0,
        });
        let footers = Footers::default();
        if let Ok(mut batches) = read_batches(&objects, &footers, &file, &ReadOptions::default()).await {
            let mut rows = 0;
            while let Ok(Some(batch)) = batches.try_next().await {
                rows += batch.num_rows();
                sparse_rows(&batch);
                // A few bytes can stand for any number of repeated rows.
                if rows > 1_000_000 {
                    break;
                }
            }
        }
        let _ = FrontToBack::open(&objects, &file, &Table::Metrics.file_schema()).await;
    });
}
