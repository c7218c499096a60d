use super::*;

#[test]
fn days_with_few_rows_share_a_group() {
    let days = |rows: &[(i32, u64)]| rows.iter().copied().collect::<BTreeMap<_, _>>();
    assert_eq!(
        groups(&days(&[(1, 5), (2, 5), (9, 90), (10, 11), (11, 900), (12, 1)]), 100),
        [1..=9, 10..=10, 11..=11, 12..=12]
    );
    assert_eq!(groups(&days(&[]), 100), []);
    let year = (0..400).map(|day| (day, 10)).collect();
    assert_eq!(groups(&year, 1_000).len(), 4);
}
