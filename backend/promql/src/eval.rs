//! Evaluates a plan over a source: node by node, each over all steps at once. Comes in: a [`Plan`], a source,
//! limits; goes out: series on the plan's grid, with notes. Knows nothing of text, wire formats or clocks.

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::Labels;

use crate::annotations::Annotations;
use crate::error::{Error, Interrupt, Result};
use crate::grid::Grid;
use crate::plan::{Node, NodeKind, Plan};
use crate::series::{Column, StepSeries};
use crate::source::{SeriesData, SeriesSource};

mod aggregate;
mod answer;
mod binary;
mod call;
mod chunks;
mod histogram_call;
mod info;
mod labels;
mod mapping;
mod parallel;
mod range;
mod selector;
mod shared;
mod sort;
mod windows;

pub(crate) use answer::answer;

/// Error text for two series with the same labels at the same step.
const SAME_LABELSET: &str = "vector cannot contain metrics with the same labelset";

/// What evaluation depends on besides plan and source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) lookback_ms: i64,
    pub(crate) samples_max: usize,
    pub(crate) delayed_name_removal: bool,
    pub(crate) type_and_unit_labels: bool,
    pub(crate) start_timestamps: bool,
    /// Threads a single query may use.
    pub(crate) threads: usize,
}

impl Settings {
    /// The metric's name for notes; it may be gone already where names are dropped at once.
    fn metric_name(self, labels: &Labels) -> &str {
        if self.delayed_name_removal { labels.name() } else { "" }
    }
}

/// Asked between series whether to go on.
pub(crate) type InterruptFn<'a> = &'a (dyn Fn() -> Option<Interrupt> + Sync);

/// One evaluation: what all its nodes share.
pub(crate) struct Context<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) settings: Settings,
    /// True if the whole query has more than one step.
    pub(crate) range_query: bool,
    source: &'a dyn SeriesSource,
    interrupt: InterruptFn<'a>,
    fetched: Vec<OnceCell<Vec<Arc<SeriesData>>>>,
    notes: RefCell<Annotations>,
    /// Samples held by results of nodes.
    samples: AtomicUsize,
    /// Results that will be needed again.
    shared: RefCell<shared::Shared>,
    /// Whether a selection is being read while its series are evaluated.
    reading: Cell<bool>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        settings: Settings,
        range_query: bool,
        source: &'a dyn SeriesSource,
        interrupt: InterruptFn<'a>,
    ) -> Context<'a> {
        let fetched = plan.selections.iter().map(|_| OnceCell::new()).collect();
        let (notes, samples) = (RefCell::default(), AtomicUsize::new(0));
        let shared = RefCell::default();
        let reading = Cell::default();
        Context { plan, settings, range_query, source, interrupt, fetched, notes, samples, shared, reading }
    }

    /// The notes made so far.
    pub(crate) fn into_notes(self) -> Annotations {
        self.notes.into_inner()
    }

    fn check_interrupt(&self) -> Result<()> {
        (self.interrupt)().map_or(Ok(()), |interrupt| Err(interrupt.into()))
    }

    /// The series of a selection, asked for once.
    fn series(&self, selection: usize) -> Result<&[Arc<SeriesData>]> {
        let cell = &self.fetched[selection];
        if cell.get().is_none() {
            let series = self.source.select(&self.plan.selections[selection]).map_err(Error::Source)?;
            // Evaluation of nodes is sequential, so that nobody else has set it.
            let _ = cell.set(series);
        }
        Ok(cell.get().map_or(&[], Vec::as_slice))
    }

    fn is_streamed(&self, selection: usize) -> bool {
        self.source.is_streamed(&self.plan.selections[selection])
    }

    /// Hands the series of a selection to `take`, some at a time where the source wants it so.
    fn each_series_chunk(
        &self,
        selection: usize,
        take: &mut dyn FnMut(&[Arc<SeriesData>]) -> Result<()>,
    ) -> Result<()> {
        if !self.is_streamed(selection) {
            return take(self.series(selection)?);
        }
        let mut failure = None;
        let before = self.reading.replace(true);
        let read = self.source.for_each_chunk(&self.plan.selections[selection], &mut |series| match self
            .check_interrupt()
            .and_then(|()| take(&series))
        {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        });
        self.reading.set(before);
        failure.map_or_else(|| read.map_err(Error::Source), Err)
    }

    /// Samples held now.
    fn held(&self) -> usize {
        self.samples.load(Ordering::Relaxed).saturating_add(self.shared.borrow().samples())
    }

    /// Sets how many samples the results of nodes hold, or fails where that is too many.
    fn set_held(&self, samples: usize) -> Result<()> {
        self.samples.store(samples, Ordering::Relaxed);
        if self.held() > self.settings.samples_max { Err(Error::TooManySamples) } else { Ok(()) }
    }
}

/// What a node evaluates to.
#[derive(Clone, Debug)]
enum Evaluated {
    /// One float a step.
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<StepSeries>),
}

impl Evaluated {
    /// What it counts as against the sample limit.
    fn samples(&self) -> usize {
        match self {
            Evaluated::Scalar(values) => values.len(),
            Evaluated::Text(_) => 0,
            Evaluated::Vector(series) => series.iter().map(StepSeries::samples).sum(),
        }
    }
}

/// Evaluates nodes over a grid.
#[derive(Clone, Copy)]
struct Evaluator<'a> {
    context: &'a Context<'a>,
    grid: Grid,
}

