//! Wraps functions that can make long strings from short ones, and refuses large results before they are
//! made: the engine's memory limit does not see what a single call allocates.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::error::{QueryError, QueryErrorKind};

/// Longest string one call makes, in bytes.
const LENGTH_MAX: i64 = 1 << 20;
/// Most bytes the results of one batch may have.
const BATCH_BYTES_MAX: i64 = 128 << 20;

/// How long a result can become, from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Growth {
    /// First argument, as often as the second says.
    Repeated,
    /// As many characters as the second argument says.
    Padded,
    /// All arguments one after another; the first between all others, for `concat_ws`.
    Joined,
    /// First argument, with the third in the place of every character, at most.
    Replaced,
}

/// A function with a limit on its results.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Bounded {
    pub(super) fn new(inner: Arc<ScalarUDF>, growth: Growth) -> Bounded {
        Bounded { inner, growth }
    }

    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let lengths = self.lengths(args)?;
        let mut total = 0i64;
        for row in 0..args.number_rows {
            let length = self.result_length(&lengths, row);
            total = total.saturating_add(length);
            if length > LENGTH_MAX || total > BATCH_BYTES_MAX {
                let message = format!("`{}` would make strings that are too long", self.name());
                return Err(QueryError::new(QueryErrorKind::Memory, message).into());
            }
        }
        Ok(())
    }

    /// What counts of every argument: the value of a number, the length of a string in bytes.
    fn lengths(&self, args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
        let counted = |arg: &ColumnarValue| -> Result<ArrayRef> {
            let array = arg.to_array(args.number_rows)?;
            if array.data_type().is_numeric() {
                return Ok(cast(&array, &DataType::Int64)?);
            }
            // Of anything else the text is what is joined.
            let text = if array.data_type().is_string() { array } else { cast(&array, &DataType::Utf8)? };
            Ok(cast(&length(&text)?, &DataType::Int64)?)
        };
        args.args.iter().map(counted).collect()
    }

    fn result_length(&self, lengths: &[ArrayRef], row: usize) -> i64 {
        let at = |argument: usize| {
            let array = lengths.get(argument).map(|array| array.as_primitive::<Int64Type>());
            array.filter(|array| array.is_valid(row)).map_or(0, |array| array.value(row).max(0))
        };
        match self.growth {
            Growth::Repeated => at(0).saturating_mul(at(1)),
            Growth::Padded => at(1).saturating_mul(4),
            Growth::Joined => {
                (0..lengths.len()).map(|i| at(i).saturating_add(at(0))).fold(0, i64::saturating_add)
            }
            Growth::Replaced => at(0).saturating_add(at(0).saturating_add(1).saturating_mul(at(2))),
        }
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
