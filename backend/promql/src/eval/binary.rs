//! Binary operators: scalars with scalars, vectors with scalars, vectors with vectors.

use model::is_stale;

use super::chunks::vector_and_scalar;
use super::{Evaluated, Evaluator};
use crate::ast::{BinaryOp, ValueType};
use crate::error::{Error, Result, Span};
use crate::plan::BinaryNode;
use crate::series::{CellRef, Column, StepSeries};
use crate::value::Cell;

mod cells;
mod matching;
mod set;
mod vectors;

impl Evaluator<'_> {
    pub(super) fn binary(self, binary: &BinaryNode, span: Span) -> Result<Evaluated> {
        if let Some((vector, number, swapped)) = vector_and_scalar(binary) {
            let (vector, number) = (self.vector(vector)?, self.scalar(number)?);
            return Ok(Evaluated::Vector(self.with_scalar(binary, span, vector, &number, swapped)));
        }
        match (binary.lhs.value_type(), binary.rhs.value_type()) {
            (ValueType::Scalar, ValueType::Scalar) => {
                let (lhs, rhs) = (self.scalar(&binary.lhs)?, self.scalar(&binary.rhs)?);
                let values = lhs.into_iter().zip(rhs).map(|(a, b)| cells::scalars(binary.op, a, b)).collect();
                Ok(Evaluated::Scalar(values))
            }
            (ValueType::Vector, ValueType::Vector) => {
                let (lhs, rhs) = (self.vector(&binary.lhs)?, self.vector(&binary.rhs)?);
                if binary.op.is_set() {
                    return set::combine(binary, lhs, rhs).map(Evaluated::Vector);
                }
                self.vectors(binary, span, &lhs, &rhs).map(Evaluated::Vector)
            }
            _ => {
                Err(Error::evaluation("binary expression must contain only scalar and instant vector types"))
            }
        }
    }

    /// A vector with a scalar; `swapped` where the scalar stands on the left.
    pub(super) fn with_scalar(
        self,
        binary: &BinaryNode,
        span: Span,
        vector: Vec<StepSeries>,
        scalar: &[f64],
        swapped: bool,
    ) -> Vec<StepSeries> {
        let op = binary.op;
        let drops_name = op.changes_metric() || binary.return_bool;
        let mut out = Vec::with_capacity(vector.len());
        for mut series in vector {
            let drop_name = series.drop_name || drops_name;
            if series.histograms.is_empty() && !matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
                with_scalar_column(&mut series.floats, op, scalar, swapped, binary.return_bool);
                series.drop_name = drop_name;
                out.push(series);
                continue;
            }
            let mut result = StepSeries::new(series.labels.clone(), drop_name);
            for step in series.bounds() {
                let Some(cell) = series.cell(step) else { continue };
                let number = CellRef::Float(scalar[step]);
                let (lhs, rhs) = if swapped { (number, cell) } else { (cell, number) };
                let mut notes = self.context.notes.borrow_mut();
                let Some(applied) = cells::apply(op, lhs, rhs, span, &mut notes) else { continue };
                // A comparison keeps the vector's value, on whichever side it stands.
                let value = if op.is_comparison() && swapped { cell.to_cell() } else { applied.cell };
                if binary.return_bool {
                    result.push(step, Cell::Float(f64::from(u8::from(applied.keep))));
                } else if applied.keep {
                    result.push(step, value);
                }
            }
            out.push(result);
        }
        out.retain(|series| !series.is_empty());
        out
    }
}

fn with_scalar_column(column: &mut Column, op: BinaryOp, scalar: &[f64], swapped: bool, return_bool: bool) {
    let first = column.first();
    let pairs = column.slots_mut().iter_mut().zip(scalar.get(first..).unwrap_or(&[]));
    let present = pairs.filter(|(slot, _)| !is_stale(**slot));
    if op.is_comparison() {
        for (slot, number) in present {
            let holds =
                if swapped { cells::holds(op, *number, *slot) } else { cells::holds(op, *slot, *number) };
            *slot = match (return_bool, holds) {
                (true, holds) => f64::from(u8::from(holds)),
                (false, true) => *slot,
                (false, false) => model::stale_nan(),
            };
        }
        *column = Column::from_slots(first, column.slots().to_vec());
        return;
    }
    for (slot, number) in present {
        *slot = if swapped { cells::compute(op, *number, *slot) } else { cells::compute(op, *slot, *number) };
    }
}
