//! Target groups from files (`file_sd_configs`).
//!
//! Comes in: paths, the file name possibly with one `*`. Goes out: the groups of every file that can be read;
//! a file that cannot keeps its last groups, one that is gone loses them. Changes are found by looking at
//! sizes and times every few seconds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::warn;

use super::config::StaticConfig;

/// How often files are looked at for changes that show.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Largest file with targets, in bytes.
const FILE_BYTES_MAX: u64 = 32 << 20;
const FILEPATH_LABEL: &str = "__meta_filepath";

/// Target groups by file.
pub(crate) type FileGroups = HashMap<String, Vec<StaticConfig>>;

/// Size and time of a file.
type Stamp = (u64, Option<SystemTime>);

/// Reads files of one job again where they changed.
#[derive(Debug)]
pub(crate) struct FileDiscovery {
    patterns: Vec<PathBuf>,
    known: HashMap<PathBuf, (Stamp, Vec<StaticConfig>)>,
}

impl FileDiscovery {
    pub(crate) fn new(patterns: Vec<PathBuf>) -> FileDiscovery {
        FileDiscovery { patterns, known: HashMap::new() }
    }

    /// The groups of all files, or `None` where nothing changed. `all`: read also files that seem unchanged.
    /// Blocks on the file system.
    pub(crate) fn look(&mut self, all: bool) -> Option<FileGroups> {
        let paths: Vec<PathBuf> = self.patterns.iter().flat_map(|pattern| expand(pattern)).collect();
        let before = self.known.len();
        self.known.retain(|path, _| paths.contains(path));
        let mut changed = before != self.known.len();
        for path in paths {
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let stamp = (metadata.len(), metadata.modified().ok());
            let known = self.known.get(&path);
            if known.is_some_and(|(known, _)| !all && *known == stamp) {
                continue;
            }
            match read(&path, metadata.len()) {
                Ok(groups) => {
                    changed |= known.is_none_or(|(_, old)| *old != groups);
                    self.known.insert(path, (stamp, groups));
                }
                Err(error) => {
                    warn!(path = %path.display(), error, "file with targets is not usable, keeping its last targets")
                }
            }
        }
        let groups =
            || self.known.iter().map(|(path, (_, groups))| (path.display().to_string(), groups.clone()));
        changed.then(|| groups().collect())
    }
}

/// The files a pattern names.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let Some((prefix, suffix)) = name.split_once('*') else {
        // A file that cannot be looked at may still be there.
        return pattern.try_exists().unwrap_or(true).then(|| pattern.to_owned()).into_iter().collect();
    };
    let parent = pattern.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let matches = |name: &str| {
        name.len() >= prefix.len() + suffix.len() && name.starts_with(prefix) && name.ends_with(suffix)
    };
    entries
        .flatten()
        .filter(|entry| matches(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

/// YAML, of which JSON is a part.
fn read(path: &Path, bytes: u64) -> Result<Vec<StaticConfig>, String> {
    if bytes > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut groups: Vec<StaticConfig> = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
    for group in &mut groups {
        group.labels.insert(FILEPATH_LABEL.to_owned(), path.display().to_string());
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(groups: &FileGroups) -> Vec<String> {
        let mut targets: Vec<String> =
            groups.values().flatten().flat_map(|group| group.targets.clone()).collect();
        targets.sort();
        targets
    }

    #[test]
    fn files_are_read_when_they_change() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("a.yml", "- targets: [a:1]\n  labels: {x: y}\n");
        write("b.yml", "[{\"targets\": [\"b:1\"]}]");
        write("c.json", "not looked at");
        let mut discovery = FileDiscovery::new(vec![dir.path().join("*.yml")]);

        let groups = discovery.look(false).expect("new files");
        assert_eq!(targets(&groups), ["a:1", "b:1"]);
        let path = dir.path().join("a.yml").display().to_string();
        assert_eq!(groups[&path][0].labels[FILEPATH_LABEL], path);
        assert!(discovery.look(false).is_none(), "nothing changed");
        assert!(discovery.look(true).is_none(), "nothing changed, seen by reading");

        write("a.yml", "- targets: [a:1, a:2]\n");
        assert_eq!(targets(&discovery.look(false).expect("changed")), ["a:1", "a:2", "b:1"]);
        write("a.yml", "- targets: {");
        assert!(discovery.look(false).is_none(), "a broken file keeps its targets");
        std::fs::remove_file(dir.path().join("b.yml")).unwrap();
        assert_eq!(targets(&discovery.look(false).expect("gone")), ["a:1", "a:2"]);
    }
}
