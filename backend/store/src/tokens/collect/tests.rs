use std::collections::HashSet;

use super::*;
use crate::parquet_file::{WriteProfile, encode};
use crate::testing::{Dice, random_rows, sorted};
use crate::tokens::tokens_of_word;

const SUBJECT: Subject = Subject { size: 1, crc32c: 2 };

/// Texts of a row that are indexed.
fn texts(batch: &RecordBatch, row: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for name in COLUMNS {
        let column = batch.column_by_name(name).unwrap();
        let column = match column.as_map_opt() {
            Some(map) => Arc::clone(map.value(row).column(1)),
            None => column.slice(row, 1),
        };
        texts.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    texts
}

#[test]
fn a_set_holds_each_hash_once() {
    let (dice, mut set, mut expect) = (Dice::new(1), TokenSet::default(), HashSet::new());
    for _ in 0..50_000 {
        let hash = dice.below(20_000).wrapping_mul(dice.below(3));
        set.insert(hash);
        expect.insert(hash);
    }
    let drained = set.drain();
    assert_eq!(drained.len(), expect.len());
    assert_eq!(drained.into_iter().collect::<HashSet<_>>(), expect);
    assert!(set.drain().is_empty());
}

#[test]
fn every_row_group_holds_the_tokens_of_its_rows_and_the_file_holds_all() {
    let dice = Dice::new(7);
    let batches: Vec<RecordBatch> = [130, 1, 0, 70].map(|rows| random_rows(Table::Logs, rows, &dice)).into();
    for groups in [vec![201], vec![100, 100, 1], vec![1, 130, 70]] {
        let sidecar = of_batches(&batches, &groups, SUBJECT).unwrap();
        assert_eq!(*sidecar.group_rows, groups);
        let filter_of = |row: u64| {
            let mut before = 0;
            let group = groups.iter().position(|rows| {
                before += rows;
                row < before
            });
            sidecar.groups.get(group.unwrap()).unwrap_or_else(|| sidecar.file.as_ref().unwrap())
        };
        let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| texts(batch, row)));
        let mut all = HashSet::new();
        for (row, texts) in rows.enumerate() {
            for token in texts.iter().flat_map(|text| tokens_of_word(text)) {
                all.insert(token);
                assert!(filter_of(row as u64).may_hold(token), "row {row} in {groups:?}");
                assert!(sidecar.file.as_ref().unwrap().may_hold(token), "row {row} in {groups:?}");
            }
        }
        assert!(all.len() > 200);
        assert_eq!(sidecar.tokens, all.len() as u64);
    }
}

#[test]
fn other_columns_are_refused() {
    let batch = random_rows(Table::Probes, 5, &Dice::new(1));
    assert!(of_batches(&[batch], &[5], SUBJECT).is_err());
}

#[test]
fn groups_end_where_the_writer_ends_them() {
    let dice = Dice::new(3);
    let batches: Vec<RecordBatch> =
        [90_000, 90_000, 5].map(|rows| random_rows(Table::Logs, rows, &dice)).into();
    let all = arrow::compute::concat_batches(&Table::Logs.file_schema(), &batches).unwrap();
    let all = sorted(Table::Logs, &all);
    let pieces = [all.slice(0, 100_000), all.slice(100_000, 80_005)];
    let tokens = encode(Table::Logs, &pieces, WriteProfile::Flush).unwrap().tokens.unwrap();
    assert_eq!(*tokens.group_rows, [131_072, 48_933]);
    let expect = of_batches(&pieces, &tokens.group_rows, tokens.subject).unwrap();
    assert!(tokens == expect);
    assert!(
        encode(Table::Probes, &[random_rows(Table::Probes, 5, &dice)], WriteProfile::Flush)
            .unwrap()
            .tokens
            .is_none()
    );
}
