//! A small disk of its own: a tmpfs in a mount namespace of its own, so that no right on the machine is needed. It
//! can be filled from outside and emptied again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;
use super::wait::{ensure, eventually};

/// The disk. It goes when this goes.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    /// Keeps the namespace while nothing else runs in it.
    holder: Process,
    folder: TempDir,
}

impl SmallDisk {
    /// A disk of so many mebibytes.
    pub(crate) async fn new(mebibytes: usize) -> SmallDisk {
        let folder = TempDir::with_prefix("atl-disk-").expect("temporary folder");
        let mount = format!(
            "mount -t tmpfs -o size={mebibytes}m tmpfs \"$0\" && : > \"$0/mounted\" && exec sleep 3600"
        );
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &mount]).arg(folder.path());
        let log = TempDir::with_prefix("atl-disk-log-").expect("temporary folder");
        let holder = Process::spawn("unshare", command, &log.path().join("unshare.log"));
        let disk = SmallDisk { holder, folder };
        eventually("the small disk is mounted (needs user namespaces)", Duration::from_secs(20), || async {
            ensure(disk.outside().join("mounted").exists(), || disk.holder.output())
        })
        .await;
        disk
    }

    /// Where it is for those who run in its namespace.
    pub(crate) fn inside(&self) -> &Path {
        self.folder.path()
    }

    /// Where it is for everybody else.
    pub(crate) fn outside(&self) -> PathBuf {
        let inside = self.inside().strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.holder.pid().to_string()).join("root").join(inside)
    }

    /// The command that runs another one in its namespace.
    pub(crate) fn prefix(&self) -> Vec<String> {
        let holder = self.holder.pid().to_string();
        ["nsenter", "--target", &holder, "--user", "--mount", "--preserve-credentials"]
            .map(str::to_owned)
            .into()
    }

    /// Takes the room up to the last `leave` bytes.
    pub(crate) fn fill(&self, leave: usize) {
        let balloon = self.balloon();
        let chunk = vec![1; 4096];
        let mut file = std::fs::File::create(&balloon).expect("the balloon begins");
        while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
        let size = file.metadata().expect("the balloon's size").len();
        file.set_len(size.saturating_sub(leave as u64)).expect("the balloon shrinks");
    }

    /// Gives the room back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.balloon()).expect("the balloon goes");
    }

    fn balloon(&self) -> PathBuf {
        self.outside().join("balloon")
    }
}
