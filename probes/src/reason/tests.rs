use super::*;

#[test]
fn names_are_those_of_json_and_unique() {
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{reason}\""));
        assert_eq!(serde_json::from_str::<Reason>(&format!("\"{reason}\"")).unwrap(), reason);
    }
    let names: std::collections::HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
}

#[test]
fn a_reason_of_a_later_version_is_other() {
    assert_eq!(serde_json::from_str::<Reason>("\"moon_phase\"").unwrap(), Reason::Other);
}

#[test]
fn messages_are_classified_by_what_they_tell() {
    let cases = [
        ("The operation was aborted due to timeout", Reason::Timeout),
        ("TLS connection timed out", Reason::Timeout),
        ("kj::Exception: DNS lookup failed.", Reason::Dns),
        ("getaddrinfo ENOTFOUND nowhere.invalid", Reason::Dns),
        ("connect: unable to get local issuer certificate", Reason::Tls),
        ("TLS peer's certificate is not trusted; reason = certificate has expired", Reason::Tls),
        ("Network connection lost.", Reason::Connect),
        ("connect(): Connection refused", Reason::Connect),
        ("Connection reset by peer", Reason::Connect),
        ("Fetch API cannot load: gopher://a", Reason::InvalidUrl),
        ("Invalid HTTP response header", Reason::Protocol),
        ("premature EOF", Reason::Protocol),
        ("something else", Reason::Other),
        ("", Reason::Other),
    ];
    for (message, reason) in cases {
        assert_eq!(Failure::from_message(message).reason, reason, "{message}");
    }
}

#[test]
fn details_are_cut_at_a_character() {
    let failure = Failure::new(Reason::Other, "ä".repeat(400));
    assert_eq!(failure.detail, "ä".repeat(150));
}
