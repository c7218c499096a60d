//! `label(labels, 'job')`: one value of a map column, NULL where the map lacks it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::error::QueryError;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Label {
    signature: Signature,
}

impl Label {
    pub(super) fn new() -> Label {
        Label { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Label {
    fn name(&self) -> &'static str {
        "label"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_map = |data_type: &DataType| match data_type {
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => fields.iter().all(|field| *field.data_type() == DataType::Utf8),
                _ => false,
            },
            _ => false,
        };
        match types {
            [map, name] if is_map(map) && (name.is_string() || *name == DataType::Null) => {
                Ok(vec![map.clone(), DataType::Utf8])
            }
            _ => Err(QueryError::plan("`label` takes a map column and a name: label(labels, 'job')").into()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [map, name] = <[ColumnarValue; 2]>::try_from(args.args)
            .map_err(|_| QueryError::plan("`label` takes two arguments"))?;
        let map = map.into_array(rows)?;
        let values: ArrayRef = match name {
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(name))) => {
                Arc::new(look_up(map.as_map(), |_| Some(&name)))
            }
            ColumnarValue::Scalar(_) => Arc::new(StringArray::new_null(rows)),
            ColumnarValue::Array(names) => {
                let names = names.as_string::<i32>();
                Arc::new(look_up(map.as_map(), |row| names.is_valid(row).then(|| names.value(row))))
            }
        };
        Ok(ColumnarValue::Array(values))
    }
}

fn look_up<'a>(map: &MapArray, name: impl Fn(usize) -> Option<&'a str>) -> StringArray {
    let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
    let offsets = map.value_offsets();
    let mut found = StringBuilder::with_capacity(map.len(), 0);
    for row in 0..map.len() {
        let entries = offsets[row] as usize..offsets[row + 1] as usize;
        let entry = match name(row) {
            Some(name) if map.is_valid(row) => entries.into_iter().find(|entry| keys.value(*entry) == name),
            _ => None,
        };
        found.append_option(entry.filter(|entry| values.is_valid(*entry)).map(|entry| values.value(entry)));
    }
    found.finish()
}
