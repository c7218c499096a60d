//! Label sets of results: dropping names, merging series that end up with the same labels, grouping, and
//! `label_replace` and `label_join`, which look at labels only.

use std::collections::HashMap;

use model::{Labels, METRIC_NAME};
use regex::Regex;

use super::{Evaluated, Evaluator, SAME_LABELSET};
use crate::error::{Error, Result};
use crate::plan::Node;
use crate::series::StepSeries;

/// Labels that describe the metric rather than the series.
pub(super) const METADATA_LABELS: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// The labels without name, type and unit.
pub(super) fn without_metadata(labels: &Labels) -> Labels {
    if !METADATA_LABELS.iter().any(|name| labels.get(name).is_some()) {
        return labels.clone();
    }
    let mut builder = labels.to_builder();
    builder.retain(|name, _| !METADATA_LABELS.contains(&name));
    builder.build()
}

/// Drops the names that are to go, then merges series that are the same now.
pub(super) fn drop_names(mut series: Vec<StepSeries>) -> Result<Vec<StepSeries>> {
    for series in &mut series {
        if series.drop_name {
            series.labels = without_metadata(&series.labels);
            series.drop_name = false;
        }
    }
    merge_same_labels(series)
}

/// Makes one series of those with the same labels; fails where two have a value at the same step.
pub(super) fn merge_same_labels(series: Vec<StepSeries>) -> Result<Vec<StepSeries>> {
    let mut positions: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut merged: Vec<StepSeries> = Vec::with_capacity(series.len());
    for series in series {
        let next = merged.len();
        let at = *positions.entry(series.labels.clone()).or_insert(next);
        if at == next {
            merged.push(series);
        } else if !merged[at].merge(series) {
            return Err(Error::evaluation(SAME_LABELSET));
        }
    }
    Ok(merged)
}

/// The part of a label set that decides what belongs together: borrowed, sorted by name.
pub(super) type Key<'a> = Vec<(&'a str, &'a str)>;

/// The labels in `names`.
pub(super) fn key_of<'a>(labels: &'a Labels, names: &[String]) -> Key<'a> {
    labels.iter().filter(|(name, _)| names.iter().any(|n| n == name)).collect()
}

/// The labels not in `names`, without the metric name.
pub(super) fn key_without<'a>(labels: &'a Labels, names: &[String]) -> Key<'a> {
    labels.iter().filter(|(name, _)| *name != METRIC_NAME && !names.iter().any(|n| n == name)).collect()
}

/// A label set printed like Prometheus does in errors, the metric name as a label.
pub(super) fn printed(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", crate::format::quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn check_label_name(name: &str, what: &str, function: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::evaluation(format!("invalid {what} label name in {function}(): {name}")));
    }
    Ok(())
}

impl Evaluator<'_> {
    /// `label_replace(v, dst, replacement, src, regex)`
    pub(super) fn label_replace(self, args: &[Node]) -> Result<Evaluated> {
        let [vector, dst, replacement, src, pattern] = args else {
            return Err(Error::evaluation("label_replace() takes five arguments"));
        };
        let (dst, replacement, src, pattern) = (dst.text(), replacement.text(), src.text(), pattern.text());
        let regex = Regex::new(&format!("^(?s:{pattern})$")).map_err(|_| {
            Error::evaluation(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        check_label_name(dst, "destination", "label_replace")?;
        let mut series = self.vector(vector)?;
        for series in &mut series {
            let value = series.labels.get(src).unwrap_or("");
            let Some(captures) = regex.captures(value) else { continue };
            let mut replaced = String::new();
            captures.expand(replacement, &mut replaced);
            set_label(series, dst, &replaced);
        }
        merge_same_labels(series).map(Evaluated::Vector)
    }

    /// `label_join(v, dst, separator, src…)`
    pub(super) fn label_join(self, args: &[Node]) -> Result<Evaluated> {
        let [vector, dst, separator, sources @ ..] = args else {
            return Err(Error::evaluation("label_join() takes at least three arguments"));
        };
        let dst = dst.text();
        for source in sources {
            check_label_name(source.text(), "source", "label_join")?;
        }
        check_label_name(dst, "destination", "label_join")?;
        let mut series = self.vector(vector)?;
        for series in &mut series {
            let values: Vec<&str> =
                sources.iter().map(|source| series.labels.get(source.text()).unwrap_or("")).collect();
            let joined = values.join(separator.text());
            set_label(series, dst, &joined);
        }
        merge_same_labels(series).map(Evaluated::Vector)
    }
}

/// Sets a label; a name that is set on purpose stays.
fn set_label(series: &mut StepSeries, name: &str, value: &str) {
    let mut builder = series.labels.to_builder();
    builder.set(name, value);
    series.labels = builder.build();
    if name == METRIC_NAME {
        series.drop_name = false;
    }
}
