//! Where the real components are, told by environment variables that `tests/run` sets.

use std::path::PathBuf;

/// The program a variable names; a test that needs it fails here, saying how to get it.
pub(crate) fn tool(variable: &str) -> PathBuf {
    optional_tool(variable).unwrap_or_else(|| {
        panic!("`{variable}` does not name a program: run `tests/run --only e2e`, or `eval \"$(tests/run --env)\"` after it ran once")
    })
}

/// The same where there is a second choice.
pub(crate) fn optional_tool(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.exists())
}

/// The binary under test.
pub(crate) fn atl_binary() -> PathBuf {
    let path = optional_tool("ATL_BIN").unwrap_or_else(|| checkout().join("target/release/atl"));
    assert!(path.exists(), "no binary at `{}`: cargo build --release, or set ATL_BIN", path.display());
    path
}

/// The top of the checkout.
pub(crate) fn checkout() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ stands in the checkout").to_owned()
}

/// How often a repeated case runs: `usual` times, or `long` times with `tests/run --long`.
pub(crate) fn rounds(usual: usize, long: usize) -> usize {
    if std::env::var_os("ATL_TEST_LONG").is_some() { long } else { usual }
}
