//! Ranges: series of samples over time, from storage or from a subquery, and the windows that move over them.
//! One pass a series: both ends of the window only go forward.

use std::sync::Arc;

use model::{Labels, is_stale};

use super::chunks::TakeChunk;
use super::windows::{Ends, KnownEnds, Moving, WindowSettings};
use super::{Evaluated, Evaluator};
use crate::annotations::{self, Annotations};
use crate::ast::RangeMode;
use crate::error::{Error, Result, Span};
use crate::functions::FunctionDef;
use crate::functions::window::{FloatSeries, Resets, WindowFunction, counter_resets, exact_sums};
use crate::grid::Grid;
use crate::histogram::ResetHint;
use crate::plan::{Node, NodeKind, RangeNode, RangeSource};
use crate::series::{Column, StepSeries};
use crate::source::{HistogramSample, SeriesData};

/// One series of a range, without stale markers.
pub(super) struct RangeSeries {
    pub(super) data: Arc<SeriesData>,
    pub(super) drop_name: bool,
}

/// Takes some series of a range.
pub(super) type TakeRange<'t> = dyn FnMut(Vec<RangeSeries>) -> Result<()> + 't;

/// The same series without stale markers; shared where there are none.
pub(super) fn without_stale(data: &Arc<SeriesData>) -> Arc<SeriesData> {
    let stale_histogram = |sample: &HistogramSample| sample.histogram.is_stale();
    if !has_stale(&data.values) && !data.histograms.iter().any(stale_histogram) {
        return Arc::clone(data);
    }
    let kept: Vec<usize> = (0..data.values.len()).filter(|i| !is_stale(data.values[*i])).collect();
    let pick = |column: &[i64]| -> Vec<i64> { kept.iter().filter_map(|i| column.get(*i)).copied().collect() };
    Arc::new(SeriesData {
        labels: data.labels.clone(),
        timestamps: Arc::new(pick(&data.timestamps)),
        values: kept.iter().map(|i| data.values[*i]).collect(),
        starts: pick(&data.starts),
        histograms: data.histograms.iter().filter(|sample| !stale_histogram(sample)).cloned().collect(),
    })
}

/// Values looked at without a branch.
const STALE_IN_BLOCK: usize = 64;

/// Whether there is a stale marker.
fn has_stale(values: &[f64]) -> bool {
    values
        .chunks(STALE_IN_BLOCK)
        .any(|block| block.iter().fold(false, |stale, value| stale | is_stale(*value)))
}

