//! Warnings and infos that come with a result, worded as Prometheus words them (`util/annotations`). The same
//! note at the same place counts once.

use std::collections::BTreeMap;

use crate::error::Span;
use crate::format::{float_g, line_column, quoted};
use crate::histogram::Total;

/// How serious a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The result may not be what was meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// One note: level and text, without its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Note {
    level: Level,
    text: String,
}

/// How bucket counts had to be corrected, over all steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MonotonicityFix {
    /// Upper bounds of the lowest and the highest bucket that were corrected.
    pub(crate) buckets: (f64, f64),
    /// The largest correction.
    pub(crate) difference_max: f64,
    /// Evaluation times of the first and last correction, milliseconds.
    pub(crate) times: (i64, i64),
    /// How many samples were corrected.
    pub(crate) samples: usize,
}

impl MonotonicityFix {
    fn join(&mut self, other: &MonotonicityFix) {
        self.buckets = (self.buckets.0.min(other.buckets.0), self.buckets.1.max(other.buckets.1));
        self.difference_max = self.difference_max.max(other.difference_max);
        self.times = (self.times.0.min(other.times.0), self.times.1.max(other.times.1));
        self.samples += other.samples;
    }
}

/// All notes of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    notes: BTreeMap<(Note, usize), Option<MonotonicityFix>>,
}

impl Annotations {
    /// True where there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    pub(crate) fn add(&mut self, note: Note, span: Span) {
        self.notes.entry((note, span.start)).or_insert(None);
    }

    pub(crate) fn add_monotonicity_fix(&mut self, metric: &str, span: Span, fix: MonotonicityFix) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let known = self.notes.entry((info(with_metric_name(text, metric)), span.start)).or_insert(None);
        match known {
            Some(known) => known.join(&fix),
            None => *known = Some(fix),
        }
    }

    /// Adds those of another evaluation of the same query.
    pub fn merge(&mut self, other: Annotations) {
        for (key, fix) in other.notes {
            match (self.notes.get_mut(&key), fix) {
                (Some(Some(known)), Some(fix)) => known.join(&fix),
                (Some(known), fix) => *known = known.or(fix),
                (None, fix) => {
                    self.notes.insert(key, fix);
                }
            }
        }
    }

    /// These notes at another place: what stood at `from` of the query stands at `to`.
    pub(crate) fn moved(self, from: usize, to: usize) -> Annotations {
        let place = |start: usize| (start + to).saturating_sub(from);
        let notes = self.notes.into_iter();
        Annotations { notes: notes.map(|((note, start), fix)| ((note, place(start)), fix)).collect() }
    }

    /// The texts of one level with their places in `query`, at most `max` of them; how many more there are is
    /// told in a last line.
    pub fn texts(&self, level: Level, query: &str, max: usize) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        let mut omitted = 0;
        for ((note, start), fix) in self.notes.iter().filter(|((note, _), _)| note.level == level) {
            if texts.len() == max {
                omitted += 1;
                continue;
            }
            let (line, column) = line_column(query, *start);
            let details = fix.as_ref().map_or(String::new(), describe);
            texts.push(format!("{}{details} ({line}:{column})", note.text));
        }
        if omitted > 0 {
            let name = if level == Level::Warning { "warning" } else { "info" };
            texts.push(format!("{omitted} more {name} annotations omitted"));
        }
        texts
    }

    /// All warnings.
    pub fn warnings(&self, query: &str) -> Vec<String> {
        self.texts(Level::Warning, query, usize::MAX)
    }

    /// All infos.
    pub fn infos(&self, query: &str) -> Vec<String> {
        self.texts(Level::Info, query, usize::MAX)
    }
}

fn describe(fix: &MonotonicityFix) -> String {
    let [from, to, difference] = [fix.buckets.0, fix.buckets.1, fix.difference_max].map(float_g);
    format!(
        ", from buckets {from} to {to}, with a max diff of {difference}, over {} samples from {} to {}",
        fix.samples,
        crate::functions::date::rfc3339(fix.times.0),
        crate::functions::date::rfc3339(fix.times.1)
    )
}

fn warning(text: impl AsRef<str>) -> Note {
    Note { level: Level::Warning, text: format!("PromQL warning: {}", text.as_ref()) }
}

fn info(text: impl AsRef<str>) -> Note {
    Note { level: Level::Info, text: format!("PromQL info: {}", text.as_ref()) }
}

fn with_metric_name(text: &str, metric: &str) -> String {
    if metric.is_empty() { text.to_owned() } else { format!("{text} for metric name {}", quoted(metric)) }
}

