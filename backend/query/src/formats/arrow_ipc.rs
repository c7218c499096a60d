//! The Arrow IPC stream format.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;

use super::Encoder;
use crate::answer::AnswerStats;
use crate::error::{QueryError, Result};

/// Writes batches as they are; buffers are not compressed, since readers in browsers lack zstd.
pub(super) struct ArrowEncoder {
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowEncoder {
    pub(super) fn new(schema: &SchemaRef) -> Result<ArrowEncoder> {
        Ok(ArrowEncoder { writer: StreamWriter::try_new(Vec::new(), schema).map_err(failed)? })
    }

    fn drain(&mut self, out: &mut Vec<u8>) {
        out.append(self.writer.get_mut());
    }
}

fn failed(error: arrow::error::ArrowError) -> QueryError {
    QueryError::plan(format!("cannot write the answer as arrow: {error}"))
}

impl Encoder for ArrowEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.drain(out);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.writer.write(batch).map_err(failed)?;
        self.drain(out);
        Ok(())
    }

    fn end(&mut self, _stats: &AnswerStats, out: &mut Vec<u8>) -> Result<()> {
        self.writer.finish().map_err(failed)?;
        self.drain(out);
        Ok(())
    }
}
