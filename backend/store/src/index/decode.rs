//! Files of `series` and `log_streams` to ids and segments.
//!
//! Comes in: a committed file. Goes out: the ids in it, or a segment of chosen ones. Label texts are taken
//! from the file's dictionaries: each is looked at once, not once a row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use futures::TryStreamExt;
use object_store::ObjectStore;

use super::build::Builder;
use super::live::IdSet;
use super::segment::Segment;
use crate::catalog::DataFile;
use crate::error::{Error, Result};
use crate::index::key_label;
use crate::parquet_file::{Footers, ReadOptions, read_batches};

/// Rows decoded at once.
const BATCH_ROWS: usize = 16 * 1024;

/// Ids of a file's rows, ascending, each once.
pub(super) async fn read_ids(
    objects: &Arc<dyn ObjectStore>,
    footers: &Footers,
    file: &DataFile,
) -> Result<Vec<i64>> {
    let name = file.table.id_column().unwrap_or_default();
    let options = ReadOptions {
        columns: Some(vec![name.to_owned()]),
        batch_rows: Some(BATCH_ROWS),
        ..ReadOptions::default()
    };
    let mut batches = read_batches(objects, footers, file, &options).await?;
    let mut ids = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        ids.extend_from_slice(column.ok_or_else(|| lacks(file, name))?.values());
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// A segment of those series of a file that are in `wanted`.
pub(super) async fn read_segment(
    objects: &Arc<dyn ObjectStore>,
    footers: &Footers,
    file: &DataFile,
    mut wanted: IdSet,
) -> Result<Segment> {
    let id_name = file.table.id_column().unwrap_or_default();
    let options = ReadOptions {
        columns: Some(vec![id_name.to_owned(), "labels".to_owned()]),
        batch_rows: Some(BATCH_ROWS),
        schema: Some(with_dictionaries(&file.table.file_schema())),
        ..ReadOptions::default()
    };
    let mut batches = read_batches(objects, footers, file, &options).await?;
    let mut reader = Reader { builder: Builder::packed(key_label(file.table)), dictionaries: [None, None] };
    while let Some(batch) = batches.try_next().await? {
        reader.take(file, &batch, &mut wanted)?;
    }
    Ok(reader.builder.finish())
}

/// The schema with the texts of maps as dictionaries.
fn with_dictionaries(schema: &Schema) -> SchemaRef {
    let dictionary = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let text = |field: &Arc<Field>| Arc::new(Field::clone(field).with_data_type(dictionary()));
    let column = |field: &Arc<Field>| {
        let DataType::Map(entries, sorted) = field.data_type() else { return Arc::clone(field) };
        let DataType::Struct(parts) = entries.data_type() else { return Arc::clone(field) };
        let parts = DataType::Struct(parts.iter().map(text).collect());
        let entries = Arc::new(Field::clone(entries).with_data_type(parts));
        Arc::new(Field::clone(field).with_data_type(DataType::Map(entries, *sorted)))
    };
    Arc::new(Schema::new(schema.fields().iter().map(column).collect::<Vec<_>>()))
}

fn lacks(file: &DataFile, name: &str) -> Error {
    Error::corrupt(&file.key, format!("column `{name}` is missing or of another type"))
}

/// A symbol not looked up yet.
const UNKNOWN: u32 = u32::MAX;

/// Puts rows into a builder.
struct Reader {
    builder: Builder,
    /// The dictionaries of names and values seen last, and the symbols of their texts.
    dictionaries: [Option<(ArrayRef, Vec<u32>)>; 2],
}

impl Reader {
    fn take(&mut self, file: &DataFile, batch: &RecordBatch, wanted: &mut IdSet) -> Result<()> {
        let id_name = file.table.id_column().unwrap_or_default();
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| lacks(file, name));
        let ids = column(id_name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| lacks(file, id_name))?;
        let labels = column("labels")?.as_map_opt().ok_or_else(|| lacks(file, "labels"))?;
        let texts = |array: &ArrayRef| -> Result<DictionaryArray<Int32Type>> {
            let array = array.as_dictionary_opt::<Int32Type>().ok_or_else(|| lacks(file, "labels"))?;
            array.values().as_string_opt::<i32>().ok_or_else(|| lacks(file, "labels"))?;
            Ok(array.clone())
        };
        let (names, values) = (texts(labels.keys())?, texts(labels.values())?);
        for (part, texts) in [&names, &values].into_iter().enumerate() {
            self.note_dictionary(part, texts.values());
        }
        let offsets = labels.value_offsets();
        for row in 0..batch.num_rows() {
            // Of rows with the same id the first counts.
            if !wanted.remove(&ids.value(row)) {
                continue;
            }
            for place in offsets[row] as usize..offsets[row + 1] as usize {
                if values.is_null(place) {
                    continue;
                }
                let name = self.symbol(0, &names, place);
                let Some(value) = self.symbol_of_text(&values, place) else { continue };
                let pair = self.builder.pair(name, value);
                self.builder.add_pair(pair);
            }
            self.builder.finish_series(ids.value(row));
        }
        Ok(())
    }

    fn note_dictionary(&mut self, part: usize, texts: &ArrayRef) {
        let known = &mut self.dictionaries[part];
        if known.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, texts)) {
            *known = Some((Arc::clone(texts), vec![UNKNOWN; texts.len()]));
        }
    }

    /// The symbol of a value; `None` for the empty text, which means that the label is not set.
    fn symbol_of_text(&mut self, values: &DictionaryArray<Int32Type>, place: usize) -> Option<u32> {
        let symbol = self.symbol(1, values, place);
        (!self.builder.is_empty_text(symbol)).then_some(symbol)
    }

    fn symbol(&mut self, part: usize, array: &DictionaryArray<Int32Type>, place: usize) -> u32 {
        let entry = array.keys().value(place) as usize;
        let Some((texts, symbols)) = &mut self.dictionaries[part] else { return UNKNOWN };
        if symbols[entry] == UNKNOWN {
            symbols[entry] = self.builder.symbol(texts.as_string::<i32>().value(entry));
        }
        symbols[entry]
    }
}
