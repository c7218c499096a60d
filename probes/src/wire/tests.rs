use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Observation, ProbeSpec, evaluate};

#[test]
fn a_push_has_the_documented_form() {
    let outcome = evaluate(&ProbeSpec::new("site", "http://a/"), &Observation::default());
    let push = Push {
        worker: "atl-edge".to_owned(),
        location: "FRA".to_owned(),
        sent_at_ms: 5,
        results: vec![outcome.clone()],
        logs: vec![LogRecord::new(7, Level::Warn, "shop", "slow").with("k", 1).with("empty", "")],
    };
    let value = serde_json::to_value(&push).unwrap();
    assert_eq!(value["worker"], "atl-edge");
    assert_eq!(value["results"][0]["reason"], "other");
    assert_eq!(value["results"][0]["phases"], json!({}));
    let log =
        json!({"timestamp_ms":7,"level":"warn","script":"shop","message":"slow","attributes":{"k":"1"}});
    assert_eq!(value["logs"], json!([log]));
    assert_eq!(serde_json::from_value::<Push>(value).unwrap(), push);
}

#[test]
fn lists_may_be_left_out_and_later_fields_are_ignored() {
    let push: Push =
        serde_json::from_value(json!({"worker":"w","location":"l","sent_at_ms":1,"later":true})).unwrap();
    assert!(push.results.is_empty() && push.logs.is_empty());
}

#[test]
fn unknown_levels_are_info() {
    assert_eq!(serde_json::from_value::<Level>(json!("shout")).unwrap(), Level::Info);
    for level in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
        let text = serde_json::to_value(level).unwrap();
        assert_eq!(serde_json::from_value::<Level>(text).unwrap(), level);
    }
}

#[test]
fn long_texts_are_cut() {
    let record = LogRecord::new(0, Level::Info, "s", &"ü".repeat(10_000)).with("a", "x".repeat(5000));
    assert_eq!(record.message.len(), MESSAGE_BYTES_MAX);
    assert_eq!(record.attributes["a"].len(), ATTRIBUTE_BYTES_MAX);
}

#[test]
fn answers_are_read() {
    let answer: PushAnswer =
        serde_json::from_value(json!({"status":"duplicate","results":2,"logs":3})).unwrap();
    assert_eq!(answer, PushAnswer { status: PushStatus::Duplicate, results: 2, logs: 3 });
}

proptest! {
    #[test]
    fn splitting_loses_nothing_and_keeps_the_limit(sizes in prop::collection::vec(0_usize..300, 0..40)) {
        let records: Vec<LogRecord> = sizes.iter().enumerate()
            .map(|(i, size)| LogRecord::new(i64::try_from(i).unwrap(), Level::Info, "s", &"x".repeat(*size)))
            .collect();
        let parts = split_logs(records.clone(), 500);
        for part in &parts {
            let bytes = serde_json::to_vec(part).unwrap().len();
            prop_assert!(part.len() == 1 || !part.is_empty() && bytes <= 501);
        }
        prop_assert_eq!(parts.concat(), records);
    }
}
