use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{ConnectionFacts, Expectations};

fn spec() -> ProbeSpec {
    ProbeSpec::new("site", "https://example.org/")
}

fn hop(status: u16, ms: u64, url: &str) -> Hop {
    Hop { url: url.to_owned(), status, first_byte: Duration::from_millis(ms) }
}

fn answered(status: u16) -> Observation {
    Observation {
        location: "FRA".to_owned(),
        attempt: 1,
        scheduled_ms: 1_763_820_000_000,
        started_ms: 1_763_820_000_250,
        duration: Duration::from_millis(120),
        hops: vec![hop(status, 80, "https://example.org/")],
        body: Some(BodyReport { bytes: 12, ..BodyReport::default() }),
        transfer: Some(Duration::from_millis(40)),
        ..Observation::default()
    }
}

fn judged_on_body(body: BodyReport) -> Option<Reason> {
    let expect = Expectations {
        body_contains: vec!["welcome".to_owned()],
        body_not_contains: vec!["panic".to_owned()],
        ..Expectations::default()
    };
    let observation = Observation { body: Some(body), ..answered(200) };
    evaluate(&ProbeSpec { expect, ..spec() }, &observation).reason
}

#[test]
fn an_expected_answer_is_a_success() {
    let outcome = evaluate(&spec(), &answered(204));
    assert!(outcome.success);
    assert_eq!(outcome.reason, None);
    assert_eq!(outcome.status_code, Some(204));
    assert_eq!(outcome.redirects, Some(0));
    assert_eq!(outcome.body_bytes, Some(12));
    assert_eq!((outcome.scheduled_ms, outcome.started_ms), (1_763_820_000_000, 1_763_820_000_250));
    assert!((outcome.duration_seconds - 0.12).abs() < 1e-9);
    assert_eq!(outcome.phases.first_byte_seconds, Some(0.08));
    assert_eq!(outcome.phases.transfer_seconds, Some(0.04));
    assert_eq!(outcome.phases.connect_seconds, None);
    assert!(outcome.attributes.is_empty());
    assert_eq!(outcome.kind, "http");
}

#[test]
fn the_id_is_the_documented_digest() {
    // printf 'site|FRA|1763820000000|1' | sha256sum | cut -c1-32
    assert_eq!(result_id("site", "FRA", 1_763_820_000_000, 1), "b5ed848002edd9e75dad18c06ea74fb5");
    assert_eq!(evaluate(&spec(), &answered(200)).result_id, "b5ed848002edd9e75dad18c06ea74fb5");
}

#[test]
fn an_unexpected_status_says_both() {
    let outcome = evaluate(&spec(), &answered(500));
    assert!(!outcome.success);
    assert_eq!(outcome.reason, Some(Reason::Status));
    assert_eq!(outcome.attributes["error"], "status 500, expected 2xx");
}

#[test]
fn a_failure_goes_before_everything() {
    let failure = Some(Failure::new(Reason::Timeout, "no result within 100 ms"));
    let outcome = evaluate(&spec(), &Observation { failure, ..answered(200) });
    assert_eq!(outcome.reason, Some(Reason::Timeout));
    assert_eq!(outcome.attributes["error"], "no result within 100 ms");
    assert_eq!(outcome.status_code, Some(200));
}

#[test]
fn nothing_observed_is_no_success() {
    let outcome = evaluate(&spec(), &Observation::default());
    assert_eq!((outcome.success, outcome.reason, outcome.status_code), (false, Some(Reason::Other), None));
    assert_eq!(outcome.phases.first_byte_seconds, None);
}

#[test]
fn cloudflare_statuses_are_read_at_the_edge_only() {
    let cases = [(521, Reason::Connect), (524, Reason::Timeout), (526, Reason::Tls), (530, Reason::Dns)];
    for (status, reason) in cases {
        let edge = Observation { vantage: Vantage::CloudflareWorker, ..answered(status) };
        assert_eq!(evaluate(&spec(), &edge).reason, Some(reason), "{status}");
        assert_eq!(evaluate(&spec(), &edge).status_code, Some(status));
        assert_eq!(evaluate(&spec(), &answered(status)).reason, Some(Reason::Status), "{status}");
    }
    let mut wanted = spec();
    wanted.expect.status = vec!["526".parse().unwrap()];
    let edge = Observation { vantage: Vantage::CloudflareWorker, ..answered(526) };
    assert!(evaluate(&wanted, &edge).success, "an expected status is never a failure");
}

