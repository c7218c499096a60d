//! `info`: adds labels of info metrics, such as `target_info`, to series of the same instance and job.
//! Semantics: Prometheus `promql/info.go`; the info series are looked at as of the time of the base samples.

use std::collections::HashMap;

use model::{Labels, METRIC_NAME};

use super::{Evaluator, labels};
use crate::error::{Error, Result};
use crate::plan::InfoNode;
use crate::series::StepSeries;
use crate::source::SeriesData;

/// The labels that tell which series belong to an info series.
const IDENTIFYING_LABELS: [&str; 2] = ["instance", "job"];

/// Info series of one metric for one identity.
struct Candidates<'a> {
    metric: &'a str,
    series: Vec<&'a SeriesData>,
}

/// Values of the identifying labels, if any is set.
fn identity(labels: &Labels) -> Option<[&str; 2]> {
    let values = IDENTIFYING_LABELS.map(|name| labels.get(name).unwrap_or(""));
    values.iter().any(|value| !value.is_empty()).then_some(values)
}

impl Evaluator<'_> {
    pub(super) fn info(self, info: &InfoNode) -> Result<Vec<StepSeries>> {
        let base = self.vector(&info.base)?;
        let fetched = self.context.series(info.selection)?;
        let mut by_identity: HashMap<[&str; 2], Vec<Candidates<'_>>> = HashMap::new();
        for series in fetched {
            let Some(identity) = identity(&series.labels) else { continue };
            let metrics = by_identity.entry(identity).or_default();
            let metric = series.labels.name();
            match metrics.iter_mut().find(|candidates| candidates.metric == metric) {
                Some(candidates) => candidates.series.push(series),
                None => metrics.push(Candidates { metric, series: vec![series] }),
            }
        }
        let mut out = Vec::new();
        for series in base {
            let name = series.labels.name();
            // Info series themselves stay as they are.
            let is_info =
                !info.name_matchers.is_empty() && info.name_matchers.iter().all(|m| m.matches(name));
            if is_info && has_positive_matcher(info) {
                out.push(series);
                continue;
            }
            let candidates = identity(&series.labels).and_then(|identity| by_identity.get(&identity));
            self.enrich(info, &series, candidates.map_or(&[], Vec::as_slice), &mut out)?;
        }
        labels::merge_same_labels(out)
    }

    /// Splits a series by the labels that its info series have at each step.
    fn enrich(
        self,
        info: &InfoNode,
        series: &StepSeries,
        candidates: &[Candidates<'_>],
        out: &mut Vec<StepSeries>,
    ) -> Result<()> {
        let own = out.len();
        let unmatched_stays = info.data_matchers.iter().all(|matcher| matcher.matches(""));
        // Which info series applied at the step before, and where its values went.
        let mut current: Option<(Vec<&SeriesData>, usize)> = None;
        for step in series.bounds() {
            let Some(cell) = series.cell(step) else { continue };
            let mut time = self.grid.time(step);
            for shift in &info.shifts {
                time = shift.apply(time);
            }
            let mut found = Vec::with_capacity(candidates.len());
            for candidates in candidates {
                found.extend(self.newest(candidates, time)?);
            }
            if found.is_empty() && !unmatched_stays {
                current = None;
                continue;
            }
            let same = |known: &[&SeriesData]| {
                known.len() == found.len() && known.iter().zip(&found).all(|(a, b)| std::ptr::eq(*a, *b))
            };
            let at = match &current {
                Some((known, at)) if same(known) => *at,
                _ => {
                    let labels = enriched(&series.labels, &found, info)?;
                    let known = out[own..].iter().position(|known| known.labels == labels);
                    let at = known.map_or(out.len(), |known| own + known);
                    if at == out.len() {
                        out.push(StepSeries::new(labels, series.drop_name));
                    }
                    current = Some((found, at));
                    at
                }
            };
            out[at].push(step, cell.to_cell());
        }
        Ok(())
    }

    /// The info series with the newest sample at `time`; two equally new ones are a conflict.
    fn newest<'d>(self, candidates: &Candidates<'d>, time: i64) -> Result<Option<&'d SeriesData>> {
        let oldest = time.saturating_sub(self.context.settings.lookback_ms);
        let mut newest: Option<(i64, &'d SeriesData)> = None;
        for series in &candidates.series {
            let histograms = series.histograms.partition_point(|sample| sample.timestamp_ms <= time);
            if histograms > 0 && series.histograms[histograms - 1].timestamp_ms > oldest {
                return Err(Error::evaluation(format!(
                    "this should be an info metric, with float samples: {}",
                    labels::printed(&series.labels)
                )));
            }
            let after = series.timestamps.partition_point(|t| *t <= time);
            let Some(at) = after.checked_sub(1) else { continue };
            let sample_time = series.timestamps[at];
            if sample_time <= oldest || model::is_stale(series.values[at]) {
                continue;
            }
            match newest {
                Some((known_time, known)) if known_time == sample_time => {
                    return Err(Error::evaluation(format!(
                        "found duplicate series for info metric: existing {} @ {known_time}, new {} @ {sample_time}",
                        labels::printed(&known.labels),
                        labels::printed(&series.labels),
                    )));
                }
                Some((known_time, _)) if known_time > sample_time => {}
                _ => newest = Some((sample_time, series)),
            }
        }
        Ok(newest.map(|(_, series)| series))
    }
}

/// True unless the query only says which info metrics it does not want.
fn has_positive_matcher(info: &InfoNode) -> bool {
    use model::MatchOp::{Equal, Regex};
    info.name_matchers.iter().any(|matcher| matches!(matcher.op(), Equal | Regex))
}

/// The base labels with those of the info series; own labels win, info series must not contradict each other.
fn enriched(base: &Labels, found: &[&SeriesData], info: &InfoNode) -> Result<Labels> {
    let mut added = Labels::empty().to_builder();
    for series in found {
        for (name, value) in series.labels.iter() {
            let wanted = info.data_matchers.is_empty() || info.data_matchers.iter().any(|m| m.name() == name);
            if name == METRIC_NAME || !wanted {
                continue;
            }
            if added.get(name).is_some_and(|known| known != value) {
                return Err(Error::evaluation(format!("conflicting label: {name}")));
            }
            if base.get(name).is_none() {
                added.set(name, value);
            }
        }
    }
    let mut builder = base.to_builder();
    for (name, value) in added.iter() {
        builder.set(name, value);
    }
    Ok(builder.build())
}
