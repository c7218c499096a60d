//! Measures the token index over logs as a small team has them: speed of the tokenizer, size of files and
//! sidecars, memory, and how long it takes to find one line by a word only it has.
//!
//! `cargo run --release -p store --example tokens_bench -- [lines a file] [files] [directory]`. Lines come from
//! 14 services on 6 hosts: JSON, logfmt, access logs and syslog, with random trace and request ids, user ids,
//! addresses and durations, and stack traces now and then. The same arguments give the same lines.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, AsArray, Int8Array, Int16Array, Int64Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use futures::TryStreamExt;
use memchr::memmem;
use model::{Clock, Labels, SystemClock};
use object_store::path::Path;
use store::objects::{self, ObjectsConfig};
use store::parquet_file::{Footers, ReadOptions, read_batches};
use store::tables::map_builder;
use store::tokens::Tokenizer;
use store::{Catalog, DataFile, FileTags, Needle, RowGroupSelection, Snapshot, Table, WriteProfile};

mod lines;

use lines::{Dice, HOSTS, LEVELS, SERVICES, Style, write_line};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// 2026-11-22.
const DAY: i32 = 20_779;
const DAY_US: i64 = 86_400_000_000;
#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let lines: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let files: usize = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let scratch = tempfile::tempdir()?;
    let folder = arguments.next().map_or_else(|| scratch.path().join("store"), PathBuf::from);
    let config = ObjectsConfig { url: folder.display().to_string(), ..ObjectsConfig::default() };
    let place = objects::open(&config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let open = || Catalog::open(Arc::clone(&place.store), Path::from("bench"), Arc::clone(&clock));

    let catalog = open().await?;
    let tags = FileTags { level: 1, may_repeat: false };
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (mut raw, mut ids, mut write) = (0, Vec::new(), Duration::ZERO);
    for file in 0..files {
        let batches = hour(lines, file, &mut dice, &mut ids);
        raw += batches.iter().map(text_bytes).sum::<usize>();
        if file == 0 {
            tokenizer_speed(&batches);
        }
        let begun = Instant::now();
        let written = catalog.write_file(Table::Logs, DAY, batches, WriteProfile::Compacted, tags).await?;
        catalog.commit(Table::Logs, vec![written], Vec::new(), None).await?;
        write += begun.elapsed();
    }
    let sets = catalog.files();
    let data: u64 = sets.table(Table::Logs).iter().map(|file| file.size).sum();
    let sidecars = catalog.tokens().stats().sidecar_bytes_total;
    let rows = lines * files;
    println!(
        "{rows} lines in {files} files, {} of text, {:.0} a line",
        mb(raw as u64),
        raw as f64 / rows as f64
    );
    println!(
        "encode, index and write: {:.1} MB/s of text on one core",
        raw as f64 / 1e6 / write.as_secs_f64()
    );
    println!(
        "data files {}, text ÷ file = {:.2}, {:.1} bytes a line",
        mb(data),
        raw as f64 / data as f64,
        data as f64 / rows as f64
    );
    println!(
        "sidecars {}: {:.2} % of the text, {:.1} % of the data files, {:.2} bytes a line",
        mb(sidecars),
        100.0 * sidecars as f64 / raw as f64,
        100.0 * sidecars as f64 / data as f64,
        sidecars as f64 / rows as f64
    );

    let begun = Instant::now();
    let catalog = open().await?;
    let opened = begun.elapsed();
    catalog.tokens().set_bytes_max(1 << 30);
    let begun = Instant::now();
    let loaded = catalog.load_tokens().await?;
    println!(
        "open {:.1} ms, then {loaded} sidecars read in {:.1} ms; {} in memory",
        ms(opened),
        ms(begun.elapsed()),
        mb(catalog.tokens().heap_bytes())
    );
    let snapshot = Snapshot::read_only(&catalog).await?;
    present(&snapshot, &ids).await?;
    absent(&snapshot, &mut dice);
    Ok(())
}

