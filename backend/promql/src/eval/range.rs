//! Ranges: series of samples over time, from storage or from a subquery, and the windows that move over them.
//! One pass a series: both ends of the window only go forward.

use std::sync::Arc;

use model::{Labels, is_stale};

use super::chunks::TakeChunk;
use super::{Evaluated, Evaluator};
use crate::annotations::{self, Annotations};
use crate::ast::RangeMode;
use crate::error::{Error, Result, Span};
use crate::functions::FunctionDef;
use crate::functions::window::{Window, WindowFunction, counter_resets, exact_sums};
use crate::grid::Grid;
use crate::histogram::ResetHint;
use crate::plan::{Node, NodeKind, RangeNode, RangeSource};
use crate::series::StepSeries;
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
    if !data.values.iter().any(|value| is_stale(*value)) && !data.histograms.iter().any(stale_histogram) {
        return Arc::clone(data);
    }
    let kept: Vec<usize> = (0..data.values.len()).filter(|i| !is_stale(data.values[*i])).collect();
    let pick = |column: &[i64]| -> Vec<i64> { kept.iter().filter_map(|i| column.get(*i)).copied().collect() };
    Arc::new(SeriesData {
        labels: data.labels.clone(),
        timestamps: pick(&data.timestamps),
        values: kept.iter().map(|i| data.values[*i]).collect(),
        starts: pick(&data.starts),
        histograms: data.histograms.iter().filter(|sample| !stale_histogram(sample)).cloned().collect(),
    })
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
        self.range_series(range, &mut |series| {
            take(self.windows(window, args, range, &parameters, &series)?)
        })
    }

    /// A window function over some series of its range.
    fn windows(
        self,
        window: WindowFunction,
        args: &[Node],
        range: &RangeNode,
        parameters: &[Vec<f64>],
        series: &[RangeSeries],
    ) -> Result<Vec<StepSeries>> {
        let span = args.first().map_or(Span::default(), |arg| arg.span);
        let use_starts = self.context.settings.start_timestamps;
        let type_labels = self.context.settings.type_and_unit_labels;
        let moving = Moving { grid: self.grid, range, lookback_ms: self.context.settings.lookback_ms };
        let work = self.grid.steps.saturating_mul(4);
        let (held, limit) = (self.context.held(), self.context.settings.samples_max);
        self.map_series(series, work, |series, notes| {
            let drop_name = series.drop_name || !window.keeps_name;
            let mut out = StepSeries::new(series.data.labels.clone(), drop_name);
            let values = &series.data.values;
            let resets = if window.counts_resets { counter_resets(values) } else { Vec::new() };
            let sums = if window.sums { exact_sums(values) } else { Vec::new() };
            let settings = WindowSettings { span, use_starts, resets: &resets, sums: &sums };
            let mut longest = 0;
            moving.each_window(&series.data, settings, |step, mut view| {
                for (slot, values) in view.parameters.iter_mut().zip(parameters) {
                    *slot = values.get(step).copied().unwrap_or(f64::NAN);
                }
                longest = longest.max(view.timestamps.len());
                if let Some(cell) = (window.run)(&view, notes)? {
                    out.push(step, cell);
                }
                Ok(())
            })?;
            if window.counts_resets {
                note_non_counter(type_labels, &out, span, notes);
            }
            // The window counts as held as long as it is looked at.
            if held.saturating_add(longest) > limit {
                return Err(Error::TooManySamples);
            }
            Ok(Some(out))
        })
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
        let settings = WindowSettings { span: Span::default(), use_starts: false, resets: &[], sums: &[] };
        self.range_series(range, &mut |series| {
            for series in &series {
                moving.each_window(&series.data, settings, |step, _| {
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
        timestamps: steps.into_iter().map(|step| grid.time(step)).collect(),
        values,
        starts: Vec::new(),
        histograms: histograms.collect(),
    };
    RangeSeries { data: Arc::new(data), drop_name: series.drop_name }
}

/// A window moving over the steps of a grid.
pub(super) struct Moving<'a> {
    pub(super) grid: Grid,
    pub(super) range: &'a RangeNode,
    pub(super) lookback_ms: i64,
}

/// What windows of one series have in common.
#[derive(Clone, Copy)]
pub(super) struct WindowSettings<'a> {
    pub(super) span: Span,
    pub(super) use_starts: bool,
    pub(super) resets: &'a [u32],
    pub(super) sums: &'a [f64],
}

impl Moving<'_> {
    /// Calls `f` with every step whose window has samples.
    pub(super) fn each_window(
        &self,
        data: &SeriesData,
        settings: WindowSettings<'_>,
        mut f: impl FnMut(usize, Window<'_>) -> Result<()>,
    ) -> Result<()> {
        let mode = self.range.mode;
        let before = if mode == RangeMode::Plain { 0 } else { self.lookback_ms };
        let after = if mode == RangeMode::Smoothed { self.lookback_ms } else { 0 };
        let first_end = self.range.shift.apply(self.grid.start_ms);
        let first_start = first_end.saturating_sub(self.range.range_ms).saturating_sub(before);
        let mut low = data.timestamps.partition_point(|t| *t <= first_start);
        let mut high = low;
        let mut low_histogram = data.histograms.partition_point(|sample| sample.timestamp_ms <= first_start);
        let mut high_histogram = low_histogram;
        for (step, time_ms) in self.grid.times().enumerate() {
            let end_ms = self.range.shift.apply(time_ms);
            let start_ms = end_ms.saturating_sub(self.range.range_ms);
            let (oldest, newest) = (start_ms.saturating_sub(before), end_ms.saturating_add(after));
            while data.timestamps.get(high).is_some_and(|t| *t <= newest) {
                high += 1;
            }
            while low < high && data.timestamps[low] <= oldest {
                low += 1;
            }
            while data.histograms.get(high_histogram).is_some_and(|s| s.timestamp_ms <= newest) {
                high_histogram += 1;
            }
            while low_histogram < high_histogram && data.histograms[low_histogram].timestamp_ms <= oldest {
                low_histogram += 1;
            }
            if low == high && low_histogram == high_histogram {
                continue;
            }
            let window = Window {
                timestamps: &data.timestamps[low..high],
                values: &data.values[low..high],
                starts: if settings.use_starts { data.starts.get(low..high).unwrap_or(&[]) } else { &[] },
                resets: settings.resets.get(low..high).unwrap_or(&[]),
                sums: settings.sums.get(low..high).unwrap_or(&[]),
                histograms: &data.histograms[low_histogram..high_histogram],
                use_starts: settings.use_starts,
                time_ms,
                start_ms,
                end_ms,
                mode,
                parameters: [f64::NAN; 2],
                metric: data.labels.name(),
                span: settings.span,
            };
            f(step, window)?;
        }
        Ok(())
    }
}
