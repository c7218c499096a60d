//! Primitive encodings of log records: variable-length integers, floats, strings. Decoding checks every
//! length against what is left before it allocates.

use thiserror::Error;

/// Why a payload does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum WireError {
    /// The payload ends inside a value.
    #[error("payload ends early")]
    Short,
    /// A variable-length integer of more than 64 bits.
    #[error("integer too long")]
    Integer,
    /// A count larger than the bytes left could hold.
    #[error("count too large")]
    Count,
    /// Text that is not UTF-8.
    #[error("text is not utf-8")]
    Utf8,
    /// A tag or version this program does not know.
    #[error("unknown tag")]
    Tag,
    /// A record's number after which there is none.
    #[error("record number out of range")]
    Number,
    /// A label set that no surviving definition names.
    #[error("label set has no definition")]
    Undefined,
    /// Bytes after the end of the record.
    #[error("trailing bytes")]
    Trailing,
}

/// Appends `value` in LEB128, 7 bits a byte.
pub(crate) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` zigzag-encoded, so that small negative numbers stay short.
pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, zigzag(value));
}

/// Maps 0, -1, 1, -2 … to 0, 1, 2, 3 …
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends the eight bytes of `value`, bit for bit.
pub(crate) fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends length and bytes of `text`.
pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_u64(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends 0 for `None`, else length plus one and the bytes.
pub(crate) fn put_opt_str(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.push(0),
        Some(text) => {
            put_u64(out, text.len() as u64 + 1);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Appends name-value pairs with their count.
pub(crate) fn put_pairs(out: &mut Vec<u8>, pairs: &[(String, String)]) {
    put_u64(out, pairs.len() as u64);
    for (name, value) in pairs {
        put_str(out, name);
        put_str(out, value);
    }
}

/// Appends 0 for `None`, else 1 and the eight bytes.
pub(crate) fn put_opt_f64(out: &mut Vec<u8>, value: Option<f64>) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put_f64(out, value);
    }
}

/// Appends 0 for `None`, else 1 and the zigzag integer.
pub(crate) fn put_opt_i64(out: &mut Vec<u8>, value: Option<i64>) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put_i64(out, value);
    }
}

/// Reads what the `put_*` functions wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Reader<'a> {
        Reader { left: payload }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.left.split_at_checked(count).ok_or(WireError::Short)?;
        self.left = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        let (first, tail) = self.left.split_first().ok_or(WireError::Short)?;
        self.left = tail;
        Ok(*first)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireError::Integer);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Integer)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, WireError> {
        Ok(unzigzag(self.u64()?))
    }

    pub(crate) fn f64(&mut self) -> Result<f64, WireError> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(f64::from_bits(u64::from_le_bytes(bytes)))
    }

    /// A count of things of at least `bytes_each` bytes, refused where they cannot fit in what is left.
    pub(crate) fn count(&mut self, bytes_each: usize) -> Result<usize, WireError> {
        let count = usize::try_from(self.u64()?).map_err(|_| WireError::Count)?;
        match count.checked_mul(bytes_each) {
            Some(bytes) if bytes <= self.left.len() => Ok(count),
            _ => Err(WireError::Count),
        }
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, WireError> {
        let length = self.count(1)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| WireError::Utf8)
    }

    pub(crate) fn string(&mut self) -> Result<String, WireError> {
        Ok(self.str()?.to_owned())
    }

    pub(crate) fn opt_string(&mut self) -> Result<Option<String>, WireError> {
        let Some(length) = self.u64()?.checked_sub(1) else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_| WireError::Short)?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| WireError::Utf8)?;
        Ok(Some(text.to_owned()))
    }

    pub(crate) fn pairs(&mut self) -> Result<Vec<(String, String)>, WireError> {
        let count = self.count(2)?;
        (0..count).map(|_| Ok((self.string()?, self.string()?))).collect()
    }

    pub(crate) fn opt_f64(&mut self) -> Result<Option<f64>, WireError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.f64().map(Some),
            _ => Err(WireError::Tag),
        }
    }

    pub(crate) fn opt_i64(&mut self) -> Result<Option<i64>, WireError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.i64().map(Some),
            _ => Err(WireError::Tag),
        }
    }

    /// Whether everything is read.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn finish(self) -> Result<(), WireError> {
        if self.left.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}
