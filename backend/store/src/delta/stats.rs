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
#[cfg(test)]
pub(crate) fn of_batches(table: Table, batches: &[RecordBatch]) -> Result<String> {
    let mut stats = StatsBuilder::new(table);
    batches.iter().try_for_each(|batch| stats.add(batch))?;
    Ok(stats.finish())
}

/// Takes in rows batch by batch.
#[derive(Debug)]
pub(crate) struct StatsBuilder {
    rows: usize,
    columns: Vec<(&'static str, ColumnStats)>,
    table: Table,
}

#[derive(Debug, Default)]
struct ColumnStats {
    bounds: Option<Bounds>,
    nulls: usize,
}

/// Minimum and maximum.
#[derive(Debug, PartialEq)]
enum Bounds {
    Text(String, String),
    Number(i64, i64),
    /// Microseconds since the Unix epoch.
    Time(i64, i64),
}

impl StatsBuilder {
    pub(crate) fn new(table: Table) -> StatsBuilder {
        let columns = table.stats_columns().iter().map(|name| (*name, ColumnStats::default()));
        StatsBuilder { rows: 0, columns: columns.collect(), table }
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        for (name, stats) in &mut self.columns {
            let Some(column) = batch.column_by_name(name) else { continue };
            stats.nulls += column.null_count();
            stats.bounds = match (stats.bounds.take(), bounds(self.table, name, column)?) {
                (Some(known), Some(new)) => Some(known.widen(new)),
                (known, new) => known.or(new),
            };
        }
        Ok(())
    }

    /// Delta's JSON.
    pub(crate) fn finish(self) -> String {
        let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
        for (name, stats) in self.columns {
            if let Some((low, high)) = stats.bounds.and_then(Bounds::into_json) {
                least.insert(name.to_owned(), low);
                greatest.insert(name.to_owned(), high);
            }
            nulls.insert(name.to_owned(), json!(stats.nulls));
        }
        json!({"numRecords": self.rows, "minValues": least, "maxValues": greatest, "nullCount": nulls})
            .to_string()
    }
}

impl Bounds {
    fn widen(self, other: Bounds) -> Bounds {
        match (self, other) {
            (Bounds::Text(low, high), Bounds::Text(other_low, other_high)) => {
                Bounds::Text(low.min(other_low), high.max(other_high))
            }
            (Bounds::Number(low, high), Bounds::Number(other_low, other_high)) => {
                Bounds::Number(low.min(other_low), high.max(other_high))
            }
            (Bounds::Time(low, high), Bounds::Time(other_low, other_high)) => {
                Bounds::Time(low.min(other_low), high.max(other_high))
            }
            // A column has one type.
            (known, _) => known,
        }
    }

    fn into_json(self) -> Option<(Value, Value)> {
        Some(match self {
            Bounds::Text(low, high) => (json!(cut(&low)), json!(cut_up(&high)?)),
            Bounds::Number(low, high) => (json!(low), json!(high)),
            // Readers expect milliseconds: round outwards.
            Bounds::Time(low, high) => {
                let high_ms = high.div_euclid(1_000) + i64::from(high.rem_euclid(1_000) != 0);
                (json!(iso_ms(low.div_euclid(1_000))), json!(iso_ms(high_ms)))
            }
        })
    }
}

fn bounds(table: Table, name: &str, column: &ArrayRef) -> Result<Option<Bounds>> {
    let text = |low: Option<&str>, high: Option<&str>| {
        low.zip(high).map(|(low, high)| Bounds::Text(low.to_owned(), high.to_owned()))
    };
    Ok(match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            text(min_string(texts), max_string(texts))
        }
        DataType::Dictionary(_, value) if **value == DataType::Utf8 => dictionary_bounds(column),
        DataType::Int64 => {
            let numbers = column.as_primitive::<Int64Type>();
            min(numbers).zip(max(numbers)).map(|(low, high)| Bounds::Number(low, high))
        }
        DataType::Int8 => {
            let numbers = column.as_primitive::<Int8Type>();
            min(numbers).zip(max(numbers)).map(|(low, high)| Bounds::Number(low.into(), high.into()))
        }
        DataType::Timestamp(_, _) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            min(times).zip(max(times)).map(|(low, high)| Bounds::Time(low, high))
        }
        other => {
            let reason = format!("no statistics for column `{name}` of type `{other}`");
            return Err(Error::Schema { table: table.name(), reason });
        }
    })
}

/// Bounds of the texts rows refer to; the dictionary may hold more.
fn dictionary_bounds(column: &ArrayRef) -> Option<Bounds> {
    let dictionary = column.as_any_dictionary_opt()?;
    let texts = dictionary.values().as_string_opt::<i32>()?;
    let used = dictionary.normalized_keys();
    let mut seen = vec![false; texts.len()];
    for (row, key) in used.into_iter().enumerate() {
        seen[key] |= column.is_valid(row);
    }
    let used = || (0..texts.len()).filter(|&key| seen[key]).map(|key| texts.value(key));
    let (low, high) = (used().min()?, used().max()?);
    Some(Bounds::Text(low.to_owned(), high.to_owned()))
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