/// Looks for ids that stand in one line each.
async fn present(snapshot: &Snapshot, ids: &[String]) -> Outcome<()> {
    let files = snapshot.files(Table::Logs);
    let footers = Footers::default();
    let step = (ids.len() / 20).max(1);
    let (mut times, mut groups) = (Vec::new(), 0);
    let chosen: Vec<&String> = ids.iter().step_by(step).take(20).collect();
    for round in 0..2 {
        for id in &chosen {
            let begun = Instant::now();
            let left = snapshot.prune_logs(files, &[Needle::word(id).ok_or("an id is a token")?]);
            let (found, read) = find(snapshot, &footers, &left, id).await?;
            if round == 1 {
                times.push(begun.elapsed());
                groups += read;
            }
            assert_eq!(found, 1, "{id}");
        }
    }
    times.sort_unstable();
    println!(
        "a unique id, warm: found in {:.1} ms (median of {}), {:.1} ms at most; {:.2} row groups read of {}",
        ms(times[times.len() / 2]),
        times.len(),
        ms(times[times.len() - 1]),
        groups as f64 / times.len() as f64,
        row_groups(snapshot, &footers).await?
    );
    let all: Vec<_> = files.iter().map(|file| (Arc::clone(file), None)).collect();
    let begun = Instant::now();
    find(snapshot, &footers, &all, chosen[0]).await?;
    println!("the same without the index: {:.0} ms", ms(begun.elapsed()));
    Ok(())
}

/// Asks for ids that are nowhere; what is left is a mistake of the filters.
fn absent(snapshot: &Snapshot, dice: &mut Dice) {
    let files = snapshot.files(Table::Logs);
    let needles: Vec<Needle> = (0..20_000)
        .filter_map(|_| Needle::word(&format!("{:016x}{:016x}", dice.next(), dice.next())))
        .collect();
    let (mut kept_files, mut kept_groups) = (0, 0);
    let begun = Instant::now();
    for needle in &needles {
        for (_, selection) in snapshot.prune_logs(files, std::slice::from_ref(needle)) {
            kept_files += 1;
            kept_groups += selection.map_or(0, |selection| kept(&selection).len());
        }
    }
    let took = begun.elapsed();
    println!(
        "{} ids that are nowhere: {:.3} % of the files left with {kept_groups} row groups, {:.2} µs a question and file",
        needles.len(),
        100.0 * kept_files as f64 / (needles.len() * files.len()) as f64,
        took.as_secs_f64() * 1e6 / (needles.len() * files.len()) as f64
    );
}

fn kept(selection: &RowGroupSelection) -> Vec<usize> {
    let kept = selection.kept();
    (0..kept.len()).filter(|i| kept[*i]).collect()
}

async fn row_groups(snapshot: &Snapshot, footers: &Footers) -> Outcome<usize> {
    let mut count = 0;
    for file in snapshot.files(Table::Logs) {
        count += footers.read(snapshot.objects(), &file.key, file.size).await?.metadata().num_row_groups();
    }
    Ok(count)
}

/// Lines that hold `id`, and row groups read for it.
async fn find(
    snapshot: &Snapshot,
    footers: &Footers,
    files: &[(Arc<DataFile>, Option<RowGroupSelection>)],
    id: &str,
) -> Outcome<(usize, usize)> {
    let finder = memmem::Finder::new(id);
    let (mut found, mut groups) = (0, 0);
    for (file, selection) in files {
        let row_groups = selection.as_ref().map(kept);
        groups += match &row_groups {
            Some(kept) => kept.len(),
            None => footers.read(snapshot.objects(), &file.key, file.size).await?.metadata().num_row_groups(),
        };
        let columns = Some(vec!["body".to_owned()]);
        let options = ReadOptions { columns, row_groups, ..ReadOptions::default() };
        let mut batches = read_batches(snapshot.objects(), footers, file, &options).await?;
        while let Some(batch) = batches.try_next().await? {
            let bodies = batch.column(0).as_string::<i32>();
            found += bodies.iter().flatten().filter(|body| finder.find(body.as_bytes()).is_some()).count();
        }
    }
    Ok((found, groups))
}

fn tokenizer_speed(batches: &[RecordBatch]) {
    let bodies =
        || batches.iter().map(|batch| batch.column_by_name("body").expect("a column").as_string::<i32>());
    let bytes: usize = bodies().map(|bodies| bodies.values().len()).sum();
    let mut tokenizer = Tokenizer::default();
    let mut best = Duration::MAX;
    let (mut tokens, mut mixed) = (0u64, 0u64);
    for _ in 0..3 {
        let begun = Instant::now();
        (tokens, mixed) = (0, 0);
        for body in bodies().flat_map(|bodies| bodies.iter().flatten()) {
            tokenizer.hashes(body, |hash| {
                tokens += 1;
                mixed ^= hash;
            });
        }
        best = best.min(begun.elapsed());
    }
    let per_second = bytes as f64 / 1e6 / best.as_secs_f64();
    println!(
        "tokenizer: {per_second:.0} MB/s with hashes, {tokens} tokens ({mixed:016x}) in {}",
        mb(bytes as u64)
    );
    let mut best = Duration::MAX;
    for _ in 0..2 {
        let begun = Instant::now();
        let bytes = store::tokens::sidecar_bytes(batches, 256 * 1024).expect("the rows are log rows");
        assert!(bytes > 0);
        best = best.min(begun.elapsed());
    }
    let all: usize = batches.iter().map(text_bytes).sum();
    println!("tokens to filters, all columns: {:.0} MB/s", all as f64 / 1e6 / best.as_secs_f64());
}

