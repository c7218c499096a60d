use proptest::prelude::*;

use super::*;

fn expect(contains: &[&str], not_contains: &[&str]) -> Expectations {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Expectations {
        body_contains: owned(contains),
        body_not_contains: owned(not_contains),
        ..Expectations::default()
    }
}

fn scan(expect: &Expectations, chunks: &[&[u8]]) -> BodyReport {
    let mut scan = BodyScan::new(expect);
    for chunk in chunks {
        assert_eq!(scan.push(chunk), Progress::More);
    }
    scan.finish()
}

#[test]
fn texts_are_found_across_chunks() {
    let wanted = expect(&["hello world"], &["secret"]);
    let report = scan(&wanted, &[b"say hel", b"l", b"", b"o wor", b"ld, se", b"cret"]);
    assert_eq!(
        report,
        BodyReport { bytes: 23, cut: false, missing: vec![], forbidden: vec!["secret".to_owned()] }
    );
}

#[test]
fn what_is_not_there_is_missing() {
    let report = scan(&expect(&["a", "zz"], &["zz"]), &[b"z", b"a", b"z"]);
    assert_eq!(report.missing, ["zz"]);
    assert!(report.forbidden.is_empty());
}

#[test]
fn an_empty_body_has_nothing() {
    let report = scan(&expect(&["a"], &["b"]), &[]);
    assert_eq!(report, BodyReport { missing: vec!["a".to_owned()], ..BodyReport::default() });
}

#[test]
fn reading_ends_at_the_limit() {
    let wanted = expect(&["end"], &[]);
    let mut scan = BodyScan::with_limit(&wanted, 10);
    assert_eq!(scan.push(b"12345678"), Progress::More);
    assert_eq!(scan.push(b"end"), Progress::Enough);
    let report = scan.finish();
    assert_eq!((report.bytes, report.cut), (10, true));
    assert_eq!(report.missing, ["end"]);
}

#[test]
fn a_body_of_just_the_limit_is_whole() {
    let mut scan = BodyScan::with_limit(&expect(&["end"], &[]), 10);
    assert_eq!(scan.push(b"1234567end"), Progress::More);
    assert_eq!(scan.finish(), BodyReport { bytes: 10, ..BodyReport::default() });
}

proptest! {
    /// However a body is cut up, the answer is that of a search in the whole.
    #[test]
    fn chunks_do_not_matter(
        body in "[ab]{0,60}",
        needles in prop::collection::vec("[ab]{1,6}", 0..5),
        cuts in prop::collection::vec(0_usize..8, 0..40),
        limit in 0_u64..70,
    ) {
        let needles: Vec<&str> = needles.iter().map(String::as_str).collect();
        let mut scan = BodyScan::with_limit(&expect(&needles, &needles), limit);
        let mut rest = body.as_bytes();
        for size in cuts.into_iter().chain(std::iter::repeat(3)) {
            let (chunk, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            if scan.push(chunk) == Progress::Enough || rest.is_empty() {
                break;
            }
        }
        let seen = &body[..body.len().min(usize::try_from(limit).unwrap())];
        let report = scan.finish();
        for needle in needles {
            let there = seen.contains(needle);
            prop_assert_eq!(!report.missing.iter().any(|m| m == needle), there);
            prop_assert_eq!(report.forbidden.iter().any(|f| f == needle), there);
        }
        prop_assert_eq!(report.bytes, seen.len() as u64);
        prop_assert_eq!(report.cut, body.len() > seen.len());
    }
}
