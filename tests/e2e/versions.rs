//! A folder that another version has left: an older one's is served as it is, a later one's is refused by name.

use std::path::{Path, PathBuf};

use crate::harness::atl::NO_BUILTIN;
use crate::harness::{Atl, tools};

/// The folder of format 1, copied to where `atl` looks for it, with a server that keeps rows of any age.
async fn golden(change: impl Fn(&Path, &mut Vec<u8>)) -> (Atl, String) {
    let source = tools::checkout().join("backend/store/testdata/golden/v1");
    let mut atl = Atl::start(NO_BUILTIN).await;
    atl.stop().await;
    let data = atl.folder().join("atl-data");
    std::fs::remove_dir_all(&data).expect("what the first start has made goes");
    for file in files_below(&source) {
        let name = file.strip_prefix(&source).expect("a file below");
        // The store's folder lies inside of the data folder here.
        let name = name.strip_prefix("data").unwrap_or(name);
        let mut bytes = std::fs::read(&file).expect("a file");
        change(name, &mut bytes);
        let target = data.join(name);
        std::fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        std::fs::write(target, bytes).expect("a copy");
    }
    atl.write_config(&format!(
        "{NO_BUILTIN}store: {{ retention: {{ metrics: 0d, logs: 0d, probes: 0d }} }}\n"
    ));
    atl.start_again().await;
    let expected = std::fs::read_to_string(source.join("expected.txt")).expect("what must be there");
    (atl, expected)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test]
async fn a_folder_of_format_1_is_served_and_gone_on_with() {
    let (mut atl, expected) = golden(|_, _| {}).await;
    let lines =
        |table: &str| expected.lines().filter(|line| line.starts_with(&format!("{table} "))).count() as i64;
    for _ in 0..2 {
        for table in ["metrics", "logs", "probes"] {
            let rows = atl.sql(&format!("SELECT count(*) FROM {table}")).await.number();
            assert_eq!(rows, lines(table), "{table}");
        }
        let found = atl.sql("SELECT count(*) FROM logs WHERE body LIKE '%round 3 line 2%'").await;
        assert_eq!(found.number(), 2);
        let is_nan = |line: &&str| {
            let bits = line.rsplit(' ').next().and_then(|bits| u64::from_str_radix(bits, 16).ok());
            f64::from_bits(bits.expect("the bits of a value")).is_nan()
        };
        let nans = expected.lines().filter(|line| line.starts_with("metrics ")).filter(is_nan).count() as i64;
        assert_eq!(atl.sql("SELECT count(*) FROM metrics WHERE isnan(value)").await.number(), nans);
        atl.stop().await;
        atl.start_again().await;
    }
}

#[tokio::test]
async fn files_of_a_later_format_are_named_and_not_read() {
    let pattern = b"atl.format\x18\x011";
    let (atl, _) = golden(|name, bytes| {
        let is_log =
            name.starts_with("store/logs") && name.extension().is_some_and(|ending| ending == "parquet");
        let at = bytes.windows(pattern.len()).position(|window| window == pattern);
        if let (true, Some(at)) = (is_log, at) {
            bytes[at + pattern.len() - 1] = b'9';
        }
    })
    .await;
    let refused = atl.refused_sql("SELECT body FROM logs").await;
    assert!(refused.message().contains("logs/day="), "{}", refused.body);
    assert!(atl.sql("SELECT count(*) FROM metrics").await.number() > 100, "other tables are served");
}
