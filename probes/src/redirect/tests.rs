use proptest::prelude::*;

use super::*;
use crate::Expectations;

fn chain(target: &str, method: Method) -> RedirectChain {
    let mut spec = ProbeSpec::new("site", target);
    spec.method = method;
    spec.body = method.has_body().then(|| "a=b".to_owned());
    for (name, value) in
        [("Authorization", "Bearer x"), ("Content-Type", "text/plain"), ("User-Agent", "u"), ("X-Key", "k")]
    {
        spec.headers.insert(name.to_owned(), value.to_owned());
    }
    RedirectChain::new(&spec).unwrap()
}

fn header_names(chain: &RedirectChain) -> Vec<&str> {
    chain.request().headers.iter().map(|(name, _)| name.as_str()).collect()
}

fn reason(step: Step) -> Reason {
    match step {
        Step::Fail(failure) => failure.reason,
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn the_first_request_is_the_specified_one() {
    let chain = chain("https://a.example/x", Method::Post);
    assert_eq!(chain.request().url.as_str(), "https://a.example/x");
    assert_eq!(chain.request().method, Method::Post);
    assert_eq!(chain.request().body.as_deref(), Some("a=b"));
    assert_eq!(header_names(&chain), ["Authorization", "Content-Type", "User-Agent", "X-Key"]);
    assert_eq!(chain.followed(), 0);
}

#[test]
fn addresses_are_resolved_against_the_last_one() {
    let cases = [
        ("/login", "https://a.example/login"),
        ("login", "https://a.example/deep/login"),
        ("../up", "https://a.example/up"),
        ("?q=1", "https://a.example/deep/page?q=1"),
        ("//b.example/x", "https://b.example/x"),
        ("http://b.example", "http://b.example/"),
        ("https://b.example:8443/ä", "https://b.example:8443/%C3%A4"),
        ("", "https://a.example/deep/page"),
    ];
    for (location, expected) in cases {
        let mut chain = chain("https://a.example/deep/page", Method::Get);
        assert_eq!(chain.answered(302, Some(location)), Step::Follow, "{location}");
        assert_eq!(chain.request().url.as_str(), expected, "{location}");
    }
}

#[test]
fn methods_change_as_browsers_change_them() {
    let cases = [
        (301, Method::Post, Method::Get),
        (302, Method::Post, Method::Get),
        (303, Method::Post, Method::Get),
        (307, Method::Post, Method::Post),
        (308, Method::Post, Method::Post),
        (301, Method::Put, Method::Put),
        (302, Method::Put, Method::Put),
        (303, Method::Put, Method::Get),
        (303, Method::Head, Method::Head),
        (302, Method::Head, Method::Head),
    ];
    for (status, before, after) in cases {
        let mut chain = chain("https://a.example/", before);
        assert_eq!(chain.answered(status, Some("/x")), Step::Follow);
        let request = chain.request();
        assert_eq!(request.method, after, "{status} {before:?}");
        let keeps_body = after == before && before.has_body();
        assert_eq!(request.body.is_some(), keeps_body, "{status} {before:?}");
        let keeps_type = header_names(&chain).contains(&"Content-Type");
        assert_eq!(keeps_type, after == before, "{status} {before:?}");
    }
}

#[test]
fn secrets_stay_with_their_origin() {
    let mut same = chain("https://a.example/", Method::Get);
    same.answered(302, Some("/x"));
    assert!(header_names(&same).contains(&"Authorization"));
    for elsewhere in ["https://b.example/", "http://a.example/", "https://a.example:444/"] {
        let mut chain = chain("https://a.example/", Method::Get);
        chain.answered(302, Some(elsewhere));
        assert_eq!(header_names(&chain), ["User-Agent"], "{elsewhere}");
        // And they do not come back with a redirect back.
        chain.answered(302, Some("https://a.example/"));
        assert_eq!(header_names(&chain), ["User-Agent"]);
    }
}

#[test]
fn what_is_no_redirect_is_the_answer() {
    for (status, location) in
        [(200, Some("/x")), (304, Some("/x")), (300, Some("/x")), (302, None), (404, None)]
    {
        assert_eq!(chain("http://a/", Method::Get).answered(status, location), Step::Stop, "{status}");
    }
}

#[test]
fn redirects_are_not_followed_where_that_is_off() {
    let mut spec = ProbeSpec::new("site", "http://a/");
    spec.expect = Expectations { follow_redirects: false, ..Expectations::default() };
    assert_eq!(RedirectChain::new(&spec).unwrap().answered(301, Some("/x")), Step::Stop);
}

#[test]
fn a_loop_ends_at_the_limit() {
    let mut chain = chain("http://a/", Method::Get);
    for followed in 1..=5 {
        assert_eq!(chain.answered(302, Some("/?token=secret")), Step::Follow);
        assert_eq!(chain.followed(), followed);
    }
    let Step::Fail(failure) = chain.answered(302, Some("/?token=secret")) else { panic!("must fail") };
    assert_eq!(failure.reason, Reason::TooManyRedirects);
    assert_eq!(failure.detail, "more than 5 redirects, the last to http://a/");
    assert_eq!(chain.followed(), 5);
}

#[test]
fn redirects_to_nowhere_fail() {
    for location in ["ftp://a/", "javascript:alert(1)", "mailto:a@b", "http://", "http://[::1", "data:,x"] {
        assert_eq!(reason(chain("http://a/", Method::Get).answered(302, Some(location))), Reason::InvalidUrl);
    }
}

#[test]
fn a_target_that_is_no_url_fails() {
    let failure = RedirectChain::new(&ProbeSpec::new("a", "nonsense")).unwrap_err();
    assert_eq!(failure.reason, Reason::InvalidUrl);
}

proptest! {
    /// Whatever servers answer, a chain ends within its limit, only ever goes to http or https, and never
    /// carries more than it began with.
    #[test]
    fn every_chain_ends(answers in prop::collection::vec((100_u16..600, prop::option::of(".{0,30}")), 0..40)) {
        let mut chain = chain("https://a.example/", Method::Post);
        for (status, location) in answers {
            let before = chain.request().headers.len();
            match chain.answered(status, location.as_deref()) {
                Step::Follow => {
                    prop_assert!(chain.followed() <= 5);
                    prop_assert!(matches!(chain.request().url.scheme(), "http" | "https"));
                    prop_assert!(chain.request().headers.len() <= before);
                }
                Step::Stop | Step::Fail(_) => break,
            }
        }
    }
}
