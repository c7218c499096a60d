use super::*;

/// Scripts as (name, text): our own, and Prometheus's where `ATL_PROMQLTEST` names their folder.
fn scripts() -> Vec<(String, String)> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../promql/testdata").to_owned();
    let folders = [Some(own), std::env::var("ATL_PROMQLTEST").ok()];
    let mut scripts = Vec::new();
    for folder in folders.into_iter().flatten() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "test") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                scripts.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    scripts.sort();
    assert!(scripts.len() > 20);
    scripts
}

/// What the tables cannot hold: native histograms and start times.
fn loads_more_than_floats(script: &str) -> bool {
    script.contains("{{") || script.contains("load_with_nhcb") || script.contains("@st")
}

fn check(stage: Stage) {
    let (mut floats, mut others) = (0, 0);
    for (name, script) in scripts() {
        let directory = tempfile::tempdir().unwrap();
        let report = run(&script, stage, directory.path().to_owned()).unwrap();
        let in_memory = promql::script::run(&script);
        if loads_more_than_floats(&script) {
            println!("{name}: {} passed, {} failed", report.passed, report.failures.len());
            others += report.failures.len();
        } else {
            assert_eq!(report.failures, in_memory.failures, "{name} {stage:?}");
            assert_eq!(report.passed, in_memory.passed, "{name} {stage:?}");
            floats += report.passed;
        }
    }
    println!("{stage:?}: {floats} passed in scripts of floats, {others} failed in the others");
    assert!(floats > 200, "{floats}");
}

#[test]
fn scripts_of_floats_pass_from_the_head() {
    check(Stage::Head);
}

#[test]
fn scripts_of_floats_pass_from_files() {
    check(Stage::Files);
}

#[test]
fn scripts_of_floats_pass_after_a_restart() {
    check(Stage::Restarted);
}

#[test]
fn scripts_of_floats_pass_from_files_and_head_together() {
    check(Stage::Mixed);
}
