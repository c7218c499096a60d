//! What a round stores: every kind of row, with what is hard to keep. The same for the same round and time.

use model::{
    Batch, Labels, LogEntry, LogStream, MetricKind, MetricMetadata, Point, ProbePhases, ProbeResult, Severity,
};

use super::{DAY_MS, HOUR_MS, MINUTE_MS, sparse};

/// The batch of a round.
pub(crate) fn batch(round: u64, now_ms: i64) -> Batch {
    let mut batch = Batch::new(format!("golden/{}", round % 2));
    batch.batch_id = (round % 3 != 2).then(|| format!("batch-{round}"));
    points(round, now_ms, &mut batch);
    metadata(round, &mut batch);
    logs(round, now_ms, &mut batch);
    probes(round, now_ms, &mut batch);
    sparse::add(round, now_ms, &mut batch);
    batch
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// Values that are hard to keep come round after round.
fn value(round: u64, sample: u64) -> f64 {
    match (round * 5 + sample) % 11 {
        0 => model::stale_nan(),
        1 => f64::from_bits(0x7ff8_0000_0000_1234),
        2 => f64::NEG_INFINITY,
        3 => -0.0,
        4 => 0.1 + round as f64,
        5 => f64::MIN_POSITIVE,
        6 => 9_007_199_254_740_993.0,
        7 => f64::from_bits(0xfff8_0000_dead_beef),
        _ => (round * 100 + sample) as f64,
    }
}

fn points(round: u64, now_ms: i64, batch: &mut Batch) {
    let of_round = format!("only-{round}");
    let sets = [
        labels(&[("__name__", "up"), ("job", "node"), ("instance", "a:9100")]),
        labels(&[("__name__", "up"), ("job", "node"), ("instance", "b:9100")]),
        labels(&[("__name__", "requests_total"), ("job", "web"), ("path", "/\"a\"\n\\"), ("größe", "名前")]),
        labels(&[("__name__", "requests_total"), ("instance", "c:80"), ("round", of_round.as_str())]),
        labels(&[("__name__", "http.server.duration"), ("le", "+Inf")]),
    ];
    for (set, labels) in sets.into_iter().enumerate() {
        for sample in 0..4 {
            let timestamp_ms = now_ms + sample as i64 * 15_000 + set as i64;
            let value = value(round, sample + set as u64);
            batch.points.push(Point { labels: labels.clone(), timestamp_ms, value });
        }
    }
    // The same sample as the round before has sent, with another value.
    let again = labels(&[("__name__", "sent_twice"), ("job", "node")]);
    for timestamp_ms in [now_ms, now_ms - 5 * MINUTE_MS] {
        batch.points.push(Point { labels: again.clone(), timestamp_ms, value: value(round, 3) });
    }
    // Late by a day.
    let late = labels(&[("__name__", "late"), ("job", "batch")]);
    batch.points.push(Point { labels: late, timestamp_ms: now_ms - 24 * HOUR_MS, value: round as f64 });
}

fn metadata(round: u64, batch: &mut Batch) {
    let kinds = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram, MetricKind::StateSet];
    batch.metadata.push(MetricMetadata {
        family: format!("family_{round}"),
        kind: kinds[round as usize % 4],
        help: format!("Help of round {round}, \"quoted\"\nand with a second line."),
        unit: ["", "seconds", "bytes"][round as usize % 3].to_owned(),
    });
}

fn logs(round: u64, now_ms: i64, batch: &mut Batch) {
    for (service, host, source) in [("web", "h1", "docker"), ("größe", "h2", "journal")] {
        let labels = labels(&[("service", service), ("host", host), ("source", source), ("env", "prod")]);
        let entries = (0..4u64).map(|line| LogEntry {
            timestamp_ns: now_ms * 1_000_000 + line as i64 * 1_000_123 + 7,
            severity: [Severity::Unknown, Severity::Info, Severity::Error, Severity::Fatal][line as usize],
            body: format!("round {round} line {line}: GET /päth?q={:016x} \"日本\"\ttab", round * 31 + line),
            attributes: (0..line).map(|i| (format!("key.{i}"), format!("välue {round}"))).collect(),
            trace_id: (line % 2 == 1).then(|| format!("{:032x}", round * 1_000 + line)),
            span_id: (line == 3).then(|| format!("{:016x}", round * 7 + line)),
        });
        batch.log_streams.push(LogStream { labels, entries: entries.collect() });
    }
}

fn probes(round: u64, now_ms: i64, batch: &mut Batch) {
    batch.probes.push(ProbeResult {
        timestamp_ms: now_ms,
        probe: "home".into(),
        target: "https://example.org/?a=b".into(),
        kind: "http".into(),
        location: "FRA".into(),
        success: true,
        duration_seconds: 0.1 * round as f64,
        status_code: Some(200),
        redirects: Some(2),
        body_bytes: Some(1 << 40),
        http_version: Some("HTTP/2".into()),
        phases: ProbePhases {
            resolve_seconds: Some(0.001),
            connect_seconds: Some(0.25),
            tls_seconds: Some(0.5),
            first_byte_seconds: Some(1.0 / 3.0),
            transfer_seconds: Some(0.0),
        },
        ip: Some("2001:db8::1".into()),
        tls_version: Some("TLS 1.3".into()),
        tls_cipher: Some("TLS_AES_128_GCM_SHA256".into()),
        cert_not_after_ms: Some(DAY_MS + 90 * 24 * HOUR_MS),
        attributes: vec![("dns.answers".into(), "2".into()), ("ä".into(), "ö \"ü\"".into())],
        result_id: format!("{round:032x}"),
        ..ProbeResult::default()
    });
    batch.probes.push(ProbeResult {
        timestamp_ms: now_ms + 1,
        probe: "ssh".into(),
        target: "tcp://example.org:22".into(),
        kind: "tcp".into(),
        location: "LHR".into(),
        success: false,
        reason: Some("connection refused".into()),
        duration_seconds: 3.5,
        result_id: format!("{:032x}", round + 1_000),
        ..ProbeResult::default()
    });
}
