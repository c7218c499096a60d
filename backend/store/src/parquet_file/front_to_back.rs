//! Reads a file once from front to back, all columns, with its checksum.
//!
//! Comes in: a committed file. Goes out: its batches, in the order of the file, and at the end an error where
//! the bytes are not those that were written. Small files are fetched and checked whole before anything in
//! them is believed; of large ones one row group is in memory and the next is on its way. Fetching is
//! asynchronous, decoding is not: run it on a thread of its own.

use std::io::Cursor;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::footer::check_format;
use super::range_reader::RangeReader;
use crate::catalog::DataFile;
use crate::error::{Error, Result};

/// Files up to this size are fetched whole.
const WHOLE_BYTES: u64 = 1 << 20;
/// Largest row group of a larger file, in bytes of the file; more would not fit into memory beside others.
const PIECE_BYTES_MAX: u64 = 512 << 20;
/// Rows of a batch, at most and at least, and the bytes it is to have.
const BATCH_ROWS: Range<usize> = 16..8_192;
const BATCH_BYTES: i64 = 1 << 20;

/// An open file whose rows are still to be read.
pub(crate) struct FrontToBack {
    file: Arc<DataFile>,
    footer: ArrowReaderMetadata,
    content: Content,
}

enum Content {
    Whole(Bytes),
    Pieces(Arc<dyn ObjectStore>, Vec<Range<u64>>),
}

