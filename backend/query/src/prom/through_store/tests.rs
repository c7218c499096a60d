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

/// Keeps in memory what the tables can hold: everything but native histograms and start times.
struct FloatsInMemory(promql::script::InMemory);

impl Target for FloatsInMemory {
    fn load(&mut self, mut series: Vec<SeriesData>) -> Result<(), String> {
        let outcome = check_kinds(&series);
        for series in &mut series {
            series.histograms.clear();
            series.starts.clear();
        }
        self.0.load(series)?;
        outcome
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    fn query(&self, query: &str, time: QueryTime) -> promql::Result<Answer> {
        self.0.query(query, time)
    }
}

fn loads_more_than_floats(script: &str) -> bool {
    script.contains("{{") || script.contains("load_with_nhcb") || script.contains("@st")
}

/// Whatever fails with floats in memory fails through a store in the same way, and nothing else does.
fn check(stage: Stage) {
    let engine = promql::Engine::new(promql::script::engine_options());
    let mut passed = 0;
    for (name, script) in scripts() {
        let directory = tempfile::tempdir().unwrap();
        let report = run(&script, stage, directory.path().to_owned()).unwrap();
        let mut in_memory = FloatsInMemory(promql::script::InMemory::new(engine));
        assert_eq!(report, run_on(&script, &mut in_memory), "{name} {stage:?}");
        if !loads_more_than_floats(&script) {
            assert_eq!(report, promql::script::run(&script), "{name} {stage:?}");
        }
        passed += report.passed;
    }
    assert!(passed > 200, "{passed}");
}

#[test]
fn scripts_pass_from_merged_files() {
    check(Stage::Merged);
}

#[test]
fn scripts_pass_from_the_head() {
    check(Stage::Head);
}

#[test]
fn scripts_pass_from_files() {
    check(Stage::Files);
}

#[test]
fn scripts_pass_from_memory_after_a_flush() {
    check(Stage::Hot);
}

#[test]
fn scripts_pass_after_a_restart() {
    check(Stage::Restarted);
}

#[test]
fn scripts_pass_from_files_and_head_together() {
    check(Stage::Mixed);
}