#[test]
fn bodies_are_judged_by_what_was_found() {
    let report = |missing: &[&str], forbidden: &[&str], cut| BodyReport {
        bytes: 9,
        cut,
        missing: missing.iter().map(|text| (*text).to_owned()).collect(),
        forbidden: forbidden.iter().map(|text| (*text).to_owned()).collect(),
    };
    assert_eq!(judged_on_body(report(&[], &[], false)), None);
    assert_eq!(judged_on_body(report(&["welcome"], &[], false)), Some(Reason::BodyMissing));
    assert_eq!(judged_on_body(report(&["welcome"], &["panic"], true)), Some(Reason::BodyForbidden));
    assert_eq!(judged_on_body(report(&["welcome"], &[], true)), Some(Reason::BodyTooLarge));
    assert_eq!(
        judged_on_body(report(&[], &[], true)),
        Some(Reason::BodyTooLarge),
        "`panic` could come later"
    );
}

#[test]
fn a_cut_body_is_fine_where_all_was_found_before() {
    let mut wanted = spec();
    wanted.expect.body_contains = vec!["welcome".to_owned()];
    let body = Some(BodyReport { bytes: 10, cut: true, ..BodyReport::default() });
    let outcome = evaluate(&wanted, &Observation { body, ..answered(200) });
    assert!(outcome.success);
    assert_eq!(outcome.attributes["body_cut"], "true");
}

#[test]
fn a_body_that_must_be_judged_must_be_there() {
    let mut wanted = spec();
    wanted.expect.body_not_contains = vec!["panic".to_owned()];
    let outcome = evaluate(&wanted, &Observation { body: None, ..answered(200) });
    assert_eq!(outcome.reason, Some(Reason::Protocol));
}

#[test]
fn redirects_leave_their_trace_without_secrets() {
    let hops = vec![
        hop(302, 10, "http://example.org/start?session=secret"),
        hop(200, 30, "https://u:secret@id.example.org/login?code=secret#secret"),
    ];
    let outcome = evaluate(&spec(), &Observation { hops, redirects: 1, ..answered(200) });
    assert_eq!(outcome.attributes["final_url"], "https://id.example.org/login");
    assert_eq!(
        outcome.attributes["hops"],
        "302 0.010 http://example.org/start > 200 0.030 https://id.example.org/login"
    );
    assert_eq!(outcome.phases.first_byte_seconds, Some(0.04));
    assert!(!serde_json::to_string(&outcome).unwrap().contains("secret"));
}

#[test]
fn the_socket_s_facts_are_passed_on() {
    let connection = ConnectionFacts {
        http_version: Some("2".to_owned()),
        ip: Some("192.0.2.1".to_owned()),
        resolve: Some(Duration::from_millis(1)),
        connect: Some(Duration::from_millis(2)),
        tls: Some(Duration::from_millis(3)),
        tls_version: Some("TLSv1.3".to_owned()),
        tls_cipher: Some("TLS_AES_128_GCM_SHA256".to_owned()),
        cert_not_after_ms: Some(1_800_000_000_000),
    };
    let outcome = evaluate(&spec(), &Observation { connection, attempt: 2, ..answered(200) });
    assert_eq!(outcome.phases.resolve_seconds, Some(0.001));
    assert_eq!(outcome.phases.tls_seconds, Some(0.003));
    assert_eq!(outcome.cert_not_after_ms, Some(1_800_000_000_000));
    assert_eq!(outcome.ip.as_deref(), Some("192.0.2.1"));
    assert_eq!(outcome.attributes["attempt"], "2");
    let again: ProbeOutcome = serde_json::from_str(&serde_json::to_string(&outcome).unwrap()).unwrap();
    assert_eq!(again, outcome);
}

proptest! {
    #[test]
    fn success_is_the_absence_of_a_reason(status in 100_u16..600, failed: bool, bytes: u64, cut: bool) {
        let failure = failed.then(|| Failure::new(Reason::Dns, "x"));
        let body = Some(BodyReport { bytes, cut, ..BodyReport::default() });
        let outcome = evaluate(&spec(), &Observation { failure, body, ..answered(status) });
        prop_assert_eq!(outcome.success, outcome.reason.is_none());
        prop_assert_eq!(outcome.success, !failed && (200..300).contains(&status));
        prop_assert_eq!(outcome.attributes.contains_key("error"), !outcome.success);
    }

    #[test]
    fn different_runs_have_different_ids(
        a in ("[a-z]{1,3}", "[a-z|]{1,3}", 0_i64..100, 1_u32..3),
        b in ("[a-z]{1,3}", "[a-z|]{1,3}", 0_i64..100, 1_u32..3),
    ) {
        let id = |run: &(String, String, i64, u32)| result_id(&run.0, &run.1, run.2, run.3);
        prop_assert_eq!(id(&a) == id(&b), a == b);
    }
}