/// An operation on histograms, for the notes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramOperation {
    Addition,
    Subtraction,
    Aggregation,
}

impl HistogramOperation {
    fn name(self) -> &'static str {
        match self {
            HistogramOperation::Addition => "addition",
            HistogramOperation::Subtraction => "subtraction",
            HistogramOperation::Aggregation => "aggregation",
        }
    }
}

pub(crate) fn invalid_quantile(q: f64) -> Note {
    warning(format!("quantile value should be between 0 and 1, got {}", float_g(q)))
}

pub(crate) fn invalid_ratio(ratio: f64, capped: f64) -> Note {
    let (ratio, capped) = (float_g(ratio), float_g(capped));
    warning(format!("ratio value should be between -1 and 1, got {ratio}, capping to {capped}"))
}

pub(crate) fn bad_bucket_label(metric: &str, value: &str) -> Note {
    let text = format!("bucket label \"le\" is missing or has a malformed value of {}", quoted(value));
    warning(with_metric_name(&text, metric))
}

pub(crate) fn mixed_floats_histograms(metric: &str) -> Note {
    warning(format!("encountered a mix of histograms and floats for metric name {}", quoted(metric)))
}

pub(crate) fn mixed_floats_histograms_aggregation() -> Note {
    warning("encountered a mix of histograms and floats for aggregation")
}

pub(crate) fn mixed_classic_native(metric: &str) -> Note {
    warning(with_metric_name("vector contains a mix of classic and native histograms", metric))
}

pub(crate) fn histogram_not_counter(metric: &str) -> Note {
    warning(format!("this native histogram metric is not a counter: {}", quoted(metric)))
}

pub(crate) fn histogram_not_gauge(metric: &str) -> Note {
    warning(format!("this native histogram metric is not a gauge: {}", quoted(metric)))
}

pub(crate) fn mixed_exponential_custom(metric: &str) -> Note {
    warning(format!(
        "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
        quoted(metric)
    ))
}

pub(crate) fn incompatible_layout(operator: &str) -> Note {
    warning(format!("incompatible bucket layout encountered for binary operator {operator}"))
}

pub(crate) fn colliding_resets(operation: HistogramOperation) -> Note {
    warning(format!("conflicting counter resets during histogram {}", operation.name()))
}

pub(crate) fn sort_in_range_query() -> Note {
    warning("sort is ineffective for range queries since results are always ordered by labels")
}

pub(crate) fn start_time_overlap(metric: &str) -> Note {
    let metric = quoted(metric);
    warning(format!("sample has start time that overlaps with previous sample timestamp for metric {metric}"))
}

pub(crate) fn possible_non_counter(metric: &str) -> Note {
    info(format!(
        "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
        quoted(metric)
    ))
}

pub(crate) fn possible_non_counter_label(metric: &str, type_label: &str) -> Note {
    info(format!(
        "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
        quoted(type_label),
        quoted(metric)
    ))
}

pub(crate) fn incompatible_types(lhs: &str, operator: &str, rhs: &str) -> Note {
    info(format!(
        "incompatible sample types encountered for binary operator {}: {lhs} {operator} {rhs}",
        quoted(operator)
    ))
}

pub(crate) fn histogram_ignored_in_aggregation(aggregation: &str) -> Note {
    info(format!("ignored histogram in {aggregation} aggregation"))
}

pub(crate) fn histogram_ignored_in_range(metric: &str) -> Note {
    info(format!(
        "ignored histograms in a range containing both floats and histograms for metric name {}",
        quoted(metric)
    ))
}

pub(crate) fn quantile_nan_result(metric: &str) -> Note {
    let text = "input to histogram_quantile has NaN observations, result is NaN";
    info(with_metric_name(text, metric))
}

pub(crate) fn quantile_nan_skew(metric: &str) -> Note {
    let text = "input to histogram_quantile has NaN observations, result is skewed higher";
    info(with_metric_name(text, metric))
}

pub(crate) fn fraction_nan(metric: &str) -> Note {
    let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
    info(with_metric_name(text, metric))
}

pub(crate) fn reconciled_bounds(operation: HistogramOperation) -> Note {
    info(format!("mismatched custom buckets were reconciled during {}", operation.name()))
}

/// Notes what is to be told of a sum or mean of histograms.
pub(crate) fn note_total(total: &Total, span: Span, notes: &mut Annotations) {
    if total.hints_collide {
        notes.add(colliding_resets(HistogramOperation::Aggregation), span);
    }
    if total.bounds_reconciled {
        notes.add(reconciled_bounds(HistogramOperation::Aggregation), span);
    }
}
