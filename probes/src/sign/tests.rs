use proptest::prelude::*;

use super::*;

const SECRET: &[u8] = b"s3cret";
const NOW: i64 = 1_763_820_000;
const BODY: &[u8] = br#"{"worker":"atl-edge"}"#;

fn push(body: &[u8]) -> SignedRequest<'_> {
    SignedRequest {
        method: "POST",
        path: "/api/edge/v1/push",
        key_id: "edge",
        timestamp_seconds: NOW,
        batch_id: "atl-edge:FRA:1763820000000",
        body,
    }
}

#[test]
fn signatures_are_those_of_another_implementation() {
    // Python: hmac.new(b"s3cret", text, "sha256").hexdigest() over the text documented in the protocol.
    assert_eq!(
        sign_request(SECRET, &push(BODY)),
        "e31177bd21c8901443a2d18a1cf731e8528138ac01ffa87802683762d6d1576f"
    );
    assert_eq!(
        sign_config(SECRET, "nonce-1", br#"{"version":"v","probes":[]}"#),
        "5e691b17cd94b59833da3f3a2bebf8f9c06649252662e59adc71630fa0f821e0"
    );
    // FIPS 180-2, the empty message.
    assert_eq!(body_digest(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn a_good_signature_is_accepted_within_the_skew() {
    let signature = sign_request(SECRET, &push(BODY));
    for now in [NOW, NOW + 300, NOW - 300] {
        verify_request(SECRET, &push(BODY), &signature, now).unwrap();
    }
    let late = verify_request(SECRET, &push(BODY), &signature, NOW + 301).unwrap_err();
    assert_eq!(late, SignatureError::Stale { skew_seconds: 301 });
    assert_eq!(late.to_string(), "signed 301 s away from this clock, and at most 300 s are allowed");
    let early = verify_request(SECRET, &push(BODY), &signature, NOW - 301);
    assert_eq!(early, Err(SignatureError::Stale { skew_seconds: -301 }));
}

#[test]
fn every_part_is_covered() {
    let signature = sign_request(SECRET, &push(BODY));
    let changes = [
        SignedRequest { method: "PUT", ..push(BODY) },
        SignedRequest { path: "/api/edge/v1/config", ..push(BODY) },
        SignedRequest { key_id: "other", ..push(BODY) },
        SignedRequest { timestamp_seconds: NOW + 1, ..push(BODY) },
        SignedRequest { batch_id: "other", ..push(BODY) },
        push(b"other"),
    ];
    for changed in changes {
        let result = verify_request(SECRET, &changed, &signature, NOW);
        assert_eq!(result, Err(SignatureError::Mismatch), "{changed:?}");
    }
    assert_eq!(verify_request(b"other", &push(BODY), &signature, NOW), Err(SignatureError::Mismatch));
}

#[test]
fn signatures_have_one_form() {
    let signature = sign_request(SECRET, &push(BODY));
    for bad in
        ["", "zz", &signature[1..], &signature.to_uppercase(), &format!("{signature}00"), &"é".repeat(32)]
    {
        assert_eq!(verify_request(SECRET, &push(BODY), bad, NOW), Err(SignatureError::Form), "{bad}");
    }
}

#[test]
fn a_list_belongs_to_its_nonce() {
    let signature = sign_config(SECRET, "n1", b"list");
    verify_config(SECRET, "n1", b"list", &signature).unwrap();
    assert_eq!(verify_config(SECRET, "n2", b"list", &signature), Err(SignatureError::Mismatch));
    assert_eq!(verify_config(SECRET, "n1", b"tsil", &signature), Err(SignatureError::Mismatch));
    assert_eq!(verify_config(SECRET, "n1", b"list", ""), Err(SignatureError::Form));
}

#[test]
fn a_request_never_passes_for_a_list() {
    let signature = sign_request(SECRET, &push(BODY));
    assert!(verify_config(SECRET, "atl-edge:FRA:1763820000000", BODY, &signature).is_err());
}

#[test]
fn batch_ids_are_plain() {
    for id in ["a", "atl-edge:FRA:1.2_3", &"x".repeat(128)] {
        check_batch_id(id).unwrap();
    }
    for id in ["", "a b", "a\n", "a|b", "ä", &"x".repeat(129)] {
        assert_eq!(check_batch_id(id), Err(SignatureError::BatchId), "{id}");
    }
    assert_eq!(batch_id(&["atl-edge", "FRA", "1763820000000"]), "atl-edge:FRA:1763820000000");
    assert_eq!(batch_id(&["atl edge", "Köln|1"]), "atl-edge:K-ln-1");
}

proptest! {
    #[test]
    fn made_batch_ids_are_always_valid(parts in prop::collection::vec(".{0,90}", 1..4)) {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let id = batch_id(&parts);
        prop_assert!(check_batch_id(&id).is_ok() || parts.concat().is_empty() && parts.len() == 1);
        prop_assert_eq!(batch_id(&parts), id);
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else(body: Vec<u8>, other: Vec<u8>, secret: Vec<u8>) {
        let signature = sign_request(&secret, &push(&body));
        prop_assert!(verify_request(&secret, &push(&body), &signature, NOW).is_ok());
        prop_assert_eq!(verify_request(&secret, &push(&other), &signature, NOW).is_ok(), other == body);
    }
}
