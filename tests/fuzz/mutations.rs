//! Feeds every fuzz target with its seeds and with thousands of changes of them, the same ones in every run: what the
//! fuzzers check by the million, without their instrumented build. `ATL_FUZZ_MUTATIONS` sets how many a target.
//!
//! `seeds/TARGET` holds small sound inputs and every input that once broke something; the ignored test `write_seeds`
//! makes the sound ones again.

use std::alloc::System;
use std::fs;
use std::path::{Path, PathBuf};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

mod seeds;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Changed inputs a target.
const MUTATIONS: u64 = 20_000;
/// Bytes of a changed input, at most.
const INPUT_BYTES_MAX: usize = 64 << 10;
/// Bytes one input may allocate in all, whatever it claims to hold. Tests of other targets run beside it, so that this is
/// for all of them together: one input that allocates by a number it found has far more.
const ALLOCATED_BYTES_MAX: usize = 4 << 30;

/// Numbers that are at the edge of something.
const EDGES: [u64; 10] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, i64::MAX as u64, u64::MAX];

/// A small generator of numbers (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        start..(start + self.below(33)).min(length)
    }
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

fn seeds_of(target: &str) -> Vec<Vec<u8>> {
    let folder = folder(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("`{}`: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort_unstable();
    paths.into_iter().map(|path| fs::read(path).expect("a seed")).collect()
}

/// One change of `input`, of the kinds that libFuzzer makes.
fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    let (at, range) = (rng.below(input.len()), rng.range(input.len()));
    match rng.below(9) {
        0 if !input.is_empty() => input[at] ^= 1 << rng.below(8),
        1 if !input.is_empty() => input[at] = rng.next() as u8,
        2 => drop(input.drain(range)),
        3 => {
            let copy = input[range].to_vec();
            input.splice(at..at, copy);
        }
        4 => {
            let other = &seeds[rng.below(seeds.len())];
            let piece = other[rng.range(other.len())].to_vec();
            input.splice(range, piece);
        }
        5 => input.truncate(at),
        6 => {
            let number = EDGES[rng.below(EDGES.len())].to_le_bytes();
            let end = (at + 1 + rng.below(8)).min(input.len());
            let width = end.saturating_sub(at);
            input.splice(at.min(end)..end, number[..width].iter().copied());
        }
        7 => {
            // A long number of seven bits a byte.
            let bytes = std::iter::repeat_n(0xff, 1 + rng.below(10)).chain([rng.next() as u8 & 0x7f]);
            input.splice(at..at, bytes);
        }
        _ => input.insert(at, rng.next() as u8),
    }
}

/// Runs `check` on all seeds of a target and on changes of them.
fn feed(target: &str, check: fn(&[u8])) {
    let seeds = seeds_of(target);
    assert!(seeds.len() >= 3, "`{target}` has hardly any seeds");
    seeds.iter().for_each(|seed| check(seed));
    let asked = std::env::var("ATL_FUZZ_MUTATIONS").ok().and_then(|text| text.parse().ok());
    for number in 0..asked.unwrap_or(MUTATIONS) {
        let mut rng = Rng(number);
        let mut input = seeds[rng.below(seeds.len())].clone();
        for _ in 0..=rng.below(6) {
            change(&mut input, &seeds, &mut rng);
        }
        input.truncate(INPUT_BYTES_MAX);
        let before = ALLOCATOR.stats().bytes_allocated;
        let outcome = std::panic::catch_unwind(|| check(&input));
        let allocated = ALLOCATOR.stats().bytes_allocated.saturating_sub(before);
        assert!(outcome.is_ok(), "`{target}`, change {number}: {input:?}");
        assert!(
            allocated < ALLOCATED_BYTES_MAX,
            "`{target}`, change {number}: {allocated} bytes for {}",
            input.len()
        );
    }
}

#[test]
fn wal_replay() {
    feed("wal_replay", store::fuzzing::wal_replay);
}

#[test]
fn wal_record() {
    feed("wal_record", store::fuzzing::wal_record);
}

#[test]
fn token_sidecar() {
    feed("token_sidecar", store::fuzzing::token_sidecar);
}

#[test]
fn delta_log() {
    feed("delta_log", store::fuzzing::delta_log);
}

#[test]
fn parquet_footer() {
    feed("parquet_footer", store::fuzzing::parquet_footer);
}

#[test]
fn remote_write_v1() {
    feed("remote_write_v1", codecs::fuzzing::remote_write_v1);
}

#[test]
fn remote_write_v2() {
    feed("remote_write_v2", codecs::fuzzing::remote_write_v2);
}

#[test]
fn remote_read() {
    feed("remote_read", codecs::fuzzing::remote_read);
}

#[test]
fn edge_push() {
    feed("edge_push", codecs::fuzzing::edge_push);
}

#[test]
fn exposition() {
    feed("exposition", codecs::fuzzing::exposition);
}

#[test]
fn openmetrics() {
    feed("openmetrics", codecs::fuzzing::openmetrics);
}

#[test]
fn promql_parse() {
    feed("promql_parse", promql::fuzzing::parse);
}
