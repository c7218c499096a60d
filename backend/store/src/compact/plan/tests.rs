use object_store::path::Path;

use super::*;
use crate::parquet_file::{FileStats, FileTags};
use crate::testing::{DAY, Dice};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const MIDNIGHT: i64 = DAY as i64 * DAY_MS;

/// A file written `ms` after the day began.
fn file(level: u8, ms: i64, keys: (&str, &str)) -> Arc<DataFile> {
    table_file(Table::Metrics, level, ms, keys)
}

fn table_file(table: Table, level: u8, ms: i64, keys: (&str, &str)) -> Arc<DataFile> {
    let path = format!("day=2026-11-22/{:016}.parquet", MIDNIGHT + ms);
    let stats = FileStats {
        min_key: Some(keys.0.to_owned()),
        max_key: Some(keys.1.to_owned()),
        ..FileStats::default()
    };
    Arc::new(DataFile {
        table,
        day: DAY,
        key: Path::from(path.as_str()),
        path,
        size: 1_000,
        rows: 10,
        stats,
        crc32c: Some(0),
        tags: FileTags { level, may_repeat: true },
        written_ms: MIDNIGHT + ms,
    })
}

fn fresh(minutes: impl IntoIterator<Item = i64>) -> Vec<Arc<DataFile>> {
    minutes.into_iter().map(|minute| file(0, minute * MINUTE, ("a", "z"))).collect()
}

fn plan(files: &[Arc<DataFile>], now: i64, policy: &CompactionPolicy) -> Option<Job> {
    plan_without(files, now, policy, &[])
}

fn plan_without(
    files: &[Arc<DataFile>],
    now: i64,
    policy: &CompactionPolicy,
    left_out: &[&Arc<DataFile>],
) -> Option<Job> {
    let table = files.first().map_or(Table::Metrics, |file| file.table);
    let day = Day { table, day: DAY, files, now_ms: MIDNIGHT + now, policy, all: false };
    next_job(day, |file| left_out.iter().any(|left| left.path == file.path))
}

fn minutes(job: &Option<Job>) -> Vec<i64> {
    let job = job.as_ref().expect("a job");
    job.inputs.iter().map(|file| (file.written_ms - MIDNIGHT) / MINUTE).collect()
}

#[test]
fn an_hour_of_fresh_files_is_merged_once_its_rows_have_left_memory() {
    let policy = CompactionPolicy::default();
    let files = fresh((0..36).map(|i| i * 5));
    assert_eq!(plan(&files, 2 * HOUR, &policy), None, "the first has just left memory");
    assert_eq!(plan(&files, 2 * HOUR + 55 * MINUTE, &policy), None);
    let job = plan(&files, 2 * HOUR + 56 * MINUTE, &policy);
    assert_eq!(minutes(&job), (0..12).map(|i| i * 5).collect::<Vec<_>>());
    assert_eq!(job.unwrap().level, LEVEL_HOUR);
}

#[test]
fn fewer_files_wait_an_hour_longer_and_a_single_one_stays() {
    let policy = CompactionPolicy::default();
    assert_eq!(plan(&fresh([0, 20]), 3 * HOUR, &policy), None);
    assert_eq!(minutes(&plan(&fresh([0, 20]), 3 * HOUR + MINUTE, &policy)), [0, 20]);
    assert_eq!(plan(&fresh([0]), 20 * HOUR, &policy), None);
}

#[test]
fn only_files_that_follow_each_other_are_merged_in_any_order_of_the_list() {
    let policy = CompactionPolicy { fresh_files: 3, ..CompactionPolicy::default() };
    let mut files = fresh([0, 1, 3, 4, 5]);
    files.push(file(1, 2 * MINUTE, ("a", "z")));
    files.reverse();
    assert_eq!(minutes(&plan(&files, 5 * HOUR / 2, &policy)), [3, 4, 5]);
    assert_eq!(minutes(&plan(&files, 4 * HOUR, &policy)), [0, 1], "the oldest first where all are due");
}

#[test]
fn limits_on_files_and_bytes_cut_a_merge_short() {
    let files = fresh(0..20);
    let policy = CompactionPolicy { inputs_max: 5, ..CompactionPolicy::default() };
    assert_eq!(minutes(&plan(&files, 4 * HOUR, &policy)), [0, 1, 2, 3, 4]);
    let policy = CompactionPolicy { job_bytes_max: 3_999, ..CompactionPolicy::default() };
    assert_eq!(minutes(&plan(&files, 4 * HOUR, &policy)), [0, 1, 2]);
}

