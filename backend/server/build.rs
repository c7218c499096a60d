//! Finds the web UI that goes into the binary. Takes the first that applies: `ATL_UI_DIST` names a built UI;
//! Node is there and builds `dashboards/ui`; neither, and the hand-written page in `fallback-ui` serves.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the UI is made from; not `dist` or `node_modules`, or every build would build the UI again.
const UI_INPUTS: [&str; 9] = [
    "src",
    "index.html",
    "package.json",
    "package-lock.json",
    ".npmrc",
    "vite.config.ts",
    "vite-licenses.ts",
    "svelte.config.js",
    "tsconfig.json",
];

fn main() {
    let ui = package().join("../../dashboards/ui");
    println!("cargo:rerun-if-env-changed=ATL_UI_DIST");
    println!("cargo:rerun-if-changed=fallback-ui");
    for input in UI_INPUTS {
        println!("cargo:rerun-if-changed={}", ui.join(input).display());
    }
    let (dist, kind) = prebuilt().or_else(|| built_with_node(&ui)).unwrap_or_else(fallback);
    println!("cargo:rustc-env=ATL_EMBEDDED_UI={}", dist.display());
    println!("cargo:rustc-env=ATL_EMBEDDED_UI_KIND={kind}");
}

/// The folder of this crate, asked for when the script runs: a script that cargo kept may have been compiled in another
/// checkout.
fn package() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
}

fn prebuilt() -> Option<(PathBuf, &'static str)> {
    let dist = PathBuf::from(std::env::var_os("ATL_UI_DIST")?);
    let dist =
        dist.canonicalize().unwrap_or_else(|error| panic!("ATL_UI_DIST `{}`: {error}", dist.display()));
    assert!(dist.join("index.html").is_file(), "ATL_UI_DIST `{}` has no index.html", dist.display());
    println!("cargo:rerun-if-changed={}", dist.display());
    Some((dist, "full"))
}

/// Runs npm in a copy of the UI's sources, so that the checkout is left as it was.
fn built_with_node(ui: &Path) -> Option<(PathBuf, &'static str)> {
    Command::new("node").arg("--version").output().ok().filter(|output| output.status.success())?;
    let work = PathBuf::from(std::env::var_os("OUT_DIR")?).join("ui");
    copy_sources(ui, &work).map_err(|error| warn(&format!("cannot copy the UI's sources: {error}"))).ok()?;
    for arguments in [&["ci", "--no-audit", "--no-fund"][..], &["run", "build"][..]] {
        let output = Command::new("npm").args(arguments).current_dir(&work).output();
        let failure = match output {
            Ok(output) if output.status.success() => continue,
            Ok(output) => {
                String::from_utf8_lossy(&output.stderr).lines().rev().take(5).collect::<Vec<_>>().join(" | ")
            }
            Err(error) => error.to_string(),
        };
        warn(&format!(
            "`npm {}` failed, the small fallback page is embedded instead: {failure}",
            arguments.join(" ")
        ));
        return None;
    }
    Some((work.join("dist"), "full"))
}

fn fallback() -> (PathBuf, &'static str) {
    warn(
        "the small fallback page is embedded; install Node 20 or later, or set ATL_UI_DIST, for the full UI",
    );
    (package().join("fallback-ui"), "fallback")
}

fn copy_sources(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    // A file deleted from the sources must not live on in the copy; node_modules may, npm checks it.
    let _ = std::fs::remove_dir_all(to.join("src"));
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "node_modules" || name == "dist" || name == "tests" {
            continue;
        }
        copy_tree(&entry.path(), &to.join(name))?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return std::fs::copy(from, to).map(|_| ());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy_tree(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn warn(message: &str) {
    println!("cargo:warning={message}");
}
