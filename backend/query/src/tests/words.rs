//! Log queries with and without the token index: the same answers, fewer files and row groups.

use model::{Batch, Labels, LogEntry, LogStream, Severity};

use super::fixture::{Fixture, START_MS, column};
use crate::{AnswerStats, Config, QueryOptions};

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

/// Words of all files, and of one each.
const COMMON: [&str; 10] =
    ["error", "Timeout", "upstream", "GET", "id42", "a_b", "x", "Ошибка", "连接", "\u{212a}elvin"];
const SEPARATORS: [&str; 8] = [" ", "=", ": ", "-", "", "%", "_", "É"];

fn line(dice: &mut Dice, file: usize) -> String {
    let mut line = String::new();
    for _ in 0..dice.below(7) + 1 {
        match dice.below(3) {
            0 => line.push_str(&format!("only{file}w{}", dice.below(9))),
            _ => line.push_str(dice.one_of(&COMMON)),
        }
        line.push_str(dice.one_of(&SEPARATORS));
    }
    line
}

fn entry(dice: &mut Dice, file: usize, i: i64) -> LogEntry {
    let traced = dice.below(2) == 0;
    LogEntry {
        timestamp_ns: (START_MS + file as i64 * 60_000) * 1_000_000 + i * 1_000,
        severity: Severity::Info,
        body: line(dice, file),
        attributes: vec![("user".to_owned(), format!("u{}{}", dice.below(3), line(dice, file)))],
        trace_id: traced.then(|| format!("{:032x}", file * 100 + dice.below(4))),
        span_id: None,
    }
}

async fn append(fixture: &Fixture, entries: Vec<LogEntry>) {
    let labels = Labels::from_pairs([("service", "web"), ("host", "alpha"), ("source", "docker")]);
    let mut batch = Batch::new("test");
    batch.log_streams.push(LogStream { labels, entries });
    fixture.store.append(batch).await.unwrap();
}

/// A part of a line, quoted for SQL.
fn part(dice: &mut Dice, file: usize) -> String {
    let text: Vec<char> = line(dice, file).chars().collect();
    let (from, to) = (dice.below(text.len() + 1), dice.below(text.len() + 1));
    let part: String = text[from.min(to)..from.max(to)].iter().collect();
    match dice.below(4) {
        0 => part.to_lowercase(),
        1 => part.to_uppercase(),
        _ => part,
    }
}

