//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`: over native histograms, and over classic
//! ones, whose buckets are series that differ in the label `le`. Prometheus `resetHistograms`.

use std::collections::HashMap;

use model::Labels;

use super::call::arg;
use super::{Evaluated, Evaluator, labels};
use crate::annotations::{self, Annotations, MonotonicityFix};
use crate::error::{Result, Span};
use crate::format::float_open_metrics;
use crate::functions::classic::{self, ClassicBucket};
use crate::functions::quantile::is_valid;
use crate::histogram::{Histogram, QuantileNote};
use crate::plan::Node;
use crate::series::StepSeries;

const BUCKET_LABEL: &str = "le";

/// A histogram's series: buckets of a classic one and, if the labels are the same, a native one.
struct Group<'a> {
    labels: Labels,
    /// Upper bounds with the series that count up to them.
    buckets: Vec<(f64, &'a StepSeries)>,
    native: Vec<&'a StepSeries>,
}

/// What a function computes of a step's histogram.
#[derive(Clone, Copy)]
enum Wanted {
    Quantile(f64),
    Fraction(f64, f64),
}

/// Where notes point to, and when.
#[derive(Clone, Copy)]
struct Place {
    span: Span,
    time_ms: i64,
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(self, args: &[Node]) -> Result<Evaluated> {
        let (quantile, vector) = (arg(args, 0)?, arg(args, 1)?);
        let quantiles = self.scalar(quantile)?;
        self.note_invalid(&quantiles, quantile.span);
        self.over_histograms(vector, |step| Wanted::Quantile(quantiles[step])).map(Evaluated::Vector)
    }

    pub(super) fn histogram_fraction(self, args: &[Node]) -> Result<Evaluated> {
        let (lower, upper) = (self.scalar(arg(args, 0)?)?, self.scalar(arg(args, 1)?)?);
        self.over_histograms(arg(args, 2)?, |step| Wanted::Fraction(lower[step], upper[step]))
            .map(Evaluated::Vector)
    }

    /// One result a quantile, told apart by a label that holds it.
    pub(super) fn histogram_quantiles(self, args: &[Node]) -> Result<Evaluated> {
        let label = arg(args, 1)?.text();
        let mut out = Vec::new();
        for quantile in args.iter().skip(2) {
            let quantiles = self.scalar(quantile)?;
            self.note_invalid(&quantiles, quantile.span);
            let series = self.over_histograms(arg(args, 0)?, |step| Wanted::Quantile(quantiles[step]))?;
            for series in series {
                let mut by_text: Vec<(String, StepSeries)> = Vec::new();
                for (step, value) in series.floats.iter() {
                    let text = float_open_metrics(quantiles[step]);
                    let at = by_text.iter().position(|(known, _)| *known == text).unwrap_or_else(|| {
                        let mut builder = series.labels.to_builder();
                        builder.set(label, &text);
                        by_text.push((text, StepSeries::new(builder.build(), true)));
                        by_text.len() - 1
                    });
                    by_text[at].1.floats.push(step, value);
                }
                out.extend(by_text.into_iter().map(|(_, series)| series));
            }
        }
        labels::merge_same_labels(out).map(Evaluated::Vector)
    }

    fn note_invalid(self, quantiles: &[f64], span: Span) {
        for q in quantiles.iter().filter(|q| !is_valid(**q)) {
            self.note(|notes| notes.add(annotations::invalid_quantile(*q), span));
        }
    }

    fn over_histograms(
        self,
        vector: &Node,
        wanted: impl Fn(usize) -> Wanted + Sync,
    ) -> Result<Vec<StepSeries>> {
        let series = self.vector(vector)?;
        let groups = self.histogram_groups(&series, vector.span);
        let (grid, span, settings) = (self.grid, vector.span, self.context.settings);
        let out = self.map_series(&groups, grid.steps.saturating_mul(8), |group, notes| {
            let metric = settings.metric_name(&group.labels);
            let mut out = StepSeries::new(group.labels.clone(), true);
            for step in 0..grid.steps {
                let place = Place { span, time_ms: grid.time(step) };
                if let Some(value) = histogram_step(group, step, wanted(step), metric, place, notes) {
                    out.floats.push(step, value);
                }
            }
            Ok(Some(out))
        })?;
        labels::merge_same_labels(out)
    }

