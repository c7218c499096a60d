//! Samples for `tests/bench/promql.py`: many hosts that never existed, walked on by seeded chance from what was learned
//! of one real exporter, into our own tables or into anything that takes remote write. The same arguments give the same
//! samples whoever gets them, so three systems can be loaded one after the other without keeping gigabytes.
//!
//! `promql_data MODEL TARGET HOSTS START_MS SECONDS INTERVAL_S FROM_S TO_S`: MODEL is the JSON that
//! `tests/bench/promql_model.py` writes, TARGET a folder for our tables or `http://HOST:PORT/PATH`. Of the SECONDS from
//! START_MS on only those from FROM_S to TO_S are written, whole half hours. Prints what was written as JSON.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

mod chance;
mod host;
mod into_store;
mod model_file;
mod remote_write;

use std::time::Instant;

use serde_json::json;

use host::{Host, Period};
use model_file::Model;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How many series and samples went out.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    series: u64,
    samples: u64,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, target, hosts, start_ms, seconds, interval_s, from_s, to_s] = arguments.as_slice() else {
        return Err("usage: promql_data MODEL TARGET HOSTS START_MS SECONDS INTERVAL_S FROM_S TO_S".into());
    };
    let slots =
        |seconds: &str| -> Outcome<usize> { Ok(seconds.parse::<usize>()? / interval_s.parse::<usize>()?) };
    let model: Model = serde_json::from_slice(&std::fs::read(model)?)?;
    let period = Period {
        start_ms: start_ms.parse()?,
        interval_ms: interval_s.parse::<i64>()? * 1_000,
        slots: slots(seconds)?,
        written: slots(from_s)?..slots(to_s)?,
    };
    let hosts: Vec<Host> = (0..hosts.parse()?).map(|number| Host::new(&model, number, &period)).collect();
    let begun = Instant::now();
    let written = if target.starts_with("http://") {
        remote_write::send(&model, hosts, &period, target)?
    } else {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(into_store::write(&model, hosts, &period, target.as_ref()))?
    };
    let report = json!({
        "series": written.series,
        "samples": written.samples,
        "seconds": begun.elapsed().as_secs_f64(),
        "cpu_seconds": cpu_seconds()?,
    });
    println!("{report}");
    Ok(())
}

/// Processor time of this program so far.
fn cpu_seconds() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("`/proc/self/stat` has no name")?;
    let ticks: Result<Vec<f64>, _> = fields.split_whitespace().skip(11).take(2).map(str::parse).collect();
    // Linux counts hundredths of a second here, whatever its own tick is.
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}
