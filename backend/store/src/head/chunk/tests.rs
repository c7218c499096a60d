use proptest::prelude::*;

use super::*;

fn check(samples: &[Sample]) -> Chunk {
    let mut chunk = Chunk::default();
    samples.iter().for_each(|(ms, value)| chunk.push(*ms, *value));
    let bits = |(ms, value): Sample| (ms, value.to_bits());
    let read: Vec<_> = chunk.encoded().iter().map(bits).collect();
    assert_eq!(read, samples.iter().copied().map(bits).collect::<Vec<_>>());
    assert_eq!(chunk.len(), samples.len());
    chunk
}

proptest! {
    #[test]
    fn any_samples_come_back(samples in prop::collection::vec((any::<i64>(), any::<u64>()), 0..200)) {
        check(&samples.into_iter().map(|(ms, bits)| (ms, f64::from_bits(bits))).collect::<Vec<_>>());
    }

    #[test]
    fn scrapes_come_back(steps in prop::collection::vec((14_000i64..16_000, -5i32..50), 0..200)) {
        let (mut ms, mut value) = (1_700_000_000_000, 0.0);
        let samples: Vec<Sample> = steps.into_iter().map(|(step, grow)| {
            ms += step;
            value += f64::from(grow);
            (ms, value)
        }).collect();
        check(&samples);
    }

    #[test]
    fn differences_at_the_edges_of_buckets(edge in prop::sample::select(vec![6u32, 7, 13, 14, 19, 20, 31, 62]), off in -2i64..3) {
        let jump = (1i64 << edge) + off;
        check(&[(0, 1.0), (10, 1.5), (20 + jump, -1.0), (30 + jump, f64::NAN), (jump, 0.0), (-jump, -0.0)]);
    }
}

#[test]
fn the_ends_of_the_number_range_and_every_nan_come_back() {
    check(&[
        (i64::MIN, f64::from_bits(u64::MAX)),
        (i64::MAX, model::stale_nan()),
        (i64::MIN, f64::from_bits(0x7ff0_0000_0000_0001)),
        (0, f64::from_bits(1)),
        (0, f64::from_bits(1 << 63)),
    ]);
}

#[test]
fn a_steady_constant_series_costs_two_bits_a_sample() {
    let samples: Vec<Sample> = (0..1_000).map(|i| (1_700_000_000_000 + i * 15_000, 1.0)).collect();
    let chunk = check(&samples);
    assert!(chunk.heap_bytes() < 400, "{} bytes", chunk.heap_bytes());
}
