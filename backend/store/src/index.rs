//! The series index: which series, or log streams, have which labels.
//!
//! Comes in: label sets as the head learns them, and files of `series` and `log_streams`. Goes out: series
//! that satisfy matchers, label names and values, counts by label. A [`segment::Segment`] holds series under
//! dense numbers with a posting list a label pair. The head's label sets are in a [`live::LiveIndex`], those
//! of files in a [`files::FileIndex`] that knows on which days a series has rows; [`query`] asks both.
//! Knows nothing of samples, log entries and query languages.

pub(crate) mod build;
pub(crate) mod cardinality;
mod decode;
pub(crate) mod files;
pub(crate) mod live;
mod postings;
pub(crate) mod query;
pub(crate) mod segment;
pub(crate) mod select;
mod warm;

#[cfg(test)]
mod tests;

use crate::tables::Table;

/// The label that leads the order of a table's series.
pub(crate) fn key_label(table: Table) -> &'static str {
    if table == Table::LogStreams { "service" } else { model::METRIC_NAME }
}
