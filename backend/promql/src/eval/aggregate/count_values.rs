//! `count_values`: how many series of a group have each value, told apart by a label.

use std::collections::HashMap;

use model::{Labels, METRIC_NAME};

use super::Group;
use crate::ast::Grouping;
use crate::format::float_decimal;
use crate::grid::Grid;
use crate::series::{CellRef, Column, StepSeries};

/// Values in order of appearance, with how often each comes at every step.
#[derive(Default)]
struct Counts {
    positions: HashMap<Labels, usize>,
    series: Vec<(StepSeries, Vec<f64>)>,
}

pub(super) fn count_values(
    groups: &[Group<'_>],
    label: &str,
    grouping: &Grouping,
    grid: Grid,
) -> Vec<StepSeries> {
    let mut counts = Counts::default();
    // `without` takes away the label of the values too, if it names it.
    let labelled = !grouping.without || grouping.labels.iter().all(|other| other != label);
    for group in groups {
        let drop_name = group.drops_name() && label != METRIC_NAME;
        let mut known: HashMap<String, usize> = HashMap::new();
        for series in &group.members {
            for step in series.bounds() {
                let value = match series.cell(step) {
                    None => continue,
                    Some(CellRef::Float(value)) => float_decimal(value),
                    Some(CellRef::Histogram(histogram)) => histogram.to_string(),
                };
                let at = *known.entry(value).or_insert_with_key(|value| {
                    let mut builder = group.labels.to_builder();
                    if labelled {
                        builder.set(label, value);
                    }
                    counts.position(builder.build(), drop_name, grid)
                });
                let slot = &mut counts.series[at].1[step];
                *slot = if model::is_stale(*slot) { 1.0 } else { *slot + 1.0 };
            }
        }
    }
    let finished = counts.series.into_iter().map(|(mut series, slots)| {
        series.floats = Column::from_slots(0, slots);
        series
    });
    finished.collect()
}

impl Counts {
    /// Where the series of these labels is; groups share it if the label takes the place of what tells them apart.
    fn position(&mut self, labels: Labels, drop_name: bool, grid: Grid) -> usize {
        *self.positions.entry(labels.clone()).or_insert_with(|| {
            let series = StepSeries::new(labels, drop_name);
            self.series.push((series, vec![model::stale_nan(); grid.steps]));
            self.series.len() - 1
        })
    }
}
