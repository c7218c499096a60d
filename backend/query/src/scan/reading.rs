//! Remembers which data file each task of a query is reading, since the Parquet decoder does not know the
//! name of the file it finds damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetFileReaderFactory,
};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::BoxFuture;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use store::parquet_file::check_format;

/// The files a query is decoding right now.
#[derive(Debug, Default)]
pub(crate) struct Reading(Mutex<BTreeMap<usize, Arc<str>>>);

impl Reading {
    /// Keys of the files, each once.
    pub(crate) fn files(&self) -> Vec<String> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names: BTreeSet<&str> = files.values().map(|file| file.as_ref()).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    fn note(&self, task: usize, file: &Arc<str>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(task, Arc::clone(file));
    }
}

/// Makes readers that tell `reading` when they fetch columns of their file.
#[derive(Debug)]
pub(super) struct NotingFactory {
    pub(super) inner: CachedParquetFileReaderFactory,
    pub(super) reading: Arc<Reading>,
}

impl ParquetFileReaderFactory for NotingFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let name = Arc::from(file.path().as_ref());
        let inner = self.inner.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(NotingReader { inner, task: partition_index, name, reading: Arc::clone(&self.reading) }))
    }
}

struct NotingReader {
    inner: Box<dyn AsyncFileReader + Send>,
    task: usize,
    name: Arc<str>,
    reading: Arc<Reading>,
}

impl AsyncFileReader for NotingReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.reading.note(self.task, &self.name);
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        self.reading.note(self.task, &self.name);
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let name = Arc::clone(&self.name);
        let footer = self.inner.get_metadata(options);
        Box::pin(async move {
            let footer = footer.await?;
            let known = check_format(&Path::from(name.as_ref()), &footer);
            known.map_err(|error| ParquetError::External(Box::new(error)))?;
            Ok(footer)
        })
    }
}