fn condition(dice: &mut Dice, files: usize) -> String {
    // Also words of a file that is not there.
    let file = dice.below(files + 1);
    let (text, whole) = (part(dice, file), line(dice, file));
    let regex = text.replace(['_', '='], ".*");
    match dice.below(15) {
        0 => format!("body LIKE '%{text}%'"),
        1 => format!("body LIKE '{text}%'"),
        2 => format!("body ILIKE '% {text} %'"),
        3 => format!("body ILIKE '%{}'", whole.to_uppercase()),
        4 => format!("contains(body, '{text}')"),
        5 => format!("strpos(body, '{text} ') > 0"),
        6 => format!("body = '{whole}'"),
        7 => format!(r"body ~ '\b{regex}\b'"),
        8 => format!(r"body ~* '{regex}\s+(error|timeout|only{file}w1)'"),
        9 => format!("regexp_like(body, '^{regex}', 'i')"),
        10 => format!("trace_id = '{:032x}'", file * 100 + dice.below(4)),
        11 => format!("attributes['user'] LIKE 'u1%{text}%'"),
        12 => format!("label(attributes, 'user') = 'u2{whole}'"),
        13 => format!("lower(body) LIKE '% {} %'", text.to_lowercase()),
        _ => format!("starts_with(body, '{text}') OR body IN ('{whole}', '{text}')"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_the_same_without_the_index() {
    const FILES: usize = 5;
    let (mut dice, fixture) = (Dice(77), Fixture::empty(Config::default()).await);
    for file in 0..FILES {
        append(&fixture, (0..60).map(|i| entry(&mut dice, file, i)).collect()).await;
        if file + 1 < FILES {
            fixture.store.flush().await.unwrap();
        }
    }
    let queries: Vec<String> = (0..150)
        .map(|_| {
            let (one, other) = (condition(&mut dice, FILES), condition(&mut dice, FILES));
            let condition = match dice.below(5) {
                0 => format!("({one}) AND ({other})"),
                1 => format!("({one}) OR ({other})"),
                2 => format!("NOT ({one})"),
                _ => one,
            };
            format!("SELECT ts, body FROM logs WHERE {condition} ORDER BY ts, body")
        })
        .collect();
    let mut with = Vec::new();
    for query in &queries {
        with.push(fixture.text(query).await);
    }
    let stats = fixture.store.stats().tokens;
    assert!(stats.pruned_files_total > 150, "{stats:?}");
    assert!(stats.asked_files_total > stats.pruned_files_total + 50, "{stats:?}");
    assert_eq!(stats.unknown_files_total, 0);
    let found = with.iter().filter(|answer| answer.lines().count() > 4).count();
    assert!(found > 40, "{found} queries find something");
    fixture.store.catalog().tokens().set_bytes_max(0);
    for (query, with) in queries.iter().zip(with) {
        assert_eq!(fixture.text(query).await, with, "{query}");
    }
    assert_eq!(fixture.store.stats().tokens.pruned_files_total, stats.pruned_files_total);
}

async fn count(fixture: &Fixture, condition: &str) -> (String, AnswerStats) {
    let query = format!("SELECT count(*) FROM logs WHERE {condition}");
    let answer = fixture.engine.sql(&query, QueryOptions::default()).await.unwrap();
    let (batches, stats) = answer.collect().await.unwrap();
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    (column(&text).remove(0), stats)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_row_groups_without_the_word_are_not_read() {
    const ROWS: i64 = 140_000;
    let fixture = Fixture::empty(Config::default()).await;
    let entries = |file: i64, rows: i64| {
        let entry = |i: i64| LogEntry {
            timestamp_ns: (START_MS + file * 600_000) * 1_000_000 + i * 1_000,
            severity: Severity::Info,
            body: format!("line id{file}x{i} done"),
            attributes: vec![],
            trace_id: None,
            span_id: None,
        };
        (0..rows).map(entry).collect::<Vec<_>>()
    };
    append(&fixture, entries(0, ROWS)).await;
    fixture.store.flush().await.unwrap();
    for file in 1..4 {
        append(&fixture, entries(file, 10)).await;
        fixture.store.flush().await.unwrap();
    }
    assert_eq!(fixture.store.snapshot().files(store::Table::Logs).len(), 4);
    let read = async |condition: &str| {
        let (count, stats) = count(&fixture, condition).await;
        (count.parse::<i64>().unwrap(), stats.scanned.files, stats.scanned.row_groups)
    };
    assert_eq!(read("body LIKE '%done%'").await, (ROWS + 30, 4, 5));
    assert_eq!(read("body LIKE '% id0x5 %'").await, (1, 1, 1), "the first of two row groups");
    assert_eq!(read("contains(body, ' id0x139999 ')").await, (1, 1, 1), "the second of two row groups");
    assert_eq!(read("body ~ '^line id2x7 '").await, (1, 1, 1));
    assert_eq!(read("body = 'line id0x77 done' OR body = 'line id0x135000 done'").await, (2, 1, 2));
    assert_eq!(read("body LIKE '% nowhere %'").await, (0, 0, 0));
    assert_eq!(read("body LIKE '%x139999%'").await, (1, 4, 5), "a part of a word");
    fixture.store.catalog().tokens().set_bytes_max(0);
    assert_eq!(read("body LIKE '% id0x5 %'").await, (1, 4, 5));
}
