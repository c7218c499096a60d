use proptest::prelude::*;

use super::write::*;
use super::*;

fn fields(message: &[u8]) -> Result<Vec<Field<'_>>> {
    let mut reader = Reader::new(message);
    let mut fields = Vec::new();
    while let Some(field) = reader.next()? {
        fields.push(field);
    }
    Ok(fields)
}

#[test]
fn every_wire_type_is_read() {
    // From the protobuf documentation: field 1 with 150, field 2 with "testing".
    let message = b"\x08\x96\x01\x12\x07testing\x19\0\0\0\0\0\0\xf0\x3f\x25\x01\0\0\0";
    let expected = [
        (1, Value::Varint(150)),
        (2, Value::Bytes(b"testing")),
        (3, Value::Fixed64(1f64.to_bits())),
        (4, Value::Fixed32(1)),
    ];
    assert_eq!(fields(message).unwrap(), expected);
}

#[test]
fn broken_messages_are_refused() {
    assert_eq!(fields(b"\x08"), Err(ProtobufError::Short));
    assert_eq!(fields(b"\x08\x80"), Err(ProtobufError::Short));
    assert_eq!(fields(b"\x12\x05abc"), Err(ProtobufError::Short));
    assert_eq!(fields(b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), Err(ProtobufError::Short));
    assert_eq!(fields(b"\x09\0\0"), Err(ProtobufError::Short));
    assert_eq!(fields(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), Err(ProtobufError::Integer));
    assert_eq!(fields(b"\x00\x01"), Err(ProtobufError::FieldNumber));
    assert_eq!(fields(b"\x0b"), Err(ProtobufError::WireType));
    assert_eq!(Value::Varint(1).double(7), Err(ProtobufError::Mismatch(7)));
    assert_eq!(Value::Bytes(b"\0\0").each_double(7, |_| ()), Err(ProtobufError::Short));
}

proptest! {
    #[test]
    fn what_is_written_is_read(uint: u64, int: i64, sint: i32, double in any::<u64>(), doubles: Vec<f64>, uints: Vec<u64>, text: Vec<u8>) {
        let mut out = Vec::new();
        put_uint(&mut out, 1, uint);
        put_int(&mut out, 2, int);
        put_sint(&mut out, 3, i64::from(sint));
        put_double(&mut out, 4, f64::from_bits(double));
        put_packed_doubles(&mut out, 5, &doubles);
        put_packed_varints(&mut out, 17, uints.iter().copied());
        put_nested(&mut out, 18, |out| put_bytes(out, 1, &text));
        let (mut read, mut read_doubles, mut read_uints) = ((0, 0, 0, 0), Vec::new(), Vec::new());
        let mut read_text: &[u8] = &[];
        for (number, value) in fields(&out).unwrap() {
            match number {
                1 => read.0 = value.uint(1).unwrap(),
                2 => read.1 = value.int(2).unwrap(),
                3 => read.2 = value.sint32(3).unwrap(),
                4 => read.3 = value.double(4).unwrap().to_bits(),
                5 => value.each_double(5, |value| read_doubles.push(value)).unwrap(),
                17 => value.each_varint(17, |value| read_uints.push(value)).unwrap(),
                _ => read_text = fields(value.bytes(18).unwrap()).unwrap()[0].1.bytes(1).unwrap(),
            }
        }
        prop_assert_eq!(read, (uint, int, sint, double));
        prop_assert_eq!(read_doubles, doubles);
        prop_assert_eq!(read_uints, uints);
        prop_assert_eq!(read_text, &text[..]);
    }

    #[test]
    fn no_bytes_make_it_panic(message: Vec<u8>) {
        for (number, value) in fields(&message).unwrap_or_default() {
            let _ = (value.bytes(number), value.int(number), value.sint32(number), value.double(number));
            let _ = value.each_varint(number, |_| ());
        }
    }
}
