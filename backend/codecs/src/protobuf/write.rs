//! Appends fields to a message. Fields with their default value are left out, as proto3 does.

/// Appends a varint without a key.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The encoding of `sint32` and `sint64`.
pub(crate) fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

fn put_key(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    put_varint(out, u64::from(number << 3 | wire_type));
}

/// Appends a field of type `uint64`, `uint32`, `bool` or an enumeration.
pub(crate) fn put_uint(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        put_key(out, number, 0);
        put_varint(out, value);
    }
}

/// Appends a field of type `int64`.
pub(crate) fn put_int(out: &mut Vec<u8>, number: u32, value: i64) {
    put_uint(out, number, value.cast_unsigned());
}

/// Appends a field of type `sint32` or `sint64`.
pub(crate) fn put_sint(out: &mut Vec<u8>, number: u32, value: i64) {
    put_uint(out, number, zigzag(value));
}

/// Appends a field of type `double`, even where it is 0: members of a `oneof` need that.
pub(crate) fn put_double_always(out: &mut Vec<u8>, number: u32, value: f64) {
    put_key(out, number, 1);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends a field of type `double`; -0.0 is not the default.
pub(crate) fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    if value.to_bits() != 0 {
        put_double_always(out, number, value);
    }
}

/// Appends a string or bytes field that is not empty.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_element(out, number, bytes);
    }
}

/// Appends an element of a `repeated` string or bytes field, even an empty one.
pub(crate) fn put_element(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_key(out, number, 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a `repeated` field of varints, packed.
pub(crate) fn put_packed_varints(out: &mut Vec<u8>, number: u32, values: impl IntoIterator<Item = u64>) {
    put_nested(out, number, |out| values.into_iter().for_each(|value| put_varint(out, value)));
}

/// Appends a `repeated` field of doubles, packed.
pub(crate) fn put_packed_doubles(out: &mut Vec<u8>, number: u32, values: &[f64]) {
    if !values.is_empty() {
        put_key(out, number, 2);
        put_varint(out, values.len() as u64 * 8);
        values.iter().for_each(|value| out.extend_from_slice(&value.to_bits().to_le_bytes()));
    }
}

/// Appends what `fill` writes as a nested message, unless it writes nothing.
pub(crate) fn put_nested(out: &mut Vec<u8>, number: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    put_message(out, number, fill);
    if out.last() == Some(&0) && out.len() - at == key_bytes(number) + 1 {
        out.truncate(at);
    }
}

/// Appends what `fill` writes as a nested message, even an empty one.
pub(crate) fn put_message(out: &mut Vec<u8>, number: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    put_key(out, number, 2);
    // Most messages are shorter than 128 bytes; others are moved to make room for their length.
    let length_at = out.len();
    out.push(0);
    fill(out);
    let length = out.len() - length_at - 1;
    if let Ok(length @ 0..=0x7f) = u8::try_from(length) {
        out[length_at] = length;
        return;
    }
    let mut varint = Vec::with_capacity(10);
    put_varint(&mut varint, length as u64);
    out.splice(length_at..=length_at, varint);
}

fn key_bytes(number: u32) -> usize {
    if number < 16 { 1 } else { 2 }
}
