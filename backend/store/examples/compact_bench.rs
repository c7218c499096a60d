//! Measures compaction: rows a second of one merge, decoding and encoding included.
//!
//! `cargo run --release -p store --example compact_bench -- [hours] [series] [samples an hour]`. The files are
//! what a day of scrapes leaves: one an hour, every series in each of them; a third of the series constant, a
//! third counters, a third floats. One thread merges, so the rows a second are those of a core.

#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use model::ManualClock;
use object_store::memory::InMemory;
use object_store::path::Path;
use store::{
    Catalog, CompactionPolicy, CompactionScope, FileTags, ProgressFn, Table, WriteProfile, compact_catalog,
};

const DAY: i32 = 20_779;
const DAY_US: i64 = 86_400_000_000;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (hours, series, samples) = (number(24)?, number(20_000)?, number(240)?);
    let clock = Arc::new(ManualClock::at_ms((i64::from(DAY) + 2) * DAY_US / 1_000));
    let objects = Arc::new(InMemory::new());
    let catalog = Catalog::open(objects, Path::from("bench"), clock).await?;

    let begun = Instant::now();
    let mut bytes = 0;
    for hour in 0..hours {
        let rows = (0..series).step_by(100).map(|first| rows(hour, first..(first + 100).min(series), samples));
        let rows = rows.collect::<Outcome<Vec<RecordBatch>>>()?;
        let tags = FileTags { level: 1, may_repeat: false };
        let file = catalog.write_file(Table::Metrics, DAY, rows, WriteProfile::Flush, tags).await?;
        bytes += file.size;
        catalog.commit(Table::Metrics, vec![file], vec![], None).await?;
    }
    let rows = (hours * series * samples) as f64;
    let took = begun.elapsed().as_secs_f64();
    println!("written             {:>9.1} s  ({rows} rows, {:.2} bytes a row)", took, bytes as f64 / rows);

    let begun = Instant::now();
    let scope = CompactionScope { all: true, ..CompactionScope::default() };
    let report =
        compact_catalog(&catalog, CompactionPolicy::default(), &scope, &ProgressFn::default()).await?;
    let took = begun.elapsed().as_secs_f64();
    println!("merged              {took:>9.1} s  ({} files into {})", report.files_in, report.files_out);
    println!("rows a second       {:>9.0}", report.rows_in as f64 / took);
    println!("bytes a row         {:>9.2}", report.bytes_out as f64 / report.rows_out as f64);
    Ok(())
}

/// An hour of some series, sorted as the table is.
fn rows(hour: usize, series: std::ops::Range<usize>, samples: usize) -> Outcome<RecordBatch> {
    let count = series.len() * samples;
    let start = i64::from(DAY) * DAY_US + hour as i64 * 3_600_000_000;
    let of_series = |i: usize| series.start + i / samples;
    let time = |i: usize| {
        let (series, sample) = (of_series(i) as i64, (i % samples) as i64);
        start + sample * (3_600_000_000 / samples as i64) + series % 4 * 3_750_000 + (sample * 7_919) % 5 * 1_000
    };
    let value = |i: usize| {
        let (series, sample) = (of_series(i), hour * samples + i % samples);
        match series % 3 {
            0 => series as f64,
            1 => (1_000_000 + series * 977 + sample * (series % 100 * 37 + 1)) as f64,
            _ => (series * 31 + sample * 17) as f64 * 0.37,
        }
    };
    let name = |i: usize| format!("node_metric_{:05}_total", of_series(i) / 100);
    let columns: Vec<ArrayRef> = vec![
        Arc::new((0..count).map(|i| Some(name(i))).collect::<StringArray>()),
        Arc::new((0..count).map(|i| of_series(i) as i64 * 1_000_003).collect::<Int64Array>()),
        Arc::new(TimestampMicrosecondArray::from_iter_values((0..count).map(time)).with_timezone("UTC")),
        Arc::new((0..count).map(value).collect::<Float64Array>()),
        Arc::new((0..count).map(|_| Some("node")).collect::<StringArray>()),
        Arc::new(
            (0..count)
                .map(|i| Some(format!("host-{:03}.example.org:9100", of_series(i) % 40)))
                .collect::<StringArray>(),
        ),
    ];
    Ok(RecordBatch::try_new(Table::Metrics.file_schema(), columns)?)
}
