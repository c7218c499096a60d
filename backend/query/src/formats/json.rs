//! JSON as one object, and as one object a row.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::json;

use super::Encoder;
use super::cell::{Column, write_string};
use crate::answer::AnswerStats;
use crate::error::{QueryError, Result};
use crate::types::type_name;

/// `{"columns":[…],"rows":[[…]],"row_count":…,"truncated":…,"elapsed_ms":…,"scanned":{…}}`.
pub(super) struct JsonEncoder {
    schema: SchemaRef,
    any: bool,
}

impl JsonEncoder {
    pub(super) fn new(schema: &SchemaRef) -> JsonEncoder {
        JsonEncoder { schema: SchemaRef::clone(schema), any: false }
    }

    fn tail(stats: &AnswerStats, error: Option<&QueryError>, out: &mut Vec<u8>) {
        let elapsed_ms = (stats.elapsed.as_secs_f64() * 1e6).round() / 1e3;
        let scanned = stats.scanned;
        let scanned = json!({
            "files": scanned.files,
            "row_groups": scanned.row_groups,
            "rows": scanned.rows,
            "bytes": scanned.bytes,
        });
        let tail = format!(
            "],\"row_count\":{},\"truncated\":{},\"elapsed_ms\":{elapsed_ms},\"scanned\":{scanned}",
            stats.rows, stats.truncated
        );
        out.extend_from_slice(tail.as_bytes());
        if let Some(error) = error {
            out.extend_from_slice(b",\"error\":");
            write_string(&error.message, out);
        }
        out.push(b'}');
    }
}

impl Encoder for JsonEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(b"{\"columns\":[");
        for (i, field) in self.schema.fields().iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"name\":");
            write_string(field.name(), out);
            out.extend_from_slice(b",\"type\":");
            write_string(&type_name(field.data_type()), out);
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"rows\":[");
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = batch.columns().iter().map(Column::new).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if self.any { b",\n[" } else { b"\n[" });
            self.any = true;
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                column.write_json(row, out);
            }
            out.push(b']');
        }
        Ok(())
    }

    fn end(&mut self, stats: &AnswerStats, out: &mut Vec<u8>) -> Result<()> {
        JsonEncoder::tail(stats, None, out);
        Ok(())
    }

    fn fail(&mut self, error: &QueryError, stats: &AnswerStats, out: &mut Vec<u8>) -> bool {
        JsonEncoder::tail(stats, Some(error), out);
        true
    }
}

/// `{"column":value,…}` and a newline for every row. NULLs are written.
pub(super) struct NdjsonEncoder {
    /// `"name":` of every column.
    names: Vec<Vec<u8>>,
}

impl NdjsonEncoder {
    pub(super) fn new(schema: &SchemaRef) -> NdjsonEncoder {
        let name = |field: &arrow::datatypes::FieldRef| {
            let mut name = Vec::new();
            write_string(field.name(), &mut name);
            name.push(b':');
            name
        };
        NdjsonEncoder { names: schema.fields().iter().map(name).collect() }
    }
}

impl Encoder for NdjsonEncoder {
    fn begin(&mut self, _out: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = batch.columns().iter().map(Column::new).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            out.push(b'{');
            for (i, (name, column)) in self.names.iter().zip(&columns).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name);
                column.write_json(row, out);
            }
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }

    fn end(&mut self, _stats: &AnswerStats, _out: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}
