//! The tables' sort orders as DataFusion writes them, and head rows brought into them.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::Result;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use store::Table;

/// The order of a file's rows over `schema`, as far as its columns go. The tables of series are also in
/// order of `day` within one series, since a file holds one day.
pub(crate) fn ordering(table: Table, schema: &SchemaRef) -> Option<LexOrdering> {
    let day = table.time_column().is_none().then_some("day");
    lexical(table.sort_columns().iter().copied().chain(day), schema)
}

/// The order of rows that all have the same metric, service or probe.
pub(crate) fn ordering_within_key(table: Table, schema: &SchemaRef) -> Option<LexOrdering> {
    lexical(table.sort_columns()[1..].iter().copied(), schema)
}

fn lexical<'a>(columns: impl Iterator<Item = &'a str>, schema: &SchemaRef) -> Option<LexOrdering> {
    LexOrdering::new(columns.map_while(|name| col(name, schema).ok()).map(|expr| {
        PhysicalSortExpr::new(expr, arrow::compute::SortOptions { descending: false, nulls_first: false })
    }))
}

/// Head batches as runs, each a sequence of batches that together are in the order [`ordering`] promises.
pub(crate) fn sorted_runs(table: Table, batches: Vec<RecordBatch>) -> Result<Vec<Vec<RecordBatch>>> {
    let batches = batches.into_iter().filter(|batch| batch.num_rows() > 0);
    if table.time_column().is_none() {
        let mut runs = Vec::new();
        for batch in batches {
            runs.extend(split_by_day(batch)?.into_iter().map(|run| vec![run]));
        }
        return Ok(runs);
    }
    let batches: Vec<RecordBatch> = batches.collect();
    let edges: Vec<RecordBatch> =
        batches.iter().flat_map(|batch| [batch.slice(0, 1), batch.slice(batch.num_rows() - 1, 1)]).collect();
    if edges.is_empty() {
        return Ok(Vec::new());
    }
    let edges = comparable(&edges, table.sort_columns())?;
    let mut runs: Vec<Vec<RecordBatch>> = Vec::new();
    for (i, batch) in batches.into_iter().enumerate() {
        let follows = i > 0 && edges[2 * i - 1].row(0) <= edges[2 * i].row(0);
        match runs.last_mut() {
            Some(run) if follows => run.push(batch),
            _ => runs.push(vec![batch]),
        }
    }
    Ok(runs)
}

/// One batch a day: within a day a series has its place, across days it has several.
fn split_by_day(batch: RecordBatch) -> Result<Vec<RecordBatch>> {
    let days = batch.column(0).as_primitive::<Date32Type>();
    let mut distinct: Vec<i32> = days.values().to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() == 1 {
        return Ok(vec![batch]);
    }
    distinct
        .into_iter()
        .map(|day| {
            let wanted = days.values().iter().map(|value| Some(*value == day)).collect();
            Ok(arrow::compute::filter_record_batch(&batch, &wanted)?)
        })
        .collect()
}

fn comparable(batches: &[RecordBatch], columns: &[&str]) -> Result<Vec<Rows>> {
    let schema = batches[0].schema();
    let indices = columns.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
    let fields = indices.iter().map(|i| SortField::new(schema.field(*i).data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    batches
        .iter()
        .map(|batch| {
            let arrays: Vec<_> = indices.iter().map(|i| std::sync::Arc::clone(batch.column(*i))).collect();
            Ok(converter.convert_columns(&arrays)?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    /// Rows of `probes` reduced to what sorts them.
    fn batch(rows: &[(&str, i64)]) -> RecordBatch {
        let table = Table::Probes.sql_schema();
        let wanted = ["day", "probe", "location", "ts"];
        let indices: Vec<usize> = wanted.iter().map(|name| table.index_of(name).unwrap()).collect();
        let mut fields = indices.clone();
        fields.sort_unstable();
        let schema = Arc::new(table.project(&fields).unwrap());
        let times: TimestampMicrosecondArray = rows.iter().map(|(_, ts)| Some(*ts)).collect();
        RecordBatch::try_new(
            schema,
            vec![
                Arc::new(Date32Array::from(vec![0; rows.len()])),
                Arc::new(times.with_timezone("UTC")),
                Arc::new(rows.iter().map(|(probe, _)| Some(*probe)).collect::<StringArray>()),
                Arc::new(rows.iter().map(|_| Some("FRA")).collect::<StringArray>()),
            ],
        )
        .unwrap()
    }

    #[test]
    fn batches_that_follow_each_other_are_one_run() {
        let batches = vec![batch(&[("a", 1), ("a", 5)]), batch(&[("a", 5), ("b", 1)]), batch(&[("a", 9)])];
        let runs = sorted_runs(Table::Probes, batches).unwrap();
        assert_eq!(runs.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert!(sorted_runs(Table::Probes, Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn series_are_split_by_day() {
        let schema = Table::Series.sql_schema().project(&[0, 1]).unwrap();
        let days = Date32Array::from(vec![2, 1, 2]);
        let batch = RecordBatch::try_new(
            Arc::new(schema),
            vec![Arc::new(days), Arc::new(Int64Array::from(vec![7, 7, 8]))],
        )
        .unwrap();
        let runs = sorted_runs(Table::Series, vec![batch]).unwrap();
        assert_eq!(runs.iter().map(|run| run[0].num_rows()).collect::<Vec<_>>(), [1, 2]);
    }
}
