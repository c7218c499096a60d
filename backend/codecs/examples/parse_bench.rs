//! Measures how fast a page is parsed: `cargo run --release -p codecs --example parse_bench -- PAGE
//! [openmetrics]`. Three ways: labels of every sample read, series text only, and series text expected from
//! the last round.

#![expect(clippy::print_stderr, reason = "a tool for people")]

use std::time::{Duration, Instant};

use codecs::exposition::{Entry, Format, Parser};

const ROUND_SECONDS: u64 = 2;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: parse_bench PAGE [openmetrics]");
        std::process::exit(2);
    };
    let format =
        if arguments.next().as_deref() == Some("openmetrics") { Format::OpenMetrics } else { Format::Text };
    let page = std::fs::read(&path).expect("the page is readable");
    measure("labels read", &page, || with_labels(format, &page));
    measure("series text", &page, || series_only(format, &page));
    let order = series_in_order(format, &page);
    measure("as expected", &page, || expected(format, &page, &order));
}

fn measure(what: &str, page: &[u8], mut round: impl FnMut() -> usize) {
    let (mut rounds, mut samples) = (0u32, 0usize);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(ROUND_SECONDS) {
        samples += round();
        rounds += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let (megabytes, samples) = (page.len() as f64 * f64::from(rounds) / 1e6, samples as f64 / 1e6);
    eprintln!("{what}: {:.0} MB/s, {:.2} million samples/s", megabytes / seconds, samples / seconds);
}

fn with_labels(format: Format, page: &[u8]) -> usize {
    let mut pairs = Vec::new();
    let mut count = 0;
    for entry in Parser::new(format, page).expect("page is utf-8") {
        if let Entry::Sample(sample) = entry.expect("page is well-formed") {
            sample.series.read_labels(&mut pairs).expect("labels are well-formed");
            count += usize::from(!std::hint::black_box(&pairs).is_empty());
        }
    }
    count
}

fn series_only(format: Format, page: &[u8]) -> usize {
    let mut count = 0;
    for entry in Parser::new(format, page).expect("page is utf-8") {
        if let Entry::Sample(sample) = std::hint::black_box(entry.expect("page is well-formed")) {
            count += usize::from(!sample.series.as_str().is_empty());
        }
    }
    count
}

fn series_in_order(format: Format, page: &[u8]) -> Vec<Box<str>> {
    let mut order = Vec::new();
    for entry in Parser::new(format, page).expect("page is utf-8") {
        if let Entry::Sample(sample) = entry.expect("page is well-formed") {
            order.push(sample.series.as_str().into());
        }
    }
    order
}

fn expected(format: Format, page: &[u8], order: &[Box<str>]) -> usize {
    let mut parser = Parser::new(format, page).expect("page is utf-8");
    let mut at = 0;
    while let Some(entry) = parser.next_expecting(order.get(at).map_or("", |series| series)) {
        if let Entry::Sample(sample) = std::hint::black_box(entry.expect("page is well-formed")) {
            at += usize::from(!sample.series.as_str().is_empty());
        }
    }
    at
}