impl FrontToBack {
    /// Reads the footer, and small files whole. Columns come in the types of `schema` where the file has
    /// just these columns, otherwise as the file has them.
    pub(crate) async fn open(
        objects: &Arc<dyn ObjectStore>,
        file: &Arc<DataFile>,
        schema: &SchemaRef,
    ) -> Result<FrontToBack> {
        let reader = || ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
        let whole = file.size <= WHOLE_BYTES;
        let (metadata, content) = if whole {
            let bytes = fetch(objects, &file.key, 0..file.size).await?;
            check(file, crc32c::crc32c(&bytes))?;
            (caught(&file.key, || reader().parse_and_finish(&bytes))?, Content::Whole(bytes))
        } else {
            let mut ranges =
                RangeReader { objects: Arc::clone(objects), key: file.key.clone(), size: file.size };
            let metadata =
                AssertUnwindSafe(reader().load_and_finish(&mut ranges, file.size)).catch_unwind().await;
            let metadata = caught(&file.key, || metadata.unwrap_or_else(|panic| resume_unwind(panic)))?;
            let pieces = pieces(file, metadata.row_groups())?;
            (metadata, Content::Pieces(Arc::clone(objects), pieces))
        };
        check_format(&file.key, &metadata)?;
        let metadata = Arc::new(metadata);
        let options = || ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Skip);
        let footer = caught(&file.key, || {
            ArrowReaderMetadata::try_new(Arc::clone(&metadata), options().with_schema(Arc::clone(schema)))
                .or_else(|_| ArrowReaderMetadata::try_new(metadata, options()))
        })?;
        Ok(FrontToBack { file: Arc::clone(file), footer, content })
    }

    /// Rows, as the footer says.
    pub(crate) fn rows(&self) -> u64 {
        u64::try_from(self.footer.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The rows. Starts fetching on the current runtime; what comes out blocks.
    pub(crate) fn batches(self) -> FileBatches {
        let FrontToBack { file, footer, content } = self;
        let (pieces, guard) = match content {
            Content::Whole(bytes) => {
                let groups = (0..footer.metadata().num_row_groups()).collect();
                let (send, receive) = mpsc::channel(1);
                // Fails only where the receiver is gone, and it is not.
                let _ = send.try_send(Ok(Piece { groups, start: 0, bytes }));
                (receive, None)
            }
            Content::Pieces(objects, pieces) => {
                let stop = tokio_util::sync::CancellationToken::new();
                let (send, receive) = mpsc::channel(1);
                let fetching = fetch_pieces(objects, Arc::clone(&file), pieces, send);
                let stopped = stop.clone();
                tokio::spawn(async move { stopped.run_until_cancelled(fetching).await });
                (receive, Some(stop.drop_guard()))
            }
        };
        FileBatches { file, footer, pieces, groups: Vec::new(), piece: None, reader: None, _guard: guard }
    }
}

/// Bytes of one or more row groups.
#[derive(Debug)]
struct Piece {
    groups: Vec<usize>,
    start: u64,
    bytes: Bytes,
}

/// One piece a row group; together they are the file, so that its checksum is theirs.
fn pieces(file: &DataFile, groups: &[RowGroupMetaData]) -> Result<Vec<Range<u64>>> {
    let starts = groups.iter().map(|group| {
        let starts = group.columns().iter().map(|column| column.byte_range().0);
        starts.min().unwrap_or(0)
    });
    let mut borders: Vec<u64> = std::iter::once(0).chain(starts.skip(1)).collect();
    borders.push(file.size);
    let pieces: Vec<Range<u64>> = borders.windows(2).map(|pair| pair[0]..pair[1]).collect();
    if pieces.iter().any(|piece| piece.start >= piece.end) {
        return Err(Error::corrupt(&file.key, "its row groups do not follow each other"));
    }
    match pieces.iter().map(|piece| piece.end - piece.start).max() {
        Some(size) if size > PIECE_BYTES_MAX => {
            let what = format!("row group of {}", file.key);
            Err(Error::TooLarge { what, size, limit: PIECE_BYTES_MAX })
        }
        _ => Ok(pieces),
    }
}

async fn fetch(objects: &Arc<dyn ObjectStore>, key: &Path, range: Range<u64>) -> Result<Bytes> {
    let size = range.end - range.start;
    let bytes = objects.get_range(key, range).await.map_err(|source| Error::object("read", key, source))?;
    if bytes.len() as u64 == size {
        return Ok(bytes);
    }
    Err(Error::corrupt(key, format!("{} bytes came instead of {size}", bytes.len())))
}

async fn fetch_pieces(
    objects: Arc<dyn ObjectStore>,
    file: Arc<DataFile>,
    pieces: Vec<Range<u64>>,
    send: mpsc::Sender<Result<Piece>>,
) {
    let mut checksum = 0;
    for (group, range) in pieces.into_iter().enumerate() {
        let start = range.start;
        let piece = fetch(&objects, &file.key, range).await.map(|bytes| {
            checksum = crc32c::crc32c_append(checksum, &bytes);
            Piece { groups: vec![group], start, bytes }
        });
        let failed = piece.is_err();
        if send.send(piece).await.is_err() || failed {
            return;
        }
    }
    if let Err(error) = check(&file, checksum) {
        // Nobody wants to know any more where this fails.
        let _ = send.send(Err(error)).await;
    }
}

fn check(file: &DataFile, checksum: u32) -> Result<()> {
    match file.crc32c {
        Some(expected) if expected != checksum => {
            Err(Error::corrupt(&file.key, "its checksum is not the one taken when it was written"))
        }
        _ => Ok(()),
    }
}

/// What `work` makes of a footer, which may be anything as long as its checksum is not known; the parser may panic
/// on it.
fn caught<T>(key: &Path, work: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    let done = done.map_err(|_| Error::corrupt(key, "its footer cannot be decoded"))?;
    done.map_err(|error| failure(key, error))
}

/// An object store's failure stays one, so that damage can be told from absence.
fn failure(key: &Path, error: ParquetError) -> Error {
    let source = match error {
        ParquetError::External(source) => source,
        error => return Error::parquet(key, error),
    };
    match source.downcast::<object_store::Error>() {
        Ok(source) => Error::object("read", key, *source),
        Err(source) => Error::parquet(key, ParquetError::External(source)),
    }
}

/// Batches of a file, in its order. Ends with an error where the file is damaged; only a stream that ended
/// without one was sound.
pub(crate) struct FileBatches {
    file: Arc<DataFile>,
    footer: ArrowReaderMetadata,
    pieces: mpsc::Receiver<Result<Piece>>,
    /// Row groups of the piece that are still to be read, last one first.
    groups: Vec<usize>,
    piece: Option<PieceReader>,
    reader: Option<ParquetRecordBatchReader>,
    _guard: Option<DropGuard>,
}

impl FileBatches {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(reader) = &mut self.reader {
                // Bytes whose checksum is not known yet may be anything, and a decoder may panic on them.
                let decoded = catch_unwind(AssertUnwindSafe(|| reader.next()));
                let decoded = decoded.map_err(|_| Error::corrupt(&self.file.key, "it cannot be decoded"))?;
                if let Some(batch) = decoded {
                    return Ok(Some(batch.map_err(|error| Error::parquet(&self.file.key, error.into()))?));
                }
                self.reader = None;
            }
            if let Some(group) = self.groups.pop() {
                if group >= self.footer.metadata().num_row_groups() {
                    continue;
                }
                self.reader = Some(self.open_group(group)?);
                continue;
            }
            match self.pieces.blocking_recv() {
                None => return Ok(None),
                Some(piece) => {
                    let Piece { mut groups, start, bytes } = piece?;
                    groups.reverse();
                    self.groups = groups;
                    self.piece = Some(PieceReader { start, bytes, file_size: self.file.size });
                }
            }
        }
    }

    fn open_group(&self, group: usize) -> Result<ParquetRecordBatchReader> {
        let lost = || Error::corrupt(&self.file.key, "a row group without bytes");
        let piece = self.piece.clone().ok_or_else(lost)?;
        let metadata = self.footer.metadata().row_group(group);
        let row_bytes = metadata.total_byte_size() / metadata.num_rows().max(1);
        let rows = usize::try_from(BATCH_BYTES / row_bytes.max(1)).unwrap_or(BATCH_ROWS.end);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(piece, self.footer.clone());
        let builder = builder.with_row_groups(vec![group]);
        let reader = builder.with_batch_size(rows.clamp(BATCH_ROWS.start, BATCH_ROWS.end)).build();
        reader.map_err(|error| Error::parquet(&self.file.key, error))
    }
}

impl Iterator for FileBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.next_batch().transpose()
    }
}

/// A part of a file, addressed by places in the whole.
#[derive(Clone)]
struct PieceReader {
    start: u64,
    bytes: Bytes,
    file_size: u64,
}

impl PieceReader {
    fn slice(&self, start: u64, end: u64) -> parquet::errors::Result<Bytes> {
        let place = |at: u64| at.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        match (place(start), place(end)) {
            (Some(start), Some(end)) if start <= end && end <= self.bytes.len() => {
                Ok(self.bytes.slice(start..end))
            }
            _ => Err(ParquetError::EOF(format!("bytes {start} to {end} are not in their row group"))),
        }
    }
}

impl Length for PieceReader {
    fn len(&self) -> u64 {
        self.file_size
    }
}

impl ChunkReader for PieceReader {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Cursor<Bytes>> {
        let end = self.start + self.bytes.len() as u64;
        self.slice(start, end).map(Cursor::new)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.slice(start, start.saturating_add(length as u64))
    }
}
