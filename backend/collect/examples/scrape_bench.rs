//! Measures samples a CPU second from page to sink: `cargo run --release -p collect --example scrape_bench --
//! PAGE`. Fifty targets give the page as fast as their interval allows; the sink throws the batches away.

#![expect(clippy::print_stderr, reason = "a tool for people")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use collect::exporters::{Exporter, ExporterError, Families, process};
use collect::scrape::{Global, Manager, Options, ScrapeConfig, jobs};
use collect::{Sink, SinkError};
use model::Batch;

const TARGETS: usize = 50;

struct Page(String);

#[async_trait]
impl Exporter for Page {
    async fn collect(&self) -> Result<String, ExporterError> {
        Ok(self.0.clone())
    }
}

#[derive(Default)]
struct Counter(AtomicUsize);

#[async_trait]
impl Sink for Counter {
    async fn send(&self, batch: Batch) -> Result<(), SinkError> {
        self.0.fetch_add(std::hint::black_box(batch).points.len(), Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let path = std::env::args().nth(1).expect("usage: scrape_bench PAGE");
    let page: Arc<dyn Exporter> =
        Arc::new(Page(std::fs::read_to_string(path).expect("the page is readable")));
    let exporters = BTreeMap::from([("page".to_owned(), page)]);
    let mut config = ScrapeConfig { job_name: "bench".to_owned(), ..ScrapeConfig::default() };
    config.scrape_interval = Some(collect::scrape::config::PromDuration(Duration::from_millis(20)));
    config.scrape_timeout = config.scrape_interval;
    config.static_configs = (0..TARGETS)
        .map(|number| collect::scrape::config::StaticConfig {
            targets: vec!["builtin://page".to_owned()],
            labels: BTreeMap::from([("number".to_owned(), number.to_string())]),
        })
        .collect();
    let jobs = jobs(&Global::default(), &[config], std::path::Path::new("")).expect("the job is valid");
    let sink = Arc::new(Counter::default());
    let options = Options { hostname: "bench".to_owned(), exporters };
    let manager = Manager::start(jobs, options, Arc::clone(&sink) as _, Arc::new(model::SystemClock));

    tokio::time::sleep(Duration::from_secs(1)).await;
    let (samples, cpu) = (sink.0.load(Ordering::Relaxed), cpu_seconds());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (samples, cpu) = (sink.0.load(Ordering::Relaxed) - samples, cpu_seconds() - cpu);
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let rate = samples as f64 / cpu / 1e6;
    eprintln!("{samples} samples in {cpu:.2} CPU seconds: {rate:.2} million samples a CPU second");
    manager.stop().await;
}

fn cpu_seconds() -> f64 {
    let mut families = Families::default();
    process::collect(&mut families);
    let page = families.to_page();
    let value = page.lines().find_map(|line| line.strip_prefix("process_cpu_seconds_total "));
    value.and_then(|value| value.parse().ok()).expect("proc is readable")
}
