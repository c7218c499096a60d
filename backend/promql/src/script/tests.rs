use super::*;

#[test]
fn passes_and_failures_are_counted() {
    let report =
        run("load 1m\n  a 1 2 3\n\neval instant at 1m a\n  a 2\n\neval instant at 1m a\n  a 7\n\nnonsense\n");
    assert_eq!(report.passed, 1);
    let lines: Vec<usize> = report.failures.iter().map(|failure| failure.line).collect();
    assert_eq!(lines, [7, 10]);
}

#[test]
fn wrong_expectations_fail() {
    let check = |block: &str| {
        let report = run(&format!("load 1m\n  a 1 2 3\n\n{block}"));
        assert_eq!((report.passed, report.failures.len()), (0, 1), "{block}");
    };
    check("eval instant at 1m a"); // a series too many
    check("eval instant at 1m a\n  a 2\n  b 3"); // a series too few
    check("eval instant at 1m a\n  expect fail");
    check("eval instant at 1m a +\n  a 2");
    check("eval instant at 1m a\n  expect warn\n  a 2");
    check("eval instant at 1m quantile(2, a)\n  expect no_warn\n  {} +Inf");
    check("eval range from 0 to 2m step 1m a\n  a 1 2");
    check("eval range from 0 to 2m step 1m a\n  a 1 2 3 4");
    check("eval instant at 1m \"x\"\n  expect string \"y\"");
    check("eval instant at 1m 1\n  2");
}

#[test]
fn sequences_expand() {
    let values = |text: &str| sequence::series(&format!("a {text}")).expect(text).1;
    let float = SequenceValue::Float;
    use sequence::SequenceValue;
    assert_eq!(values("1 _ 2"), [float(1.0), SequenceValue::Omitted, float(2.0)]);
    assert_eq!(values("1x2"), [float(1.0), float(1.0), float(1.0)]);
    assert_eq!(values("1+2x2"), [float(1.0), float(3.0), float(5.0)]);
    assert_eq!(values("-1-2x1"), [float(-1.0), float(-3.0)]);
    assert_eq!(values("_x3").len(), 3);
    assert_eq!(values("{{sum:1 count:1}}x1 {{}}").len(), 3);
    assert!(sequence::series("a 1x").is_err());
    assert!(sequence::series("a {{nope:1}}").is_err());
}

/// Runs one of our own scripts.
#[cfg(test)]
fn run_file(name: &str) {
    let path = format!("{}/testdata/{name}.test", env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let report = run(&script);
    assert!(report.failures.is_empty(), "{path}: {:#?}", report.failures);
    assert!(report.passed > 0, "{path}: no evaluation");
}

/// One test a file, so that the name of a failed test tells the topic.
macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { run_file(stringify!($name)); })*

        #[test]
        fn every_script_is_run() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .expect("the folder of scripts")
                .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
                .collect();
            files.sort();
            assert_eq!(files, [$(stringify!($name)),*]);
        }
    };
}

scripts!(
    absent,
    aggregation,
    annotations,
    arithmetic,
    at_and_offset,
    classic_histograms,
    comparison,
    counters,
    dates,
    duration_expressions,
    extended_ranges,
    fill,
    info,
    labels,
    limits_of_values,
    literals,
    matching,
    native_histograms,
    over_time,
    selectors,
    sets,
    sorting,
    staleness,
    start_timestamps,
    subqueries,
    trends,
    trim,
);