impl Evaluator<'_> {
    /// Hands the series of a range to `take`, as far as this grid needs them.
    pub(super) fn range_series(self, range: &RangeNode, take: &mut TakeRange<'_>) -> Result<()> {
        match &range.source {
            RangeSource::Selector { selection, hints, .. } => {
                self.context.each_series_chunk(*selection, &mut |series| {
                    let series = super::selector::with_hints(series, *hints);
                    let keep = |data| RangeSeries { data: without_stale(data), drop_name: false };
                    take(series.iter().map(keep).collect())
                })
            }
            RangeSource::Subquery { expr, step_ms } => self.subquery(range, expr, *step_ms, take),
        }
    }

    /// Evaluates a subquery once for all windows, at multiples of its step.
    fn subquery(self, range: &RangeNode, expr: &Node, step_ms: i64, take: &mut TakeRange<'_>) -> Result<()> {
        let first = range.shift.apply(self.grid.start_ms).saturating_sub(range.range_ms);
        let last = range.shift.apply(self.grid.end_ms());
        // The first multiple of the step after the start, which itself is excluded.
        let start = first.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
        let grid = Grid::range(start, last, step_ms);
        if grid.steps > self.context.settings.samples_max {
            return Err(Error::TooManySamples);
        }
        self.over(grid).each_chunk(expr, &mut |series| {
            take(series.into_iter().map(|series| samples_of(series, grid)).collect())
        })
    }

    /// A window function with its scalar arguments; its series are handed to `take`.
    pub(super) fn window_call(
        self,
        function: &FunctionDef,
        window: WindowFunction,
        args: &[Node],
        take: &mut TakeChunk<'_>,
    ) -> Result<()> {
        let (range, mut parameters) = self.range_and_parameters(args)?;
        check_mode(function, window, range.mode)?;
        parameters.resize(2, Vec::new());
        let span = args.first().map_or(Span::default(), |arg| arg.span);
        let mut known = KnownEnds::default();
        self.range_series(range, &mut |series| {
            take(self.windows((window, span), range, &parameters, &series, &mut known)?)
        })
    }

    /// A window function over some series of its range.
    fn windows(
        self,
        (window, span): (WindowFunction, Span),
        range: &RangeNode,
        parameters: &[Vec<f64>],
        series: &[RangeSeries],
        known: &mut KnownEnds,
    ) -> Result<Vec<StepSeries>> {
        let use_starts = self.context.settings.start_timestamps;
        let type_labels = self.context.settings.type_and_unit_labels;
        let moving = Moving { grid: self.grid, range, lookback_ms: self.context.settings.lookback_ms };
        let work = self.window_work(range, series);
        let (held, limit) = (self.context.held(), self.context.settings.samples_max);
        let windows = moving.windows();
        let mut with_ends = |series: &'_ RangeSeries| {
            known.of(&series.data.timestamps, self.grid.steps, |times| moving.ends(times))
        };
        let series: Vec<(&RangeSeries, Option<Ends>)> =
            series.iter().map(|series| (series, with_ends(series))).collect();
        self.map_series(&series, work, |(series, ends), notes| {
            let drop_name = series.drop_name || !window.keeps_name;
            let mut out = StepSeries::new(series.data.labels.clone(), drop_name);
            let values = &series.data.values;
            let counted = if window.counts_resets { counter_resets(values) } else { None };
            let resets = match &counted {
                Some(resets) => Resets::Counted(resets),
                None if window.counts_resets => Resets::None,
                None => Resets::Unknown,
            };
            let own;
            let ends = match ends {
                Some(ends) => ends,
                None => {
                    own = moving.ends(&series.data.timestamps);
                    &own
                }
            };
            // The window counts as held as long as it is looked at.
            let longest = ends.iter().map(|(low, high)| high - low).max().unwrap_or(0);
            if held.saturating_add(longest) > limit {
                return Err(Error::TooManySamples);
            }
            let only_floats = range.mode == RangeMode::Plain
                && series.data.histograms.is_empty()
                && (!use_starts || series.data.starts.is_empty());
            if let Some(of_floats) = window.of_floats.filter(|_| only_floats) {
                let SeriesData { timestamps, values, .. } = &*series.data;
                let series = FloatSeries { timestamps, values, resets, ends, windows: &windows };
                out.floats = Column::from_slots(0, of_floats(&series));
            } else {
                let sums = if window.sums { exact_sums(values) } else { Vec::new() };
                let settings = WindowSettings { span, use_starts, resets, sums: &sums };
                moving.each_window(&series.data, ends, settings, |step, mut view| {
                    for (slot, values) in view.parameters.iter_mut().zip(parameters) {
                        *slot = values.get(step).copied().unwrap_or(f64::NAN);
                    }
                    if let Some(cell) = (window.run)(&view, notes)? {
                        out.push(step, cell);
                    }
                    Ok(())
                })?;
            }
            if window.counts_resets {
                note_non_counter(type_labels, &out, span, notes);
            }
            Ok(Some(out))
        })
    }

    /// About how many samples are looked at for a series: by some functions all of each window.
    fn window_work(self, range: &RangeNode, series: &[RangeSeries]) -> usize {
        let samples: usize = series.iter().map(|series| series.data.timestamps.len()).sum();
        let windows = u64::try_from(range.range_ms / self.grid.step_ms.max(1)).unwrap_or(0).max(1);
        let looked_at = (samples / series.len().max(1)).saturating_mul(usize::try_from(windows).unwrap_or(1));
        looked_at.max(self.grid.steps.saturating_mul(4))
    }

    /// The one range argument, and the values of the scalar ones.
    fn range_and_parameters(self, args: &[Node]) -> Result<(&RangeNode, Vec<Vec<f64>>)> {
        let mut range = None;
        let mut parameters = Vec::new();
        for arg in args {
            match &arg.kind {
                NodeKind::Range(node) => range = Some(&**node),
                _ => parameters.push(self.scalar(arg)?),
            }
        }
        let range = range.ok_or_else(|| Error::evaluation("expected a range vector"))?;
        Ok((range, parameters))
    }

    /// `absent_over_time`: one where no series has a sample.
    pub(super) fn absent_over_time(self, args: &[Node]) -> Result<Evaluated> {
        let (range, _) = self.range_and_parameters(args)?;
        let mut present = vec![false; self.grid.steps];
        let moving = Moving { grid: self.grid, range, lookback_ms: self.context.settings.lookback_ms };
        let settings = WindowSettings::default();
        self.range_series(range, &mut |series| {
            for series in &series {
                let ends = moving.ends(&series.data.timestamps);
                moving.each_window(&series.data, &ends, settings, |step, _| {
                    present[step] = true;
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        let matchers = match &range.source {
            RangeSource::Selector { matchers, .. } => &matchers[..],
            RangeSource::Subquery { .. } => &[],
        };
        Ok(super::call::ones_where_absent(&present, matchers))
    }
}

/// `rate` of what does not look like a counter is probably a mistake.
fn note_non_counter(type_labels: bool, out: &StepSeries, span: Span, notes: &mut Annotations) {
    let labels: &Labels = &out.labels;
    let name = labels.name();
    if name.is_empty() || out.floats.is_empty() {
        return;
    }
    if type_labels {
        let kind = labels.get("__type__").unwrap_or("");
        if kind != "counter" && kind != "histogram" {
            notes.add(annotations::possible_non_counter_label(name, kind), span);
        }
    } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix)) {
        notes.add(annotations::possible_non_counter(name), span);
    }
}

fn check_mode(function: &FunctionDef, window: WindowFunction, mode: RangeMode) -> Result<()> {
    let (allowed, name, picked): (bool, &str, fn(&WindowFunction) -> bool) = match mode {
        RangeMode::Plain => return Ok(()),
        RangeMode::Anchored => (window.anchored, "anchored", |window| window.anchored),
        RangeMode::Smoothed => (window.smoothed, "smoothed", |window| window.smoothed),
    };
    if allowed {
        return Ok(());
    }
    let names: Vec<&str> = crate::functions::all()
        .iter()
        .filter(|f| matches!(&f.body, crate::functions::Body::Window(window) if picked(window)))
        .map(|f| f.name)
        .collect();
    Err(Error::evaluation(format!(
        "{name} modifier can only be used with: {} - not with {}",
        names.join(", "),
        function.name
    )))
}

/// Steps of a subquery as samples. Reset hints are forgotten: resets between the steps may have been missed,
/// and the same sample may come more than once.
fn samples_of(series: StepSeries, grid: Grid) -> RangeSeries {
    let histograms = series.histograms.into_iter().map(|(step, mut histogram)| {
        if matches!(histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            Arc::make_mut(&mut histogram).reset_hint = ResetHint::Unknown;
        }
        HistogramSample { timestamp_ms: grid.time(step), start_ms: 0, histogram }
    });
    let (steps, values): (Vec<usize>, Vec<f64>) = series.floats.iter().unzip();
    let data = SeriesData {
        labels: series.labels,
        timestamps: Arc::new(steps.into_iter().map(|step| grid.time(step)).collect()),
        values,
        starts: Vec::new(),
        histograms: histograms.collect(),
    };
    RangeSeries { data: Arc::new(data), drop_name: series.drop_name }
}
