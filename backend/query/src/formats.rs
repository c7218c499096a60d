//! Turns an [`Answer`] into bytes, batch by batch: JSON, NDJSON, CSV, Arrow IPC, Parquet.
//!
//! Never holds more than one batch of rows (a row group of at most 16 MiB for Parquet) in encoded form.

mod arrow_ipc;
mod cell;
mod csv;
mod json;
mod parquet_file;
mod time;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::collections::HashSet;
use std::sync::Arc;

use crate::answer::{Answer, AnswerStats};
use crate::error::{QueryError, Result};

pub use time::rfc3339;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// One object with `columns`, `rows` as arrays, and what the answer cost.
    #[default]
    Json,
    /// An object a row, one a line.
    Ndjson,
    /// Comma-separated with a header line (RFC 4180).
    Csv,
    /// Arrow IPC stream, buffers not compressed.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 5] = [Format::Json, Format::Ndjson, Format::Csv, Format::Arrow, Format::Parquet];

    /// The name used in `?format=` and `--output`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Arrow => "arrow",
            Format::Parquet => "parquet",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The media type of the bytes.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The first format an `Accept` header names, in its order; `None` where it names none of ours and does
    /// not take anything.
    pub fn from_accept(accept: &str) -> Option<Format> {
        accept.split(',').find_map(|range| match range.split(';').next().unwrap_or_default().trim() {
            "*/*" | "application/*" | "application/json" => Some(Format::Json),
            "application/x-ndjson" | "application/jsonl" => Some(Format::Ndjson),
            "text/csv" | "text/*" => Some(Format::Csv),
            "application/vnd.apache.arrow.stream" => Some(Format::Arrow),
            "application/vnd.apache.parquet" => Some(Format::Parquet),
            _ => None,
        })
    }
}

/// Writes answers of one format. Appends to `out`.
trait Encoder: Send {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()>;
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()>;
    fn end(&mut self, stats: &AnswerStats, out: &mut Vec<u8>) -> Result<()>;

    /// Ends an answer that failed halfway in a way its reader understands; false where the format has none.
    fn fail(&mut self, _error: &QueryError, _stats: &AnswerStats, _out: &mut Vec<u8>) -> bool {
        false
    }
}

/// The answer as bytes.
///
/// The first item comes with the first rows (or the end), so a query that fails before has an error for its
/// first item and can still be answered with a status. A failure after that ends a JSON answer with a member
/// `error`, and is the last item of the stream in the other formats.
pub fn encode(answer: Answer, format: Format) -> BoxStream<'static, Result<Bytes>> {
    let encoder = match encoder(&answer, format) {
        Ok(encoder) => encoder,
        Err(error) => return stream::once(std::future::ready(Err(error))).boxed(),
    };
    stream::unfold(Some((answer, encoder, false)), |state| async move {
        let (mut answer, mut encoder, begun) = state?;
        let mut out = Vec::new();
        let step = step(&mut answer, encoder.as_mut(), begun, &mut out).await;
        match step {
            Ok(true) => Some((Ok(Bytes::from(out)), Some((answer, encoder, true)))),
            Ok(false) => Some((Ok(Bytes::from(out)), None)),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

fn encoder(answer: &Answer, format: Format) -> Result<Box<dyn Encoder>> {
    let schema = answer.schema();
    Ok(match format {
        Format::Json => Box::new(json::JsonEncoder::new(schema)),
        Format::Ndjson => Box::new(json::NdjsonEncoder::new(&unique_names(schema))),
        Format::Csv => Box::new(csv::CsvEncoder::new(schema)),
        Format::Arrow => Box::new(arrow_ipc::ArrowEncoder::new(schema)?),
        Format::Parquet => Box::new(parquet_file::ParquetEncoder::new(&unique_names(schema))?),
    })
}

/// Encodes the next batch; true where more may follow.
async fn step(
    answer: &mut Answer,
    encoder: &mut dyn Encoder,
    begun: bool,
    out: &mut Vec<u8>,
) -> Result<bool> {
    let next = answer.next().await;
    if let (Some(Err(error)), false) = (&next, begun) {
        return Err(error.clone());
    }
    if !begun {
        encoder.begin(out)?;
    }
    match next {
        Some(Ok(batch)) => encoder.batch(&batch, out).map(|()| true),
        Some(Err(error)) => match encoder.fail(&error, &answer.stats(), out) {
            true => Ok(false),
            false => Err(error),
        },
        None => encoder.end(&answer.stats(), out).map(|()| false),
    }
}

/// The schema with the second `ts` called `ts_2` and so on, for formats whose readers go by name.
fn unique_names(schema: &SchemaRef) -> SchemaRef {
    let mut taken: HashSet<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut seen = HashSet::new();
    let fields: Vec<Arc<Field>> = schema
        .fields()
        .iter()
        .map(|field| {
            if seen.insert(field.name().clone()) {
                return Arc::clone(field);
            }
            let name = (2..).map(|n| format!("{}_{n}", field.name())).find(|name| !taken.contains(name));
            let name = name.unwrap_or_else(|| field.name().clone());
            taken.insert(name.clone());
            Arc::new(field.as_ref().clone().with_name(name))
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// Collects a stream of bytes; for tests and small answers.
pub async fn collect(mut bytes: impl Stream<Item = Result<Bytes>> + Unpin) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(piece) = bytes.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
