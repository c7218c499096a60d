//! Protocol Buffers by hand: the fields of one message, one after the other, borrowed from the body.
//!
//! Comes in: the bytes of a message. Goes out: field numbers with raw values. Knows no schema, allocates
//! nothing, and never panics on hostile bytes. Source: Protocol Buffers "Encoding".

use thiserror::Error;

pub(crate) mod write;

/// What is wrong with the bytes of a message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProtobufError {
    /// The message ends inside a field.
    #[error("ends inside a field")]
    Short,
    /// An integer of more than 64 bits.
    #[error("integer too long")]
    Integer,
    /// A field number of zero or beyond 29 bits.
    #[error("invalid field number")]
    FieldNumber,
    /// A group, or a wire type nobody defined.
    #[error("invalid wire type")]
    WireType,
    /// A known field with the wire type of another kind of field.
    #[error("field {0} has another wire type than its schema says")]
    Mismatch(u32),
}

type Result<T> = std::result::Result<T, ProtobufError>;

/// The raw value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// A field: its number and value.
pub(crate) type Field<'a> = (u32, Value<'a>);

/// Reads the fields of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Reader<'a> {
        Reader { left: message }
    }

    /// The next field; `None` at the end of the message.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = match u32::try_from(key >> 3) {
            Ok(number @ 1..=0x1fff_ffff) => number,
            _ => return Err(ProtobufError::FieldNumber),
        };
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.array()?)),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.array()?)),
            _ => return Err(ProtobufError::WireType),
        };
        Ok(Some((number, value)))
    }

    /// The next varint, of a field's key or of packed values.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64> {
        match self.left {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.left = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (i, byte) in self.left.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if i == 9 && bits > 1 {
                return Err(ProtobufError::Integer);
            }
            value |= bits << (7 * i);
            if *byte < 0x80 {
                self.left = &self.left[i + 1..];
                return Ok(value);
            }
        }
        Err(if self.left.len() < 10 { ProtobufError::Short } else { ProtobufError::Integer })
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let (array, rest) = self.left.split_first_chunk().ok_or(ProtobufError::Short)?;
        self.left = rest;
        Ok(array)
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| ProtobufError::Short)?;
        let (bytes, rest) = self.left.split_at_checked(length).ok_or(ProtobufError::Short)?;
        self.left = rest;
        Ok(bytes)
    }

    /// Number of bytes not read yet.
    pub(crate) fn len(&self) -> usize {
        self.left.len()
    }

    /// True where all is read.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }
}

impl<'a> Value<'a> {
    /// A nested message, string or bytes field.
    #[inline]
    pub(crate) fn bytes(self, number: u32) -> Result<&'a [u8]> {
        if let Value::Bytes(bytes) = self { Ok(bytes) } else { Err(ProtobufError::Mismatch(number)) }
    }

    /// A field of type `uint64`, `uint32`, `bool` or an enumeration.
    #[inline]
    pub(crate) fn uint(self, number: u32) -> Result<u64> {
        if let Value::Varint(value) = self { Ok(value) } else { Err(ProtobufError::Mismatch(number)) }
    }

    /// A field of type `int64`.
    #[inline]
    pub(crate) fn int(self, number: u32) -> Result<i64> {
        self.uint(number).map(u64::cast_signed)
    }

    /// A field of type `sint32`.
    pub(crate) fn sint32(self, number: u32) -> Result<i32> {
        // As every implementation does: bits beyond the type are cut off.
        self.uint(number).map(|value| unzigzag(value & 0xffff_ffff) as i32)
    }

    /// A field of type `double`.
    #[inline]
    pub(crate) fn double(self, number: u32) -> Result<f64> {
        if let Value::Fixed64(bits) = self {
            Ok(f64::from_bits(bits))
        } else {
            Err(ProtobufError::Mismatch(number))
        }
    }

    /// The values of a `repeated` field of varints, packed or not: calls `each` for every one.
    #[inline]
    pub(crate) fn each_varint(self, number: u32, mut each: impl FnMut(u64)) -> Result<()> {
        match self {
            Value::Varint(value) => each(value),
            Value::Bytes(packed) => {
                let mut packed = Reader::new(packed);
                while !packed.is_empty() {
                    each(packed.varint()?);
                }
            }
            _ => return Err(ProtobufError::Mismatch(number)),
        }
        Ok(())
    }

    /// The values of a `repeated` field of doubles, packed or not.
    pub(crate) fn each_double(self, number: u32, mut each: impl FnMut(f64)) -> Result<()> {
        match self {
            Value::Fixed64(bits) => each(f64::from_bits(bits)),
            Value::Bytes(packed) => {
                let (doubles, rest) = packed.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(ProtobufError::Short);
                }
                doubles.iter().for_each(|bytes| each(f64::from_le_bytes(*bytes)));
            }
            _ => return Err(ProtobufError::Mismatch(number)),
        }
        Ok(())
    }
}

/// Values in the `repeated` field of varints, packed or not.
pub(crate) fn varints_in(value: Value<'_>) -> usize {
    match value {
        Value::Bytes(packed) => packed.iter().filter(|byte| **byte < 0x80).count(),
        _ => 1,
    }
}

/// Undoes the encoding of `sint32` and `sint64`.
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests;
