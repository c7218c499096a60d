//! Makes the sound seeds: `cargo test --release -p tests --test mutations -- --ignored write_seeds`. Bytes of the store
//! come from the golden directories, the others from our own encoders and from lists of texts.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use codecs::remote_write::{encode_v1, encode_v2};
use model::{
    Batch, BucketSpan, Buckets, Exemplar, HistogramPoint, Labels, MetricKind, MetricMetadata,
    NativeHistogram, Point,
};

const PROMQL: [&str; 14] = [
    "1 + 2*3 ^ 2^ -2 % 0x1f",
    "sum by (job, \"a b\") (rate(http_requests_total{code=~\"5..\",path!='x'}[5m] offset -1d @ 1.5))",
    "histogram_quantile(0.9, sum without (pod) (rate(x_bucket[1h30m])))",
    "a and on(x) b or ignoring(y) group_left(z) c unless d",
    "rate(foo[1m])[1h:5m] offset 1d @ start()",
    "{'foo bar', a!=\"b\", \"ä\"=~\"c.*\"} > bool 1",
    "topk(3, foo) by (x) / on() group_right count_values(\"v\", bar)",
    "label_replace(up, \"a\", \"$1\", \"b\", \"(.*)\\\\n\\u00e9\")",
    "-foo ^ 2 atan2 +bar # a comment\n",
    "absent_over_time(foo[5m:]) or vector(time()) == Inf",
    "foo[5m] @ end() smoothed",
    "((((((((((((((1))))))))))))))",
    "min_over_time(sum(rate(a[1m]))[10m:30s]) >= bool scalar(b)",
    "quantile(0.5, {__name__=~\".+\"}) by ()",
];

const EXPOSITION: [&str; 5] = [
    "# HELP a_total how \\\\ many\\n\n# TYPE a_total counter\na_total{x=\"q\\\"\\\\\\n\",le=\"+Inf\"} 1.5e3 1700000000000\n",
    "{\"my.gauge\",\"a.b\"=\"c\"} NaN\nup 0\nup{} -Inf 5\r\n",
    "# TYPE h histogram\nh_bucket{le=\"0.1\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_sum 0.25\nh_count 4\n\n# just text\n",
    "a{b=\"\",} 123456789012345 -1\na{b = \"c\" , d=\"e\" }\t0x1p-2\n",
    "größe{名前=\"値\"} 1\n",
];

const OPENMETRICS: [&str; 4] = [
    "# TYPE a counter\n# UNIT a_seconds seconds\n# HELP a x\na_total{l=\"v\"} 0.1 -0.001 # {trace_id=\"abc\"} 0.5 1.5\n# EOF\n",
    "# TYPE h histogram\nh_bucket{le=\"1\"} 2 # {} 0.3\nh_count 2\nh_sum 0.6\nh_created 1.5e9\n# EOF\n",
    "{\"my.gauge\",\"a.b\"=\"c\"} NaN 1700000000.123\n# EOF\n",
    "# TYPE s stateset\ns{s=\"a\"} 1\n# TYPE i info\ni_info{v=\"1\"} 1\n# EOF",
];

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = super::folder(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("a seed");
}

#[test]
#[ignore = "makes the files again that are in the repository"]
fn write_seeds() {
    for (target, texts) in
        [("promql_parse", &PROMQL[..]), ("exposition", &EXPOSITION), ("openmetrics", &OPENMETRICS)]
    {
        texts
            .iter()
            .enumerate()
            .for_each(|(i, text)| write(target, &format!("text-{i:02}"), text.as_bytes()));
    }
    remote_write();
    remote_read();
    edge_push();
    golden();
}

/// Bodies as they are before they are packed, which the targets do themselves.
fn remote_write() {
    let unpacked = |body: Vec<u8>| snap::raw::Decoder::new().decompress_vec(&body).expect("snappy");
    for (name, batch) in [("points", points()), ("histograms", histograms()), ("all", all())] {
        write("remote_write_v1", name, &unpacked(encode_v1(&batch).expect("small")));
        write("remote_write_v2", name, &unpacked(encode_v2(&batch).expect("small")));
    }
    write("remote_write_v1", "packed", &encode_v1(&points()).expect("small"));
    write("remote_write_v2", "packed", &encode_v2(&points()).expect("small"));
}

fn points() -> Batch {
    let values = [0.0, -1.5, f64::INFINITY, model::stale_nan()];
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "node"), ("größe", "名前")]);
    let point = |(i, value): (usize, f64)| Point {
        labels: labels.clone(),
        timestamp_ms: i as i64 * 15_000 - 1,
        value,
    };
    Batch { points: values.into_iter().enumerate().map(point).collect(), ..Batch::new("") }
}

fn histograms() -> Batch {
    let span = |offset, length| BucketSpan { offset, length };
    let histogram = NativeHistogram {
        schema: 3,
        sum: 12.5,
        count: 7.0,
        zero_count: 1.0,
        zero_threshold: 0.001,
        positive: Buckets { spans: vec![span(-2, 2), span(3, 1)], counts: vec![1.0, 2.0, 1.0] },
        negative: Buckets { spans: vec![span(0, 2)], counts: vec![1.0, 1.0] },
        ..NativeHistogram::default()
    };
    let labels = Labels::from_pairs([("__name__", "latency"), ("job", "web")]);
    let point = HistogramPoint { labels, timestamp_ms: 1_000, start_ms: 0, histogram: Arc::new(histogram) };
    Batch { histograms: vec![point], ..Batch::new("") }
}

