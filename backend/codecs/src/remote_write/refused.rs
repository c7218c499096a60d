//! What was refused of a request, and why.

use std::fmt;

use model::HistogramError;
use thiserror::Error;

/// Refused series that are named; the others are counted.
const NAMED_MAX: usize = 10;
/// Bytes of a series' labels in a message, about.
const SERIES_TEXT_BYTES: usize = 300;

/// Why a series, or a part of it, was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message of each variant is its description")]
pub enum Reason {
    #[error("metric name is missing or empty")]
    NameMissing,
    #[error("label name is empty")]
    LabelNameEmpty,
    #[error("label name given twice")]
    LabelNameTwice,
    #[error("labels are not sorted by name")]
    LabelsUnsorted,
    #[error("labels are not valid utf-8")]
    NotUtf8,
    #[error("more than {0} labels")]
    TooManyLabels(usize),
    #[error("labels take more than {0} bytes")]
    LabelsTooLarge(usize),
    #[error("odd number of label references")]
    OddReferences,
    #[error("reference {reference} beyond the {symbols} symbols")]
    ReferenceOutOfRange { reference: u64, symbols: usize },
    #[error("sample is older than the one before it")]
    SampleOutOfOrder,
    #[error("histogram is older than the one before it")]
    HistogramOutOfOrder,
    #[error("histogram has more than {0} buckets")]
    TooManyBuckets(usize),
    #[error("{0}")]
    Histogram(HistogramError),
    #[error("exemplar: {0}")]
    Exemplar(ExemplarFault),
}

/// Why an exemplar was refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the message of each variant is its description")]
pub enum ExemplarFault {
    #[error("label name is empty")]
    LabelNameEmpty,
    #[error("label name given twice")]
    LabelNameTwice,
    #[error("labels are not valid utf-8")]
    NotUtf8,
    #[error("labels take more than {0} bytes")]
    LabelsTooLarge(usize),
    #[error("odd number of label references")]
    OddReferences,
    #[error("label reference beyond the symbols")]
    ReferenceOutOfRange,
}

impl Reason {
    /// Name for metrics: `name_missing` …
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NameMissing => "name_missing",
            Reason::LabelNameEmpty => "label_name_empty",
            Reason::LabelNameTwice => "label_name_twice",
            Reason::LabelsUnsorted => "labels_unsorted",
            Reason::NotUtf8 => "not_utf8",
            Reason::TooManyLabels(_) => "too_many_labels",
            Reason::LabelsTooLarge(_) => "labels_too_large",
            Reason::OddReferences => "odd_references",
            Reason::ReferenceOutOfRange { .. } => "reference_out_of_range",
            Reason::SampleOutOfOrder => "sample_out_of_order",
            Reason::HistogramOutOfOrder => "histogram_out_of_order",
            Reason::TooManyBuckets(_) => "too_many_buckets",
            Reason::Histogram(_) => "invalid_histogram",
            Reason::Exemplar(_) => "invalid_exemplar",
        }
    }
}

/// A series of which something was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesError {
    /// Its labels as text; cut short where they are long, with marks in place of what is not UTF-8.
    pub series: String,
    /// The first reason.
    pub reason: Reason,
}

/// What was refused of a request.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    /// Series of which something was refused.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// The first of the series.
    pub named: Vec<SeriesError>,
}

impl Refused {
    /// True where nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.series == 0
    }

    /// Notes a series of which something was refused, and names it while there is room.
    pub(super) fn note(&mut self, reason: Reason, pairs: &[(&[u8], &[u8])]) {
        self.series += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(SeriesError { series: series_text(pairs), reason });
        }
    }
}

/// The text of an answer with status 400.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "refused parts of {} series ({} samples, {} histograms, {} exemplars)",
            self.series, self.samples, self.histograms, self.exemplars
        )?;
        for error in &self.named {
            write!(f, "\n{}: {}", error.series, error.reason)?;
        }
        let more = self.series.saturating_sub(self.named.len() as u64);
        if more > 0 {
            write!(f, "\nand {more} more")?;
        }
        Ok(())
    }
}

fn series_text(pairs: &[(&[u8], &[u8])]) -> String {
    let mut text = String::from("{");
    for (number, (name, value)) in pairs.iter().enumerate() {
        if text.len() > SERIES_TEXT_BYTES {
            text.push_str(", …");
            break;
        }
        if number > 0 {
            text.push_str(", ");
        }
        text.push_str(&shortened(name));
        text.push('=');
        text.push_str(&format!("{:?}", shortened(value)));
    }
    text.push('}');
    text
}

fn shortened(bytes: &[u8]) -> String {
    let short = &bytes[..bytes.len().min(SERIES_TEXT_BYTES)];
    let text = String::from_utf8_lossy(short);
    if short.len() < bytes.len() { format!("{text}…") } else { text.into_owned() }
}
