//! Statistics of a data file, as Delta's JSON keeps them: number of rows, minimum, maximum and number of
//! nulls of the columns files are pruned by. Bounds may be wider than the truth and are never narrower.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Int8Type, Int64Type, TimestampMicrosecondType};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::parquet_file::FileStats;
use crate::paths::{iso_ms, parse_iso_us};
use crate::tables::Table;

/// Longest string bound kept, in bytes.
const STRING_BOUND_BYTES: usize = 256;

/// Statistics of the rows as Delta's JSON.
pub(crate) fn of_batches(table: Table, batches: &[RecordBatch]) -> Result<String> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for &name in table.stats_columns() {
        let columns: Vec<&ArrayRef> = batches.iter().filter_map(|batch| batch.column_by_name(name)).collect();
        if let Some((low, high)) = bounds(table, name, &columns)? {
            least.insert(name.to_owned(), low);
            greatest.insert(name.to_owned(), high);
        }
        let null_count: usize = columns.iter().map(|column| column.null_count()).sum();
        nulls.insert(name.to_owned(), json!(null_count));
    }
    Ok(json!({"numRecords": rows, "minValues": least, "maxValues": greatest, "nullCount": nulls}).to_string())
}

fn bounds(table: Table, name: &str, columns: &[&ArrayRef]) -> Result<Option<(Value, Value)>> {
    let Some(first) = columns.first() else { return Ok(None) };
    Ok(match first.data_type() {
        DataType::Utf8 => {
            let low = columns.iter().filter_map(|column| min_string(column.as_string::<i32>())).min();
            let high = columns.iter().filter_map(|column| max_string(column.as_string::<i32>())).max();
            low.zip(high).and_then(|(low, high)| Some((json!(cut(low)), json!(cut_up(high)?))))
        }
        DataType::Int64 => {
            let low = columns.iter().filter_map(|column| min(column.as_primitive::<Int64Type>())).min();
            let high = columns.iter().filter_map(|column| max(column.as_primitive::<Int64Type>())).max();
            low.zip(high).map(|(low, high)| (json!(low), json!(high)))
        }
        DataType::Int8 => {
            let low = columns.iter().filter_map(|column| min(column.as_primitive::<Int8Type>())).min();
            let high = columns.iter().filter_map(|column| max(column.as_primitive::<Int8Type>())).max();
            low.zip(high).map(|(low, high)| (json!(low), json!(high)))
        }
        DataType::Timestamp(_, _) => {
            let times = || columns.iter().map(|column| column.as_primitive::<TimestampMicrosecondType>());
            let low = times().filter_map(min).min();
            let high = times().filter_map(max).max();
            // Readers expect milliseconds: round outwards.
            low.zip(high).map(|(low, high)| {
                let high_ms = high.div_euclid(1_000) + i64::from(high.rem_euclid(1_000) != 0);
                (json!(iso_ms(low.div_euclid(1_000))), json!(iso_ms(high_ms)))
            })
        }
        other => {
            let reason = format!("no statistics for column `{name}` of type `{other}`");
            return Err(Error::Schema { table: table.name(), reason });
        }
    })
}

/// A prefix sorts before the whole, so it is a lower bound.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(STRING_BOUND_BYTES)]
}

/// A prefix followed by the greatest character sorts after the whole, unless the whole goes on with that very
/// character; then there is no bound.
fn cut_up(text: &str) -> Option<String> {
    let prefix = cut(text);
    if prefix.len() == text.len() {
        return Some(text.to_owned());
    }
    (!text[prefix.len()..].starts_with(char::MAX)).then(|| format!("{prefix}{}", char::MAX))
}

/// Reads Delta's JSON: number of rows, and the bounds this program prunes by. What is missing or not
/// understood is `None`, which prunes nothing. `ours` tells that this program wrote the file; other writers
/// cut times to milliseconds.
pub(crate) fn parse(table: Table, stats: &str, ours: bool) -> (Option<u64>, FileStats) {
    let stats: Value = serde_json::from_str(stats).unwrap_or_default();
    let (least, greatest) = (&stats["minValues"], &stats["maxValues"]);
    let (first, last) = table.time_span_columns();
    let time = |value: &Value| value.as_str().and_then(parse_iso_us);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let id = |value: &Value| table.id_column().and_then(|name| value[name].as_i64());
    let file_stats = FileStats {
        min_ts_us: time(&least[first]),
        max_ts_us: time(&greatest[last]).map(|us| if ours { us } else { us + 999 }),
        min_key: text(&least[table.key_column()]),
        max_key: text(&greatest[table.key_column()]),
        min_id: id(least),
        max_id: id(greatest),
    };
    (stats["numRecords"].as_u64(), file_stats)
}

#[cfg(test)]
mod tests;