/// Bytes of body, attributes and ids.
fn text_bytes(batch: &RecordBatch) -> usize {
    let strings =
        |name: &str| batch.column_by_name(name).expect("a column").as_string::<i32>().values().len();
    let map = batch.column_by_name("attributes").expect("a column").as_map();
    let pairs = map.keys().as_string::<i32>().values().len() + map.values().as_string::<i32>().values().len();
    strings("body") + strings("trace_id") + strings("span_id") + pairs
}

/// Lines of one hour in the table's order; one id in a hundred lines that have one goes to `ids`.
fn hour(lines: usize, number: usize, dice: &mut Dice, ids: &mut Vec<String>) -> Vec<RecordBatch> {
    let each = lines / (SERVICES.len() * HOSTS.len());
    let rest = lines - each * SERVICES.len() * HOSTS.len();
    let mut batches = Vec::new();
    for (service, style) in SERVICES {
        let label =
            |host: &&str| Labels::from_pairs([("service", service), ("host", *host), ("source", "docker")]);
        let mut streams: Vec<(i64, &str)> =
            HOSTS.iter().map(|host| (label(host).hash64() as i64, *host)).collect();
        streams.sort_unstable();
        for (i, (stream_id, host)) in streams.into_iter().enumerate() {
            let more = if service == "sshd" && i == 0 { rest } else { 0 };
            batches.push(stream(each + more, number, (service, style, host, stream_id), dice, ids));
        }
    }
    batches.retain(|batch| batch.num_rows() > 0);
    batches
}

fn stream(
    count: usize,
    hour: usize,
    (service, style, host, stream_id): (&str, Style, &str, i64),
    dice: &mut Dice,
    ids: &mut Vec<String>,
) -> RecordBatch {
    let start = i64::from(DAY) * DAY_US + hour as i64 * 3_600_000_000;
    let (mut body, mut attributes) = (StringBuilder::new(), map_builder());
    let (mut traces, mut spans) = (StringBuilder::new(), StringBuilder::new());
    let mut line = String::new();
    for row in 0..count {
        line.clear();
        let trace = dice.one_in(3).then(|| format!("{:016x}{:016x}", dice.next(), dice.next()));
        write_line(&mut line, style, service, row, trace.as_deref(), dice);
        if let Some(trace) = trace.as_ref().filter(|trace| dice.one_in(100) && line.contains(*trace)) {
            ids.push(trace.clone());
        }
        body.append_value(&line);
        if let Style::Json = style {
            attributes.keys().append_value("level");
            attributes.values().append_value(LEVELS[dice.below(10).min(3)]);
            attributes.keys().append_value("container");
            attributes.values().append_value(format!("{service}-1"));
        }
        attributes.append(true).expect("as many keys as values");
        spans.append_option(trace.is_some().then(|| format!("{:016x}", dice.next())));
        traces.append_option(trace);
    }
    let time = |row: usize| start + row as i64 * 3_600_000_000 / count.max(1) as i64;
    let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; count])) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from_iter_values((0..count).map(time)).with_timezone("UTC")),
        Arc::new(Int16Array::from_iter_values((0..count).map(|row| (row % 1_000) as i16))),
        same(service),
        same(host),
        same("docker"),
        Arc::new(Int8Array::from_iter_values((0..count).map(|row| [9, 9, 9, 13, 17][row % 5]))),
        Arc::new(Int64Array::from_value(stream_id, count)),
        Arc::new(body.finish()),
        Arc::new(attributes.finish()),
        Arc::new(traces.finish()),
        Arc::new(spans.finish()),
    ];
    RecordBatch::try_new(Table::Logs.file_schema(), columns).expect("the table's columns")
}

fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
