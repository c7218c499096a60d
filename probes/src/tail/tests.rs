use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: i64 = 1_763_820_999_000;

fn read(items: Value) -> Vec<LogRecord> {
    records(&items.to_string(), NOW).unwrap()
}

fn fetch_item() -> Value {
    json!({
        "scriptName": "shop", "outcome": "exception", "eventTimestamp": 1_763_820_000_123_i64,
        "entrypoint": "default", "executionModel": "stateless", "scriptVersion": {"id": "v-7"},
        "cpuTime": 3, "wallTime": 41.5, "truncated": false,
        "event": {
            "request": {
                "method": "POST", "url": "https://shop.example/cart?id=REDACTED",
                "headers": {"CF-Ray": "8f-FRA", "accept": "*/*"}, "cf": {"colo": "FRA", "country": "DE"}
            },
            "response": {"status": 500}
        },
        "logs": [
            {"timestamp": 1_763_820_000_130_i64, "level": "log", "message": ["added", 2, {"sku": "x"}, null]},
            {"timestamp": 1_763_820_000_131.75, "level": "warn", "message": ["low stock"]},
            {"timestamp": 1_763_820_000_132_i64, "level": "error", "message": "plain"},
            {"timestamp": 1_763_820_000_133_i64, "level": "debug", "message": []}
        ],
        "exceptions": [{"timestamp": 1_763_820_000_140_i64, "name": "TypeError", "message": "x is null", "stack": "at a"}]
    })
}

#[test]
fn every_call_and_exception_is_a_record() {
    let records = read(json!([fetch_item()]));
    let told: Vec<_> =
        records.iter().map(|r| (r.timestamp_ms - 1_763_820_000_000, r.level, r.message.as_str())).collect();
    assert_eq!(
        told,
        [
            (130, Level::Info, r#"added 2 {"sku":"x"} null"#),
            (131, Level::Warn, "low stock"),
            (132, Level::Error, "plain"),
            (133, Level::Debug, ""),
            (140, Level::Error, "TypeError: x is null"),
            (123, Level::Error, "POST https://shop.example/cart?id=REDACTED 500 exception"),
        ]
    );
    for record in &records {
        assert_eq!(record.script, "shop");
        assert_eq!(record.attributes["event"], "fetch");
        assert_eq!(record.attributes["ray_id"], "8f-FRA");
        assert_eq!(record.attributes["script_version"], "v-7");
        assert_eq!(record.attributes["entrypoint"], "default");
    }
    assert_eq!(records[4].attributes["exception"], "TypeError");
    assert_eq!(records[4].attributes["stack"], "at a");
}

#[test]
fn the_summary_has_what_is_known_of_the_run() {
    let records = read(json!([fetch_item()]));
    let summary = &records.last().unwrap().attributes;
    let expected = [
        ("record", "summary"),
        ("outcome", "exception"),
        ("method", "POST"),
        ("url", "https://shop.example/cart?id=REDACTED"),
        ("status", "500"),
        ("cpu_ms", "3"),
        ("wall_ms", "41.5"),
        ("colo", "FRA"),
        ("country", "DE"),
    ];
    for (name, value) in expected {
        assert_eq!(summary.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!summary.contains_key("truncated") && !summary.contains_key("cron"));
}

#[test]
fn kinds_of_events_are_told_apart() {
    let cases = [
        (json!({"cron": "* * * * *", "scheduledTime": 5}), "scheduled", "scheduled ok"),
        (json!({"scheduledTime": "2026-11-22T00:00:00Z"}), "alarm", "alarm ok"),
        (json!({"queue": "q", "batchSize": 10}), "queue", "queue ok"),
        (json!({"mailFrom": "a@b", "rcptTo": "c@d"}), "email", "email ok"),
        (json!({"rpcMethod": "add"}), "rpc", "rpc ok"),
        (json!({"consumedEvents": []}), "tail", "tail ok"),
        (Value::Null, "unknown", "unknown ok"),
        (json!({}), "unknown", "unknown ok"),
    ];
    for (event, kind, message) in cases {
        let records = read(json!([{"scriptName": "s", "outcome": "ok", "event": event}]));
        assert_eq!((records.len(), records[0].message.as_str()), (1, message), "{kind}");
        assert_eq!(records[0].attributes["event"], kind);
        assert_eq!(records[0].level, Level::Info);
    }
}

#[test]
fn outcomes_have_their_severity() {
    let level = |outcome: &str| read(json!([{"outcome": outcome}]))[0].level;
    assert_eq!(level("ok"), Level::Info);
    assert_eq!(level("canceled"), Level::Warn);
    for bad in ["exception", "exceededCpu", "exceededMemory", "scriptNotFound", "somethingNew"] {
        assert_eq!(level(bad), Level::Error, "{bad}");
    }
}

#[test]
fn missing_fields_are_no_obstacle() {
    let records = read(json!([{}, null, {"logs": [{}], "scriptName": null}]));
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|r| r.timestamp_ms == NOW && r.script == "unknown"));
}

#[test]
fn what_is_no_array_is_an_error() {
    assert!(matches!(records("{}", NOW), Err(TailError::NotAnArray)));
    assert!(matches!(records("[", NOW), Err(TailError::Json(_))));
    assert!(records("[]", NOW).unwrap().is_empty());
}

#[test]
fn too_many_records_are_counted_not_hidden() {
    let logs = vec![json!({"message": "x"}); RECORDS_MAX + 9];
    let records = read(json!([{"logs": logs}]));
    assert_eq!(records.len(), RECORDS_MAX + 1);
    let last = records.last().unwrap();
    assert_eq!((last.level, last.attributes["dropped"].as_str()), (Level::Warn, "10"));
}

#[test]
fn long_messages_are_cut() {
    let records = read(json!([{"logs": [{"message": ["x".repeat(20_000), "y"]}]}]));
    assert_eq!(records[0].message.len(), MESSAGE_BYTES_MAX);
}

/// JSON of any shape, with the names of trace items sprinkled in.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let key = prop::sample::select(vec![
            "logs",
            "exceptions",
            "event",
            "request",
            "response",
            "headers",
            "cf-ray",
            "message",
            "timestamp",
            "scriptName",
            "outcome",
            "cpuTime",
            "status",
            "url",
            "method",
            "scriptVersion",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_read_without_panic(items in prop::collection::vec(any_json(), 0..4)) {
        let count = items.len();
        prop_assert!(read(Value::from(items)).len() >= count);
    }
}
