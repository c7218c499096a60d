use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn push() -> Vec<u8> {
    json!({
        "worker": "atl-edge", "location": "FRA", "sent_at_ms": 5,
        "results": [{
            "result_id": "r1", "probe": "wiki", "target": "https://wiki.example", "kind": "http", "location": "FRA",
            "scheduled_ms": 1000, "started_ms": 1010, "success": false, "reason": "status", "duration_seconds": 0.25,
            "status_code": 503, "phases": {"first_byte_seconds": 0.2}, "attributes": {"hops": "1"}
        }],
        "logs": [
            {"timestamp_ms": 1, "level": "warn", "script": "site", "message": "m1", "attributes": {"k": "v", "trace_id": "ab"}},
            {"timestamp_ms": 2, "level": "whatever", "script": "", "message": "m2"},
            {"timestamp_ms": 3, "level": "error", "script": "site", "message": "m3"}
        ]
    })
    .to_string()
    .into_bytes()
}

#[test]
fn a_push_becomes_a_batch() {
    let packed = gzip(&push());
    let batch = batch(decode(&packed, true).unwrap(), Some("b1".to_owned()));
    assert_eq!((batch.source.as_str(), batch.batch_id.as_deref()), ("edge/atl-edge", Some("b1")));
    assert!(batch.points.is_empty());

    let [result] = &batch.probes[..] else { panic!("one result expected") };
    assert_eq!((result.timestamp_ms, result.reason.as_deref()), (1000, Some("status")));
    assert_eq!((result.status_code, result.phases.first_byte_seconds), (Some(503), Some(0.2)));
    assert_eq!(result.attributes, [("hops".to_owned(), "1".to_owned())]);

    let [site, own] = &batch.log_streams[..] else { panic!("two streams expected") };
    assert_eq!(
        site.labels.to_string(),
        r#"{host="FRA", service="site", source="cf-worker", worker="atl-edge"}"#
    );
    assert_eq!(own.labels.get("service"), Some("atl-edge"));
    assert_eq!(site.entries.iter().map(|e| e.body.as_str()).collect::<Vec<_>>(), ["m1", "m3"]);
    let first = &site.entries[0];
    assert_eq!((first.timestamp_ns, first.severity), (1_000_000, Severity::Warn));
    assert_eq!(first.trace_id.as_deref(), Some("ab"));
    assert_eq!(first.attributes, [("k".to_owned(), "v".to_owned())]);
    assert_eq!(own.entries[0].severity, Severity::Info, "an unknown level is info");
}

#[test]
fn hostile_bodies_are_refused() {
    assert!(matches!(decode(b"{", false), Err(EdgeError::Json(_))));
    assert!(matches!(decode(&push(), true), Err(EdgeError::Gzip(_))));
    let huge = vec![b' '; PUSH_COMPRESSED_BYTES_MAX + 1];
    assert!(matches!(decode(&huge, false), Err(EdgeError::TooLarge { unpacked: false, .. })));
    // Members of a gzip file may simply follow each other.
    let bomb = gzip(&vec![b' '; 1 << 20]).repeat(PUSH_BYTES_MAX / (1 << 20) + 1);
    assert!(bomb.len() < PUSH_COMPRESSED_BYTES_MAX);
    let error = decode(&bomb, true).expect_err("a bomb");
    assert_eq!(error.to_string(), format!("push is larger than {PUSH_BYTES_MAX} bytes unpacked"));
}
