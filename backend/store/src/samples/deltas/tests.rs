use super::*;
use crate::wal::sim::Rng;

fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn folded(number: i64, to: &mut Vec<u8>) {
    varint((number << 1 ^ number >> 63).cast_unsigned(), to);
}

/// A page as the format describes it, with blocks of any size.
fn page(values: &[i64], values_a_block: usize, parts: usize) -> Vec<u8> {
    let mut page = Vec::new();
    for size in [values_a_block, parts, values.len()] {
        varint(size as u64, &mut page);
    }
    folded(values.first().copied().unwrap_or_default(), &mut page);
    let deltas: Vec<i64> = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    for block in deltas.chunks(values_a_block) {
        let least = block.iter().copied().min().unwrap_or_default();
        folded(least, &mut page);
        let of_part = |part: &[i64]| {
            let more = part.iter().map(|delta| delta.wrapping_sub(least).cast_unsigned());
            64 - more.fold(0, |bits, more| bits | more).leading_zeros()
        };
        let sizes: Vec<u32> = block.chunks(values_a_block / parts).map(of_part).collect();
        page.extend((0..parts).map(|part| sizes.get(part).map_or(0, |bits| *bits as u8)));
        for (part, bits) in block.chunks(values_a_block / parts).zip(sizes) {
            let mut bytes = vec![0_u8; values_a_block / parts / 8 * bits as usize];
            for (i, delta) in part.iter().enumerate() {
                let more = delta.wrapping_sub(least).cast_unsigned();
                for bit in (0..bits).filter(|bit| more >> bit & 1 == 1) {
                    let place = i * bits as usize + bit as usize;
                    bytes[place / 8] |= 1 << (place % 8);
                }
            }
            page.extend(bytes);
        }
    }
    page
}

fn open(page: &[u8], rows: usize) -> Result<Deltas, ParquetError> {
    let mut bytes = Buffer::of(page.len() + BYTES_BEHIND);
    bytes.bytes_mut().extend_from_slice(page);
    bytes.bytes_mut().extend_from_slice(&[0; BYTES_BEHIND]);
    Deltas::of(bytes, rows)
}

/// Reads and passes values in turns, as many at once as chance says; compares what is read.
fn check(page: &[u8], values: &[i64], rng: &mut Rng) -> Result<(), ParquetError> {
    let mut deltas = open(page, values.len())?;
    let mut at = 0;
    while at < values.len() {
        let count = rng.below(values.len() as u64 - at as u64 + 1) as usize;
        if rng.one_in(2) {
            deltas.skip(count)?;
        } else {
            let mut read = vec![7];
            deltas.read(count, &mut read)?;
            let read: Vec<i64> =
                read[1..].as_chunks().0.iter().map(|value| i64::from_le_bytes(*value)).collect();
            assert_eq!(read, values[at..at + count]);
        }
        at += count;
    }
    assert!(deltas.skip(1).is_err(), "there is no more");
    Ok(())
}

/// Times of a target that is asked every 15 s, mostly on time; now and then another target's begin.
fn times(count: usize, rng: &mut Rng) -> Vec<i64> {
    let mut time = 1_795_000_000_000_000_i64;
    let next = |_| {
        time += 15_000_000 + if rng.below(10) == 0 { rng.below(4_000) as i64 } else { 0 };
        if rng.below(240) == 0 {
            time -= 3_600_000_000;
        }
        time
    };
    (0..count).map(next).collect()
}

#[test]
fn values_are_those_that_were_written_however_they_are_asked_for() {
    let mut rng = Rng(5);
    for (values_a_block, parts) in [(128, 4), (256, 4), (64, 2), (32, 1), (1_024, 8)] {
        for count in [0, 1, 2, 32, 33, 128, 129, 1_000] {
            let even: Vec<i64> = (0..count as i64).map(|i| i * 15_000_000).collect();
            let any: Vec<i64> = (0..count).map(|_| rng.next().cast_signed()).collect();
            for bits in 0..64 {
                let mut value = 0_i64;
                let next = |_| {
                    value = value.wrapping_add((rng.next() >> (63 - bits)).cast_signed());
                    value
                };
                let some: Vec<i64> = (0..count).map(next).collect();
                check(&page(&some, values_a_block, parts), &some, &mut rng).unwrap();
            }
            for values in [even, any, times(count, &mut rng)] {
                check(&page(&values, values_a_block, parts), &values, &mut rng).unwrap();
            }
        }
    }
}

#[test]
fn what_is_cut_off_ends_with_an_error() {
    let mut rng = Rng(6);
    let values: Vec<i64> = (0..300).map(|_| rng.next().cast_signed() >> 3).collect();
    let page = page(&values, 128, 4);
    for end in 0..page.len() {
        let read = open(&page[..end], values.len())
            .and_then(|mut deltas| deltas.read(values.len(), &mut Vec::new()));
        // The last part may be filled up, which nobody reads.
        assert!(read.is_err() || end > page.len() - 128 / 4 * 8, "of {} bytes {end}", page.len());
    }
}

#[test]
fn what_makes_no_sense_ends_with_an_error_or_in_values() {
    let mut rng = Rng(7);
    let values = times(500, &mut rng);
    let page = page(&values, 128, 4);
    for _ in 0..20_000 {
        let mut broken = page.clone();
        for _ in 0..=rng.below(3) {
            let before = if rng.one_in(2) { 12 } else { page.len() as u64 };
            let place = rng.below(before) as usize;
            broken[place] = rng.next() as u8;
        }
        if let Ok(mut deltas) = open(&broken, values.len()) {
            let _ = deltas.skip(10);
            let mut read = Vec::new();
            if deltas.read(490, &mut read).is_ok() {
                assert_eq!(read.len(), 490 * 8);
            }
        }
    }
    assert!(open(&page, 499).is_err_and(|error| error.to_string().contains("500 differences for 499 rows")));
}
