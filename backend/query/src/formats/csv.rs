//! CSV after RFC 4180, safe to open in a spreadsheet: texts that a spreadsheet would run as a formula get a
//! `'` before them (OWASP, "CSV Injection").

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Encoder;
use super::cell::{Column, Shape};
use crate::answer::AnswerStats;
use crate::error::Result;

/// A header line, then a line a row. NULL is an empty cell, an empty text is `""`.
pub(super) struct CsvEncoder {
    schema: SchemaRef,
}

impl CsvEncoder {
    pub(super) fn new(schema: &SchemaRef) -> CsvEncoder {
        CsvEncoder { schema: SchemaRef::clone(schema) }
    }
}

impl Encoder for CsvEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        for (i, field) in self.schema.fields().iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_text(field.name(), out);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = batch.columns().iter().map(Column::new).collect::<Result<Vec<_>>>()?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                if column.is_null(row) {
                    continue;
                }
                text.clear();
                column.write_text(row, &mut text);
                match column.shape() {
                    Shape::Plain => out.extend_from_slice(text.as_bytes()),
                    Shape::Text | Shape::Nested => write_text(&text, out),
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn end(&mut self, _stats: &AnswerStats, _out: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let runs_as_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let needs_quotes = text.is_empty() || text.contains(['"', ',', '\n', '\r']);
    if needs_quotes {
        out.push(b'"');
    }
    if runs_as_formula {
        out.push(b'\'');
    }
    match needs_quotes {
        true => out.extend_from_slice(text.replace('"', "\"\"").as_bytes()),
        false => out.extend_from_slice(text.as_bytes()),
    }
    if needs_quotes {
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_disarmed() {
        let check = |text: &str, expect: &str| {
            let mut out = Vec::new();
            write_text(text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        };
        check("plain", "plain");
        check("", "\"\"");
        check("a,b", "\"a,b\"");
        check("say \"hi\"", "\"say \"\"hi\"\"\"");
        check("two\nlines", "\"two\nlines\"");
        check("=1+1", "'=1+1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("-2+3,x", "\"'-2+3,x\"");
        check("+49 30", "'+49 30");
        check("\tx", "'\tx");
    }
}
