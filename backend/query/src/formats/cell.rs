//! One value of a column as JSON text.

use std::fmt::Write as _;
use std::io::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, StringArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::time::{date, rfc3339};
use crate::error::{QueryError, Result};

/// Largest integer every JSON reader keeps exactly: 2^53.
const SAFE_INTEGER: u64 = 1 << 53;

/// A column, ready to be written row by row.
pub(super) struct Column<'a> {
    array: &'a ArrayRef,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Signed(Box<dyn Fn(usize) -> i64 + 'a>),
    Unsigned(Box<dyn Fn(usize) -> u64 + 'a>),
    Float(Box<dyn Fn(usize) -> f64 + 'a>),
    Single(Box<dyn Fn(usize) -> f32 + 'a>),
    Text(&'a StringArray),
    Time(&'a [i64]),
    Date(&'a [i32]),
    Bytes(&'a BinaryArray),
    Map(&'a OffsetBuffer<i32>, Box<Column<'a>>, Box<Column<'a>>),
    List(&'a OffsetBuffer<i32>, Box<Column<'a>>),
    Struct(&'a StructArray, Vec<Column<'a>>),
    Other(ArrayFormatter<'a>),
}

/// What a value is, for formats that treat texts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Nested,
    Plain,
}

impl<'a> Column<'a> {
    pub(super) fn new(array: &'a ArrayRef) -> Result<Column<'a>> {
        Ok(Column { array, kind: kind(array)? })
    }

    pub(super) fn shape(&self) -> Shape {
        match self.kind {
            Kind::Text(_) | Kind::Other(_) => Shape::Text,
            Kind::Map(..) | Kind::List(..) | Kind::Struct(..) => Shape::Nested,
            _ => Shape::Plain,
        }
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Null) || self.array.is_null(row)
    }

    /// The value's text without quotes; empty for NULL.
    pub(super) fn write_text(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            return;
        }
        // Writing to a string cannot fail.
        let _ = match &self.kind {
            Kind::Null => Ok(()),
            Kind::Boolean(array) => write!(out, "{}", array.value(row)),
            Kind::Signed(value) => write!(out, "{}", value(row)),
            Kind::Unsigned(value) => write!(out, "{}", value(row)),
            Kind::Float(value) => write_float(value(row), out),
            Kind::Single(value) => write_single(value(row), out),
            Kind::Text(array) => out.write_str(array.value(row)),
            Kind::Time(values) => match rfc3339(values[row]) {
                Some(text) => out.write_str(&text),
                None => write!(out, "{}", values[row]),
            },
            Kind::Date(values) => match date(i64::from(values[row])) {
                Some(text) => out.write_str(&text),
                None => write!(out, "{}", values[row]),
            },
            Kind::Bytes(array) => array.value(row).iter().try_for_each(|byte| write!(out, "{byte:02x}")),
            Kind::Other(formatter) => write!(out, "{}", formatter.value(row)),
            Kind::Map(..) | Kind::List(..) | Kind::Struct(..) => {
                let mut json = Vec::new();
                self.write_json(row, &mut json);
                out.write_str(&String::from_utf8_lossy(&json))
            }
        };
    }

    /// The value as JSON. Integers past 2^53 and floats JSON cannot write are strings.
    pub(super) fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.kind {
            Kind::Text(array) => write_string(array.value(row), out),
            Kind::Map(offsets, keys, values) => {
                members(offsets, row, out, (b'{', b'}'), |entry, out| {
                    keys.write_key(entry, out);
                    out.push(b':');
                    values.write_json(entry, out);
                });
            }
            Kind::List(offsets, items) => {
                members(offsets, row, out, (b'[', b']'), |item, out| items.write_json(item, out));
            }
            Kind::Struct(array, columns) => {
                for (i, (field, column)) in array.fields().iter().zip(columns).enumerate() {
                    out.push(if i == 0 { b'{' } else { b',' });
                    write_string(field.name(), out);
                    out.push(b':');
                    column.write_json(row, out);
                }
                out.extend_from_slice(if columns.is_empty() { b"{}" } else { b"}" });
            }
            _ => self.write_scalar(row, out),
        }
    }

    fn write_scalar(&self, row: usize, out: &mut Vec<u8>) {
        let mut text = String::new();
        self.write_text(row, &mut text);
        let bare = match &self.kind {
            Kind::Boolean(_) => true,
            Kind::Signed(value) => value(row).unsigned_abs() <= SAFE_INTEGER,
            Kind::Unsigned(value) => value(row) <= SAFE_INTEGER,
            Kind::Float(value) => value(row).is_finite(),
            Kind::Single(value) => value(row).is_finite(),
            _ => false,
        };
        if bare { out.extend_from_slice(text.as_bytes()) } else { write_string(&text, out) }
    }

    /// The value as the name of a member.
    fn write_key(&self, row: usize, out: &mut Vec<u8>) {
        let mut text = String::new();
        self.write_text(row, &mut text);
        write_string(&text, out);
    }
}

/// A text as a JSON string.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    if serde_json::to_writer(&mut *out, text).is_err() {
        // A string always serialises and a vector always takes it.
        let _ = out.write_all(b"\"\"");
    }
}

fn write_float(value: f64, out: &mut String) -> std::fmt::Result {
    match value {
        _ if value.is_nan() => out.write_str("NaN"),
        f64::INFINITY => out.write_str("+Inf"),
        f64::NEG_INFINITY => out.write_str("-Inf"),
        // `{:?}` is the shortest text that reads back as the same number.
        _ => write!(out, "{value:?}"),
    }
}

fn write_single(value: f32, out: &mut String) -> std::fmt::Result {
    if value.is_finite() { write!(out, "{value:?}") } else { write_float(f64::from(value), out) }
}

fn members(
    offsets: &OffsetBuffer<i32>,
    row: usize,
    out: &mut Vec<u8>,
    (open, close): (u8, u8),
    mut write: impl FnMut(usize, &mut Vec<u8>),
) {
    out.push(open);
    let range = offsets[row] as usize..offsets[row + 1] as usize;
    for (i, at) in range.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(at, out);
    }
    out.push(close);
}

fn kind(array: &ArrayRef) -> Result<Kind<'_>> {
    Ok(match array.data_type() {
        DataType::Null => Kind::Null,
        DataType::Boolean => Kind::Boolean(array.as_boolean()),
        DataType::Int8 => signed::<Int8Type>(array),
        DataType::Int16 => signed::<Int16Type>(array),
        DataType::Int32 => signed::<Int32Type>(array),
        DataType::Int64 => signed::<Int64Type>(array),
        DataType::UInt8 => unsigned::<UInt8Type>(array),
        DataType::UInt16 => unsigned::<UInt16Type>(array),
        DataType::UInt32 => unsigned::<UInt32Type>(array),
        DataType::UInt64 => unsigned::<UInt64Type>(array),
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            Kind::Single(Box::new(move |row| values[row]))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            Kind::Float(Box::new(move |row| values[row]))
        }
        DataType::Utf8 => Kind::Text(array.as_string()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Kind::Time(array.as_primitive::<TimestampMicrosecondType>().values())
        }
        DataType::Date32 => Kind::Date(array.as_primitive::<Date32Type>().values()),
        DataType::Binary => Kind::Bytes(array.as_binary()),
        DataType::Map(_, _) => {
            let map = array.as_map();
            let (keys, values) = (Column::new(map.keys())?, Column::new(map.values())?);
            Kind::Map(map.offsets(), Box::new(keys), Box::new(values))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            Kind::List(list.offsets(), Box::new(Column::new(list.values())?))
        }
        DataType::Struct(_) => {
            let columns = array.as_struct();
            Kind::Struct(columns, columns.columns().iter().map(Column::new).collect::<Result<_>>()?)
        }
        _ => Kind::Other(
            ArrayFormatter::try_new(array.as_ref(), &OPTIONS)
                .map_err(|error| QueryError::plan(format!("cannot write a column as text: {error}")))?,
        ),
    })
}

static OPTIONS: FormatOptions<'static> = FormatOptions::new();

fn signed<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> Kind<'_> {
    let values = array.as_primitive::<T>().values();
    Kind::Signed(Box::new(move |row| values[row].into()))
}

fn unsigned<T: ArrowPrimitiveType<Native: Into<u64>>>(array: &ArrayRef) -> Kind<'_> {
    let values = array.as_primitive::<T>().values();
    Kind::Unsigned(Box::new(move |row| values[row].into()))
}