    /// Groups series by their labels without `le`; notes floats that have no bound there.
    fn histogram_groups<'s>(self, series: &'s [StepSeries], span: Span) -> Vec<Group<'s>> {
        let mut positions: HashMap<Labels, usize> = HashMap::new();
        let mut groups: Vec<Group<'s>> = Vec::new();
        let mut group_of = |labels: Labels, groups: &mut Vec<Group<'s>>| {
            *positions.entry(labels.clone()).or_insert_with(|| {
                groups.push(Group { labels, buckets: Vec::new(), native: Vec::new() });
                groups.len() - 1
            })
        };
        for series in series {
            if !series.histograms.is_empty() {
                let at = group_of(series.labels.clone(), &mut groups);
                groups[at].native.push(series);
            }
            if series.floats.is_empty() {
                continue;
            }
            let text = series.labels.get(BUCKET_LABEL).unwrap_or("");
            let Some(bound) = parse_bound(text) else {
                let note =
                    annotations::bad_bucket_label(self.context.settings.metric_name(&series.labels), text);
                self.note(|notes| notes.add(note, span));
                continue;
            };
            let mut builder = series.labels.to_builder();
            builder.remove(BUCKET_LABEL);
            let at = group_of(builder.build(), &mut groups);
            groups[at].buckets.push((bound, series));
        }
        groups
    }
}

fn histogram_step(
    group: &Group<'_>,
    step: usize,
    wanted: Wanted,
    metric: &str,
    place: Place,
    notes: &mut Annotations,
) -> Option<f64> {
    let native = group.native.iter().find_map(|series| series.histogram(step));
    let buckets: Vec<ClassicBucket> = group
        .buckets
        .iter()
        .filter_map(|(upper, series)| {
            series.floats.get(step).map(|count| ClassicBucket { upper: *upper, count })
        })
        .collect();
    match (native, buckets.is_empty()) {
        (None, true) => None,
        (Some(histogram), true) => Some(of_native(histogram, wanted, metric, place, notes)),
        (None, false) => Some(of_classic(buckets, wanted, metric, place, notes)),
        (Some(_), false) => {
            notes.add(annotations::mixed_classic_native(metric), place.span);
            None
        }
    }
}

/// An upper bound as Go parses floats: `+Inf`, `1e3`, `0.5`.
fn parse_bound(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn of_native(
    histogram: &Histogram,
    wanted: Wanted,
    metric: &str,
    place: Place,
    notes: &mut Annotations,
) -> f64 {
    match wanted {
        Wanted::Quantile(q) => {
            let (value, note) = histogram.quantile(q);
            match note {
                None => {}
                Some(QuantileNote::NanResult) => {
                    notes.add(annotations::quantile_nan_result(metric), place.span);
                }
                Some(QuantileNote::NanSkew) => {
                    notes.add(annotations::quantile_nan_skew(metric), place.span);
                }
            }
            value
        }
        Wanted::Fraction(lower, upper) => {
            let (value, note) = histogram.fraction(lower, upper);
            if note.is_some() {
                notes.add(annotations::fraction_nan(metric), place.span);
            }
            value
        }
    }
}

fn of_classic(
    buckets: Vec<ClassicBucket>,
    wanted: Wanted,
    metric: &str,
    place: Place,
    notes: &mut Annotations,
) -> f64 {
    match wanted {
        Wanted::Quantile(q) => {
            let (value, correction) = classic::quantile(q, buckets);
            if let Some(correction) = correction {
                let fix = MonotonicityFix {
                    buckets: (correction.first, correction.last),
                    difference_max: correction.difference_max,
                    times: (place.time_ms, place.time_ms),
                    samples: 1,
                };
                notes.add_monotonicity_fix(metric, place.span, fix);
            }
            value
        }
        Wanted::Fraction(lower, upper) => classic::fraction(lower, upper, buckets),
    }
}