#[test]
fn a_day_that_is_over_becomes_files_of_the_last_level() {
    let policy = CompactionPolicy::default();
    let mut files: Vec<_> = (0..24).map(|hour| file(1, hour * HOUR, ("a", "z"))).collect();
    files.extend(fresh([24 * 60 + 1, 24 * 60 + 2]));
    assert_eq!(plan(&files, 26 * HOUR, &policy), None, "late rows may still come");
    let job = plan(&files, 26 * HOUR + 5 * MINUTE, &policy);
    assert_eq!((minutes(&job).len(), job.unwrap().level), (26, LEVEL_DAY));
    let job = plan(&files, 26 * HOUR + MINUTE + 1, &policy);
    assert_eq!(minutes(&job).len(), 25, "without the one that is still in memory");
    let job = plan(&fresh([7]), 30 * HOUR, &policy);
    assert_eq!((minutes(&job), job.unwrap().level), (vec![7], LEVEL_DAY), "also a single file");
}

#[test]
fn a_day_with_too_many_files_is_merged_in_steps_that_come_to_an_end() {
    let policy = CompactionPolicy { inputs_max: 4, job_bytes_max: 100_000, ..CompactionPolicy::default() };
    for all in [false, true] {
        let mut files = fresh(0..50);
        let mut steps = 0;
        loop {
            let now_ms = MIDNIGHT + 40 * HOUR;
            let day = Day { table: Table::Metrics, day: DAY, files: &files, now_ms, policy: &policy, all };
            let Some(job) = next_job(day, |_| false) else { break };
            assert!(job.inputs.len() <= 4 && steps < 100, "{job:?}");
            files.retain(|file| !job.inputs.contains(file));
            let last = job.inputs.last().unwrap();
            let ms = last.written_ms - MIDNIGHT;
            let mut out = DataFile::clone(&file(job.level, ms, ("a", "z")));
            out.size = job.inputs.iter().map(|file| file.size).sum();
            files.push(Arc::new(out));
            steps += 1;
        }
        assert!(files.iter().all(|file| file.tags.level == LEVEL_DAY), "{files:?}");
        assert!(files.len() <= 2, "{} files", files.len());
    }
}

#[test]
fn late_files_wait_and_take_only_files_with_their_keys_along() {
    let policy = CompactionPolicy::default();
    let sealed = [("a", "f"), ("f", "m"), ("n", "z")];
    let mut files: Vec<_> = sealed.iter().zip(0..).map(|(keys, i)| file(2, 23 * HOUR + i, *keys)).collect();
    let at = |hour: i64, keys| file(0, hour * HOUR, keys);
    files.push(at(30, ("g", "h")));
    assert_eq!(plan(&files, 35 * HOUR, &policy), None, "a single one waits");
    let job = plan(&files, 36 * HOUR + 1, &policy).unwrap();
    let keys: Vec<_> = job.inputs.iter().map(|file| file.stats.min_key.clone().unwrap()).collect();
    assert_eq!((keys, job.level), (vec!["f".to_owned(), "g".to_owned()], LEVEL_DAY));
    files.extend([at(31, ("a", "a")), at(32, ("a", "b"))]);
    assert_eq!(plan(&files, 34 * HOUR + 1, &policy), None);
    files.push(at(32, ("q", "q")));
    assert_eq!(plan(&files, 34 * HOUR + 1, &policy).unwrap().inputs.len(), 7, "four are enough");

    let policy = CompactionPolicy { job_bytes_max: 5_000, ..policy };
    let job = plan(&files, 34 * HOUR + 1, &policy).unwrap();
    assert!(job.inputs.iter().all(|file| file.tags.level == 0), "too much at once: the late ones alone");
}

#[test]
fn everything_asked_for_is_merged_at_once_whatever_its_age() {
    let policy = CompactionPolicy::default();
    let files = fresh([60, 61]);
    let day =
        Day { table: Table::Metrics, day: DAY, files: &files, now_ms: MIDNIGHT, policy: &policy, all: true };
    let job = next_job(day, |_| false).unwrap();
    assert_eq!((job.inputs.len(), job.level), (2, LEVEL_DAY));
    let files = [file(2, 0, ("a", "z"))];
    assert_eq!(next_job(Day { files: &files, ..day }, |_| false), None);
}

