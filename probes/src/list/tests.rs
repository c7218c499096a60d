use super::*;

fn list(json: &str) -> (ProbeList, Vec<RejectedProbe>) {
    ProbeList::parse_lenient(json.as_bytes()).unwrap()
}

#[test]
fn the_version_follows_the_probes() {
    let probes = vec![ProbeSpec::new("a", "http://a/"), ProbeSpec::new("b", "http://b/")];
    let version = ProbeList::of(probes.clone()).version;
    assert_eq!(version.len(), 16);
    assert_eq!(ProbeList::of(probes.clone()).version, version);
    let mut changed = probes;
    changed[1].timeout_ms += 1;
    assert_ne!(ProbeList::of(changed).version, version);
}

#[test]
fn a_good_list_is_taken_whole() {
    let whole = ProbeList::of(vec![ProbeSpec::new("a", "http://a/"), ProbeSpec::new("b", "http://b/")]);
    whole.validate().unwrap();
    assert_eq!(list(&serde_json::to_string(&whole).unwrap()), (whole, vec![]));
}

#[test]
fn bad_probes_are_left_out_and_told() {
    let (kept, rejected) = list(
        r#"{"version":"1","later_field":true,"probes":[
            {"name":"good","target":"http://a/"},
            {"name":"later","target":"http://a/","kind":"dns"},
            {"name":"scheme","target":"ftp://a/"},
            {"name":"good","target":"http://b/"},
            42]}"#,
    );
    assert_eq!(kept.probes, [ProbeSpec::new("good", "http://a/")]);
    let told: Vec<_> = rejected.iter().map(|r| (r.name.as_str(), r.error.as_str())).collect();
    assert_eq!(told.len(), 4);
    assert_eq!(told[0].0, "later");
    assert!(told[0].1.contains("unknown variant `dns`"), "{}", told[0].1);
    assert!(told[1].1.contains("has scheme `ftp`"), "{}", told[1].1);
    assert_eq!(told[2], ("good", "another probe has the same name"));
    assert_eq!(told[3].0, "?");
}

#[test]
fn what_is_no_list_is_refused() {
    for json in ["", "[]", "{}", r#"{"probes":{}}"#] {
        assert!(matches!(ProbeList::parse_lenient(json.as_bytes()), Err(ListError::Json(_))), "{json}");
    }
    let many = format!(r#"{{"probes":[{}]}}"#, vec!["0"; PROBES_MAX + 1].join(","));
    assert!(matches!(ProbeList::parse_lenient(many.as_bytes()), Err(ListError::TooMany(501))));
}

#[test]
fn validation_names_the_probe() {
    let mut bad = ProbeSpec::new("slow", "http://a/");
    bad.timeout_ms = 60_000;
    let error = ProbeList::of(vec![bad]).validate().unwrap_err().to_string();
    assert_eq!(error, "probe `slow`: `timeout_ms` is 60000, and must be 100 to 30000");
    let twins = ProbeList::of(vec![ProbeSpec::new("a", "http://a/"), ProbeSpec::new("a", "http://b/")]);
    assert_eq!(twins.validate().unwrap_err().to_string(), "two probes are named `a`");
    let many = (0..=PROBES_MAX).map(|i| ProbeSpec::new(format!("p{i}"), "http://a/")).collect();
    assert!(matches!(ProbeList::of(many).validate(), Err(ListError::TooMany(501))));
}
