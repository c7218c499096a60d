use proptest::prelude::*;

use super::*;

fn sidecar(groups: usize, tokens: u64) -> Sidecar {
    let hashes = |group: usize| -> Vec<u64> {
        (0..tokens).map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (group as u64) << 40).collect()
    };
    let all: Vec<u64> = (0..groups).flat_map(hashes).collect();
    let of_groups = if groups == 1 { 0 } else { groups };
    Sidecar {
        subject: Subject { size: 123_456_789_012, crc32c: 0xdead_beef },
        file: Some(Arc::new(Bloom::of(&all))),
        groups: (0..of_groups).map(|group| Bloom::of(&hashes(group))).collect(),
        group_rows: (0..groups).map(|group| 1_000 + group as u64).collect(),
        tokens: all.len() as u64,
        group_tokens: vec![tokens; groups],
    }
}

#[test]
fn bytes_come_back() {
    for groups in [1, 2, 7] {
        let sidecar = sidecar(groups, 500);
        let bytes = sidecar.encode();
        assert_eq!(Sidecar::decode(&bytes).as_ref(), Ok(&sidecar));
        fuzz_sidecar(&bytes);
        let header = Header::decode(&bytes, bytes.len() as u64).unwrap();
        assert_eq!(header.file_filter(&bytes[..header.file_part_bytes()]).unwrap(), sidecar.file);
        assert!(header.file_part_bytes() < bytes.len() || groups == 1);
    }
    let without_file = Sidecar { file: None, ..sidecar(3, 10) };
    assert_eq!(Sidecar::decode(&without_file.encode()), Ok(without_file));
}

#[test]
fn filters_must_be_complete() {
    let mut one = sidecar(3, 10);
    one.groups = one.groups[..2].into();
    assert_eq!(Sidecar::decode(&one.encode()), Err("some of its filters are missing"));
    let none = Sidecar { file: None, groups: Arc::new([]), ..sidecar(1, 10) };
    assert_eq!(Sidecar::decode(&none.encode()), Err("some of its filters are missing"));
}

/// Writes a number into the header and makes its checksum right again.
fn forged(mut bytes: Vec<u8>, at: usize, number: &[u8]) -> Vec<u8> {
    bytes[at..at + number.len()].copy_from_slice(number);
    let groups = int(&bytes, 28) as usize;
    if let Some(end) =
        header_bytes(groups.min(GROUPS_MAX)).checked_sub(4).filter(|end| end + 4 <= bytes.len())
    {
        let crc = crc32c::crc32c(&bytes[..end]).to_le_bytes();
        bytes[end..end + 4].copy_from_slice(&crc);
    }
    bytes
}

#[test]
fn numbers_that_lie_are_found_out() {
    let bytes = sidecar(2, 100).encode();
    let length = bytes.len() as u64;
    let entry = |i: usize| FIXED_BYTES + ENTRY_BYTES * i;
    for (at, number) in [
        (4, u64::from(VERSION + 1).to_le_bytes()),
        (8, (length + 1).to_le_bytes()),
        (8, u64::MAX.to_le_bytes()),
        (24, [0xff; 8]),
        (entry(0), u64::MAX.to_le_bytes()),
        (entry(1), u64::MAX.to_le_bytes()),
        (entry(0) + 16, [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        (entry(1) + 16, [0xff, 0xff, 0x3f, 0, 0, 0, 0, 0]),
        (entry(2) + 16, [0; 8]),
    ] {
        let forged = forged(bytes.clone(), at, &number);
        assert!(Sidecar::decode(&forged).is_err(), "{at} {number:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz_sidecar(&bytes);
        fuzz_sidecar(&[MAGIC.as_slice(), &[1, 0, 1, 0], &bytes].concat());
    }

    #[test]
    fn any_change_is_noticed(at in any::<prop::sample::Index>(), bit in 0u8..8, groups in 1usize..4) {
        let mut bytes = sidecar(groups, 60).encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Sidecar::decode(&bytes).is_err());
    }

    #[test]
    fn forged_headers_are_read_without_harm(
        at in 4usize..100, number in prop_oneof![any::<[u8; 8]>(), Just([0; 8]), Just([0xff; 8])],
    ) {
        fuzz_sidecar(&forged(sidecar(2, 60).encode(), at, &number));
    }

    #[test]
    fn cut_bytes_are_noticed(keep in any::<prop::sample::Index>()) {
        let bytes = sidecar(2, 60).encode();
        prop_assert!(Sidecar::decode(&bytes[..keep.index(bytes.len())]).is_err());
    }
}