#[test]
fn files_left_out_stay_and_log_entries_do_not_change_places_across_them() {
    let policy = CompactionPolicy { fresh_files: 3, ..CompactionPolicy::default() };
    let minutes_of = |table| -> Vec<i64> {
        let files: Vec<_> = (0..9).map(|i| table_file(table, 0, i * MINUTE, ("a", "z"))).collect();
        minutes(&plan_without(&files, 30 * HOUR, &policy, &[&files[2], &files[3]]))
    };
    assert_eq!(minutes_of(Table::Metrics), [0, 1, 4, 5, 6, 7, 8]);
    assert_eq!(minutes_of(Table::Logs), [0, 1]);
    let files = fresh(0..3);
    assert_eq!(plan_without(&files, 30 * HOUR, &policy, &[&files[0], &files[1], &files[2]]), None);
}

fn repeating(ms: i64, may_repeat: bool, times: (i64, i64)) -> Arc<DataFile> {
    let mut file = DataFile::clone(&file(0, ms, ("a", "z")));
    (file.stats.min_ts_us, file.stats.max_ts_us) = (Some(times.0), Some(times.1));
    file.tags.may_repeat = may_repeat;
    Arc::new(file)
}

#[test]
fn merged_files_say_that_rows_repeat_only_where_nobody_else_does() {
    let loud = repeating(1, true, (0, 10));
    let quiet = repeating(2, false, (5, 20));
    let later = repeating(3, false, (11, 20));
    let day = [&loud, &quiet, &later].map(Arc::clone);
    assert!(!may_repeat(&day, &day), "everything is in one");
    assert!(may_repeat(&day[..1], &day), "the quiet one may hold the same rows");
    assert!(!may_repeat(&day[1..], &day), "it is the other that says so");
    assert!(!may_repeat(&[Arc::clone(&loud)], &[Arc::clone(&loud), later]), "at other times");
    let logs = table_file(Table::Logs, 0, 1, ("a", "z"));
    assert!(may_repeat(&[Arc::clone(&logs)], &[logs]), "nothing is resolved in logs");
}

/// Of any two files that share a row one says so: it holds for flushes, and after any number of merges.
#[test]
fn that_one_of_two_says_so_survives_every_merge() {
    for seed in 0..200 {
        let dice = Dice::new(seed);
        // Rows are numbers; a file may be silent only where no other holds a row of its own.
        let mut files: Vec<(Arc<DataFile>, Vec<u64>)> = Vec::new();
        for ms in 0..8 {
            let rows: Vec<u64> = (0..3).map(|_| dice.below(12)).collect();
            let shared = files.iter().any(|(_, others)| others.iter().any(|row| rows.contains(row)));
            let (low, high) = (*rows.iter().min().unwrap() as i64, *rows.iter().max().unwrap() as i64);
            files.push((repeating(ms, shared || dice.one_in(3), (low, high)), rows));
        }
        while files.len() > 1 {
            let day: Vec<_> = files.iter().map(|(file, _)| Arc::clone(file)).collect();
            let count = 2 + dice.below(files.len() as u64 - 1) as usize;
            let picked: Vec<_> =
                (0..count).map(|_| files.swap_remove(dice.below(files.len() as u64) as usize)).collect();
            let inputs: Vec<_> = picked.iter().map(|(file, _)| Arc::clone(file)).collect();
            let rows: Vec<u64> = picked.iter().flat_map(|(_, rows)| rows.clone()).collect();
            let (low, high) = (*rows.iter().min().unwrap() as i64, *rows.iter().max().unwrap() as i64);
            let ms = 100 + files.len() as i64;
            files.push((repeating(ms, may_repeat(&inputs, &day), (low, high)), rows));
            for (i, (a, rows)) in files.iter().enumerate() {
                for (b, others) in &files[i + 1..] {
                    let shared = rows.iter().any(|row| others.contains(row));
                    assert!(!shared || a.tags.may_repeat || b.tags.may_repeat, "seed {seed}");
                }
            }
        }
        assert!(!files[0].0.tags.may_repeat, "alone in its day");
    }
}