fn all() -> Batch {
    let exemplar = Exemplar {
        labels: Labels::from_pairs([("__name__", "up"), ("job", "node")]),
        exemplar_labels: Labels::from_pairs([("trace_id", "abc")]),
        timestamp_ms: 5,
        value: 0.5,
    };
    let metadata = MetricMetadata {
        family: "up".into(),
        kind: MetricKind::Gauge,
        help: "whether it is up".into(),
        unit: "ratio".into(),
    };
    let (points, histograms) = (points().points, histograms().histograms);
    Batch { points, histograms, exemplars: vec![exemplar], metadata: vec![metadata], ..Batch::new("") }
}

/// Requests by hand: two queries, hints, the accepted types.
fn remote_read() {
    let message = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat();
    let matcher = |kind: u8, name: &str, value: &str| {
        let pair = [&[8, kind][..], &message(2, name.as_bytes()), &message(3, value.as_bytes())].concat();
        message(3, &pair)
    };
    let hints = message(
        4,
        &[&[8, 5][..], &message(2, b"rate"), &[24, 1, 32, 9], &message(5, b"job"), &[48, 1, 56, 9]].concat(),
    );
    let query =
        [&[8, 0, 16, 0x88, 0x27][..], &matcher(0, "__name__", "up"), &matcher(2, "job", "a.*"), &hints]
            .concat();
    let other = [&[8, 1, 16, 2][..], &matcher(1, "x", ""), &matcher(3, "y", "[a-z]")].concat();
    write("remote_read", "one", &message(1, &query));
    write("remote_read", "two", &[message(1, &query), message(1, &other)].concat());
    write("remote_read", "chunks", &[message(1, &other), vec![16, 1, 16, 0]].concat());
}

fn edge_push() {
    let result = r#"{"result_id":"0123","probe":"home","target":"https://example.com/","kind":"http","location":"FRA","scheduled_ms":1,"started_ms":2,"success":true,"duration_seconds":0.125,"status_code":200,"redirects":0,"body_bytes":12,"http_version":"2","phases":{"first_byte_seconds":0.1},"attributes":{"colo":"FRA"}}"#;
    let log = r#"{"timestamp_ms":5,"level":"info","script":"x","message":"a \u00e9 line","attributes":{"batch":"b"}}"#;
    let push = |results: &str, logs: &str| {
        format!(
            r#"{{"worker":"atl-edge","location":"FRA","sent_at_ms":9,"results":[{results}],"logs":[{logs}]}}"#
        )
    };
    write("edge_push", "results", push(result, "").as_bytes());
    write("edge_push", "logs", push("", log).as_bytes());
    write("edge_push", "both", push(&[result, result].join(","), log).as_bytes());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, push(result, log).as_bytes()).expect("memory takes it");
    write("edge_push", "gzip", &encoder.finish().expect("memory takes it"));
}

/// Target, folder of a golden directory, ending of the files' names, how many of them.
type Share = (&'static str, &'static str, &'static str, usize);

const OF_GOLDEN: [Share; 8] = [
    ("wal_replay", "data/wal", ".wal", 9),
    ("token_sidecar", "store/_index/logs", ".tbf", 3),
    ("delta_log", "store/metrics/_delta_log", ".json", 3),
    ("delta_log", "store/logs/_delta_log", ".json", 3),
    ("delta_log", "store/series/_delta_log", ".json", 3),
    ("parquet_footer", "store/metrics", ".parquet", 2),
    ("parquet_footer", "store/logs", ".parquet", 1),
    ("parquet_footer", "store/probes", ".parquet", 1),
];

/// Only what the other directory lacks: histograms, start times and exemplars.
const OF_GOLDEN_HISTOGRAMS: [Share; 6] = [
    ("wal_replay", "data/wal", ".wal", 9),
    ("delta_log", "store/histograms/_delta_log", ".json", 1),
    ("delta_log", "store/exemplars/_delta_log", ".json", 1),
    ("parquet_footer", "store/histograms", ".parquet", 2),
    ("parquet_footer", "store/start_times", ".parquet", 1),
    ("parquet_footer", "store/exemplars", ".parquet", 1),
];

fn golden() {
    from_golden("v1", "", &OF_GOLDEN);
    from_golden("v1-histograms", "histograms-", &OF_GOLDEN_HISTOGRAMS);
}

/// Files of the golden directory `directory`, and every record of its log; their names begin with `prefix`.
fn from_golden(directory: &str, prefix: &str, shares: &[Share]) {
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../backend/store/testdata/golden").join(directory);
    for (target, folder, ending, count) in shares {
        let mut files = files_below(&golden.join(folder));
        files.retain(|path| {
            path.to_str().is_some_and(|text| text.ends_with(ending) && !text.contains("checkpoint"))
        });
        assert!(!files.is_empty(), "{folder}");
        for (i, path) in files.into_iter().take(*count).enumerate() {
            let name = format!("{prefix}{}-{i}", folder.replace('/', "-"));
            write(target, &name, &fs::read(path).expect("a file of the golden directory"));
        }
    }
    for (i, path) in files_below(&golden.join("data/wal")).iter().enumerate() {
        records(&fs::read(path).expect("a segment"), &format!("{prefix}record-{i}"));
    }
}

/// Definitions with the record behind them, of the frames of a segment: marker, length, checksum, number, kind, payload.
fn records(segment: &[u8], name: &str) {
    let (mut at, mut defined) = (24, Vec::new());
    while let Some(header) = segment.get(at..at + 21) {
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let payload = &segment[at + 21..at + 21 + length];
        match header[20] {
            2 => defined = payload.to_vec(),
            1 => {
                let length = (defined.len() as u16).to_le_bytes();
                write("wal_record", &format!("{name}-{at}"), &[&length[..], &defined, payload].concat());
            }
            _ => {}
        }
        at += 21 + length;
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort_unstable();
    files
}