impl<'a> Evaluator<'a> {
    fn over(self, grid: Grid) -> Evaluator<'a> {
        Evaluator { grid, ..self }
    }

    /// Evaluates a node. What is the same at all steps is computed once, and so is what the query says twice.
    fn eval(self, node: &Node) -> Result<Evaluated> {
        self.context.check_interrupt()?;
        match node.shared {
            Some(id) => self.eval_shared(node, id),
            None => self.eval_unshared(node),
        }
    }

    fn eval_unshared(self, node: &Node) -> Result<Evaluated> {
        let before = self.context.samples.load(Ordering::Relaxed);
        let evaluated = if self.grid.steps == 0 {
            nothing(node)
        } else if node.step_invariant && self.grid.steps > 1 {
            let once = self.over(Grid::instant(self.grid.start_ms)).eval_node(node)?;
            repeat(once, self.grid.steps)
        } else if self.streams(node) {
            Evaluated::Vector(self.collected(|take| self.each_chunk(node, take))?)
        } else {
            self.eval_node(node)?
        };
        let evaluated = self.without_names(evaluated)?;
        self.hold(before, &evaluated)?;
        Ok(evaluated)
    }

    fn eval_node(self, node: &Node) -> Result<Evaluated> {
        match &node.kind {
            NodeKind::Number(value) => Ok(Evaluated::Scalar(vec![*value; self.grid.steps])),
            NodeKind::Text(text) => Ok(Evaluated::Text(text.clone())),
            NodeKind::Selector(selector) => {
                self.collected(|take| self.selector(selector, node.span, take)).map(Evaluated::Vector)
            }
            NodeKind::Call { function, args } => self.call(node, function, args),
            NodeKind::Info(info) => self.info(info).map(Evaluated::Vector),
            NodeKind::Aggregate(aggregate) => self.aggregate(aggregate, node.span).map(Evaluated::Vector),
            NodeKind::Binary(binary) => self.binary(binary, node.span),
            NodeKind::Negate(inner) => Ok(negated(self.eval(inner)?)),
            // Only functions and whole queries take ranges; both ask for them themselves.
            NodeKind::Range(_) => Err(Error::evaluation("cannot do range evaluation of matrix selector")),
        }
    }

    fn vector(self, node: &Node) -> Result<Vec<StepSeries>> {
        match self.eval(node)? {
            Evaluated::Vector(series) => Ok(series),
            Evaluated::Scalar(_) | Evaluated::Text(_) => Err(Error::evaluation("expected an instant vector")),
        }
    }

    fn scalar(self, node: &Node) -> Result<Vec<f64>> {
        match self.eval(node)? {
            Evaluated::Scalar(values) => Ok(values),
            Evaluated::Vector(_) | Evaluated::Text(_) => Err(Error::evaluation("expected a scalar")),
        }
    }

    /// Counts the samples of a node's result in place of those its operands held.
    fn hold(self, before: usize, evaluated: &Evaluated) -> Result<()> {
        let samples = evaluated.samples();
        self.context.set_held(before.saturating_add(samples))
    }

    /// Drops names at once where that is not left to the end of the query.
    fn without_names(self, evaluated: Evaluated) -> Result<Evaluated> {
        match evaluated {
            Evaluated::Vector(series) if !self.context.settings.delayed_name_removal => {
                labels::drop_names(series).map(Evaluated::Vector)
            }
            evaluated => Ok(evaluated),
        }
    }

    fn note(self, add: impl FnOnce(&mut Annotations)) {
        add(&mut self.context.notes.borrow_mut());
    }
}

fn nothing(node: &Node) -> Evaluated {
    match node.value_type() {
        crate::ast::ValueType::Scalar => Evaluated::Scalar(Vec::new()),
        crate::ast::ValueType::String => Evaluated::Text(node.text().to_owned()),
        _ => Evaluated::Vector(Vec::new()),
    }
}

/// The value of one step, at every step.
fn repeat(once: Evaluated, steps: usize) -> Evaluated {
    match once {
        Evaluated::Scalar(values) => {
            Evaluated::Scalar(vec![values.first().copied().unwrap_or(f64::NAN); steps])
        }
        Evaluated::Text(text) => Evaluated::Text(text),
        Evaluated::Vector(series) => Evaluated::Vector(
            series
                .into_iter()
                .map(|series| {
                    let floats =
                        series.floats.get(0).map_or_else(Column::default, |v| Column::repeated(v, steps));
                    let histograms = match series.histograms.first() {
                        Some((_, histogram)) => {
                            (0..steps).map(|step| (step, Arc::clone(histogram))).collect()
                        }
                        None => Vec::new(),
                    };
                    StepSeries { floats, histograms, ..series }
                })
                .collect(),
        ),
    }
}

fn negated(evaluated: Evaluated) -> Evaluated {
    match evaluated {
        Evaluated::Scalar(mut values) => {
            values.iter_mut().for_each(|value| *value = -*value);
            Evaluated::Scalar(values)
        }
        Evaluated::Text(text) => Evaluated::Text(text),
        Evaluated::Vector(mut series) => {
            negate(&mut series);
            Evaluated::Vector(series)
        }
    }
}

fn negate(series: &mut [StepSeries]) {
    for series in series {
        series.drop_name = true;
        map_floats(&mut series.floats, |value| -value);
        for (_, histogram) in &mut series.histograms {
            Arc::make_mut(histogram).multiply(-1.0);
        }
    }
}

/// Applies `f` to every value, not to gaps.
fn map_floats(column: &mut Column, f: impl Fn(f64) -> f64) {
    for slot in column.slots_mut() {
        if !model::is_stale(*slot) {
            *slot = f(*slot);
        }
    }
}
