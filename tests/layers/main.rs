//! Dependencies point one way: which of our crates may name which, and who may name DataFusion and axum. Reads the
//! manifests through `cargo metadata`; knows nothing of the code. A new edge is added here on purpose or not at all.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Each crate and what it may depend on, lowest first; nothing points up.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("probes", &[]),
    ("edge-worker", &["probes"]),
    ("model", &[]),
    ("codecs", &["model", "probes"]),
    ("process", &["model"]),
    ("collect", &["codecs", "model", "probes", "process"]),
    ("store", &["model"]),
    ("ingest", &["model", "process", "store"]),
    ("promql", &["model"]),
    ("query", &["model", "promql", "store"]),
    ("server", &["codecs", "collect", "ingest", "model", "probes", "process", "promql", "query", "store"]),
    ("tests", &["codecs", "model", "promql", "store"]),
];

/// Foreign crates that stay inside one of ours, with all whose name begins so.
const STAYS_INSIDE: &[(&str, &str)] =
    &[("datafusion", "query"), ("axum", "server"), ("worker", "edge-worker")];

/// Name of each workspace crate and of all it names, in any section of its manifest.
fn manifests() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
            (text(&package["name"]), dependencies.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

#[test]
fn our_crates_depend_one_way() {
    let manifests = manifests();
    let known: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, dependencies) in &manifests {
        let Some(allowed) = known.get(name.as_str()) else {
            wrong.push(format!("`{name}` has no place in MAY_NAME"));
            continue;
        };
        let ours = dependencies.iter().filter(|dependency| manifests.contains_key(*dependency));
        for dependency in ours.filter(|dependency| !allowed.contains(&dependency.as_str())) {
            wrong.push(format!("`{name}` must not name `{dependency}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(manifests.len(), MAY_NAME.len(), "MAY_NAME names crates that are gone");
}

#[test]
fn big_frameworks_stay_inside_one_crate() {
    let mut wrong = Vec::new();
    for (name, dependencies) in &manifests() {
        for (framework, home) in STAYS_INSIDE.iter().filter(|(_, home)| home != name) {
            let of_it = |dependency: &&String| {
                dependency
                    .strip_prefix(framework)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            let named = dependencies.iter().filter(of_it);
            wrong.extend(named.map(|dependency| format!("`{name}` names `{dependency}`; only `{home}` may")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lowest_crates_do_no_input_or_output() {
    let manifests = manifests();
    for name in ["probes", "model", "promql", "process"] {
        for forbidden in ["tokio", "reqwest", "hyper", "arrow", "object_store"] {
            let named = manifests[name].iter().any(|dependency| dependency == forbidden);
            assert!(!named, "`{name}` names `{forbidden}`");
        }
    }
}
