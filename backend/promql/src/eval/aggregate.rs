//! Aggregations: groups of series become one series each, or fewer of themselves. Prometheus `rangeEvalAgg`.

use std::collections::HashMap;

use model::{Labels, METRIC_NAME};

use super::Evaluator;
use super::labels::{key_of, key_without};
use crate::annotations;
use crate::ast::{AggregateOp, Grouping};
use crate::error::{Error, Result, Span};
use crate::functions::quantile::is_valid;
use crate::plan::{AggregateNode, Node};
use crate::series::StepSeries;

mod choose;
mod count_values;
mod fold;
mod groups;

/// Series that are aggregated together.
struct Group<'a> {
    labels: Labels,
    members: Vec<&'a StepSeries>,
}

impl Group<'_> {
    /// True where any member's name is to go at the end.
    fn drops_name(&self) -> bool {
        self.members.iter().any(|series| series.drop_name)
    }
}

/// The labels that a group is known by.
fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    let mut builder = labels.to_builder();
    let listed = |name: &str| grouping.labels.iter().any(|label| label == name);
    if grouping.without {
        builder.retain(|name, _| name != METRIC_NAME && !listed(name));
    } else {
        builder.retain(|name, _| listed(name));
    }
    builder.build()
}

fn groups<'a>(series: &'a [StepSeries], grouping: &Grouping) -> Vec<Group<'a>> {
    let mut positions = HashMap::new();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for series in series {
        let key = if grouping.without {
            key_without(&series.labels, &grouping.labels)
        } else {
            key_of(&series.labels, &grouping.labels)
        };
        let at = *positions.entry(key).or_insert_with(|| {
            groups.push(Group { labels: group_labels(&series.labels, grouping), members: Vec::new() });
            groups.len() - 1
        });
        groups[at].members.push(series);
    }
    groups
}

impl Evaluator<'_> {
    pub(super) fn aggregate(self, aggregate: &AggregateNode, span: Span) -> Result<Vec<StepSeries>> {
        let AggregateNode { op, parameter, expr, grouping } = aggregate;
        if *op == AggregateOp::CountValues {
            let label = parameter.as_ref().map_or("", Node::text);
            if label.is_empty() {
                return Err(Error::evaluation(format!("invalid label name {label:?}")));
            }
            let series = self.vector(expr)?;
            return Ok(count_values::count_values(&groups(&series, grouping), label, grouping, self.grid));
        }
        let parameters = parameter.as_ref().map(|node| self.scalar(node)).transpose()?.unwrap_or_default();
        let parameter_span = parameter.as_ref().map_or(span, |node| node.span);
        match op {
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
                let series = self.vector(expr)?;
                if check_counts(&parameters)? {
                    let groups = groups(&series, grouping);
                    return self.choose_counted(*op, &groups, &parameters, span);
                }
                Ok(Vec::new())
            }
            AggregateOp::LimitRatio => {
                let series = self.vector(expr)?;
                if self.check_ratios(&parameters, parameter_span)? {
                    return Ok(choose::by_ratio(&series, &parameters));
                }
                Ok(Vec::new())
            }
            _ => {
                for q in parameters.iter().filter(|q| !is_valid(**q)) {
                    self.note(|notes| notes.add(annotations::invalid_quantile(*q), parameter_span));
                }
                self.fold(aggregate, &parameters)
            }
        }
    }

    /// False where there is nothing to choose; notes ratios that are cut.
    fn check_ratios(self, ratios: &[f64], span: Span) -> Result<bool> {
        if ratios.iter().all(|ratio| *ratio == 0.0) {
            return Ok(false);
        }
        if ratios.iter().any(|ratio| ratio.is_nan()) {
            return Err(Error::evaluation("Ratio value is NaN"));
        }
        let max = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let min = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        if max > 1.0 {
            self.note(|notes| notes.add(annotations::invalid_ratio(max, 1.0), span));
        }
        if min < -1.0 {
            self.note(|notes| notes.add(annotations::invalid_ratio(min, -1.0), span));
        }
        Ok(true)
    }
}

/// False where no step asks for anything.
fn check_counts(counts: &[f64]) -> Result<bool> {
    // 2^63, the least float that is no 64-bit integer.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if !counts.iter().any(|k| *k >= 1.0 || k.is_nan()) {
        return Ok(false);
    }
    for k in counts {
        if k.is_nan() {
            return Err(Error::evaluation("Parameter value is NaN"));
        }
        let problem = if *k <= -LIMIT {
            "underflows"
        } else if *k >= LIMIT {
            "overflows"
        } else {
            continue;
        };
        let value = crate::format::float_g(*k);
        return Err(Error::evaluation(format!("Scalar value {value} {problem} int64")));
    }
    Ok(true)
}
