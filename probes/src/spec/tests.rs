use super::*;

fn site() -> ProbeSpec {
    ProbeSpec::new("site", "https://example.org/")
}

fn problem(change: impl FnOnce(&mut ProbeSpec)) -> String {
    let mut spec = site();
    change(&mut spec);
    spec.validate().expect_err("the change is invalid").to_string()
}

#[test]
fn two_fields_are_enough() {
    let spec: ProbeSpec = serde_json::from_str(r#"{"name":"site","target":"https://example.org/"}"#).unwrap();
    assert_eq!(spec, site());
    spec.validate().unwrap();
    assert_eq!(spec.interval(), Duration::from_secs(60));
    assert_eq!(spec.timeout(), Duration::from_secs(10));
    assert_eq!(spec.expect.status, [StatusPattern::SUCCESS]);
    assert!(spec.expect.follow_redirects);
    assert_eq!(spec.expect.max_redirects, 5);
}

#[test]
fn everything_survives_json() {
    let json = r#"{"name":"login","target":"https://id.example.org/token","kind":"http","interval_seconds":300,
        "timeout_ms":2500,"method":"POST","headers":{"accept":"application/json"},"body":"a=b",
        "expect":{"status":["2xx","401"],"body_contains":["token"],"body_not_contains":["stack trace"],
        "max_redirects":0,"follow_redirects":false}}"#;
    let spec: ProbeSpec = serde_json::from_str(json).unwrap();
    spec.validate().unwrap();
    let again: ProbeSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(again, spec);
    assert_eq!(again.method, Method::Post);
    assert_eq!(again.expect.body_not_contains, ["stack trace"]);
}

#[test]
fn unknown_fields_and_kinds_are_refused() {
    let parse = |json: &str| serde_json::from_str::<ProbeSpec>(json).unwrap_err().to_string();
    let error = parse(r#"{"name":"a","target":"http://a/","intervall_seconds":5}"#);
    assert!(error.contains("unknown field `intervall_seconds`"), "{error}");
    let error = parse(r#"{"name":"a","target":"http://a/","kind":"icmp"}"#);
    assert!(error.contains("unknown variant `icmp`"), "{error}");
    let error = parse(r#"{"name":"a","target":"http://a/","expect":{"status_code":[200]}}"#);
    assert!(error.contains("unknown field `status_code`"), "{error}");
}

#[test]
fn names_are_plain() {
    for name in ["a", "Site-1.example_org", &"x".repeat(64)] {
        let mut spec = site();
        spec.name = name.to_owned();
        spec.validate().unwrap();
    }
    for name in ["", "-a", ".a", "a b", "a|b", "ä", "a/b", &"x".repeat(65)] {
        let error = problem(|spec| spec.name = name.to_owned());
        assert!(error.starts_with("name `"), "{name}: {error}");
    }
}

#[test]
fn targets_are_http_urls_without_credentials() {
    let cases = [
        ("example.org", "is not a URL: relative URL without a base"),
        ("http://", "is not a URL: empty host"),
        ("http://a:99999/", "is not a URL: invalid port number"),
        ("ftp://example.org/", "has scheme `ftp`; only `http` and `https`"),
        ("https://user@example.org/", "must not contain a user or password"),
        ("https://:secret@example.org/", "must not contain a user or password"),
        ("", "`target bytes` is 0, and must be 1 to 2048"),
    ];
    for (target, expected) in cases {
        let error = problem(|spec| spec.target = target.to_owned());
        assert!(error.contains(expected), "{target}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn numbers_have_bounds() {
    type Change = fn(&mut ProbeSpec);
    let cases: [(Change, &str); 7] = [
        (|spec| spec.interval_seconds = 9, "`interval_seconds` is 9, and must be 10 to 86400"),
        (|spec| spec.interval_seconds = 86_401, "`interval_seconds` is 86401"),
        (|spec| spec.timeout_ms = 99, "`timeout_ms` is 99, and must be 100 to 30000"),
        (|spec| spec.timeout_ms = 30_001, "`timeout_ms` is 30001"),
        (|spec| spec.expect.max_redirects = 21, "`expect.max_redirects` is 21, and must be 0 to 20"),
        (|spec| spec.expect.status = vec![StatusPattern::SUCCESS; 17], "`expect.status entries` is 17"),
        (|spec| spec.expect.body_contains = vec!["x".to_owned(); 17], "`expect.body_… entries` is 17"),
    ];
    for (change, expected) in cases {
        let error = problem(change);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn expectations_that_cannot_be_met_are_refused() {
    assert!(problem(|spec| spec.expect.status.clear()).contains("nothing could succeed"));
    let redirects = |spec: &mut ProbeSpec| spec.expect.status = vec!["3xx".parse().unwrap()];
    assert!(problem(redirects).contains("`expect.follow_redirects: false`"));
    let mut spec = site();
    redirects(&mut spec);
    spec.expect.follow_redirects = false;
    spec.validate().unwrap();
    assert!(
        problem(|spec| spec.expect.body_contains.push(String::new())).contains("`expect.body_… bytes` is 0")
    );
    let head = problem(|spec| {
        spec.method = Method::Head;
        spec.expect.body_not_contains.push("x".to_owned());
    });
    assert!(head.contains("leave `expect.body_not_contains` out"), "{head}");
}

#[test]
fn bodies_go_only_with_methods_that_have_one() {
    assert!(problem(|spec| spec.body = Some("x".to_owned())).contains("a GET request has no body"));
    let large = problem(|spec| {
        spec.method = Method::Post;
        spec.body = Some("x".repeat(64 * 1024 + 1));
    });
    assert!(large.contains("`body bytes` is 65537"), "{large}");
}

#[test]
fn headers_are_sendable() {
    let cases = [
        ("", "v", "is not a header name"),
        ("a b", "v", "is not a header name"),
        ("Host", "v", "cannot be chosen"),
        ("content-length", "1", "cannot be chosen"),
        ("x", "a\r\nb: c", "control or non-ASCII"),
        ("x", "ü", "control or non-ASCII"),
    ];
    for (name, value, expected) in cases {
        let error = problem(|spec| {
            spec.headers.insert(name.to_owned(), value.to_owned());
        });
        assert!(error.contains(expected), "{name}: {error}");
    }
    let long = problem(|spec| {
        spec.headers.insert("x".to_owned(), "v".repeat(4097));
    });
    assert!(long.contains("longer than 4096 bytes"), "{long}");
    let many = problem(|spec| spec.headers = (0..33).map(|i| (format!("x-{i}"), "v".to_owned())).collect());
    assert!(many.contains("`headers entries` is 33"), "{many}");
}
