//! Space on mounted file systems.
//!
//! Asking a file system may hang for ever (a dead NFS server), so a thread of its own asks, and after five
//! seconds it is left behind: that mount point is an error until the thread comes back, and the others are
//! asked by a new thread.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::StatVfs;

use super::files::read;
use super::{CollectError, Families, Host};

/// How long all mount points together may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One line of the mount table.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    mount_point: String,
    fs_type: String,
    read_only: bool,
}

pub(super) fn collect(host: &mut Host, families: &mut Families) -> Result<(), CollectError> {
    // Of the first process: those of this one may be a container's.
    let text = read(&host.proc_path("1/mounts")).or_else(|_| read(&host.proc_path("mounts")))?;
    let deadline = Instant::now() + TIMEOUT;
    let mut seen = HashSet::new();
    for mut mount in text.lines().filter_map(Mount::parse) {
        let path = PathBuf::from(&mount.mount_point);
        let Some(mount_point) = without_root(&host.config.rootfs, &mount.mount_point) else { continue };
        mount.mount_point = mount_point;
        let excluded = host.config.mount_points_excluded.matches(&mount.mount_point)
            || host.config.fs_types_excluded.matches(&mount.fs_type);
        if excluded || !seen.insert((mount.device.clone(), mount.mount_point.clone())) {
            continue;
        }
        let path = if path.starts_with(&host.config.rootfs) { path } else { host.config.rootfs.join(path) };
        let stat = host.statter.stat(path, deadline);
        push(families, &mount, stat);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
fn push(families: &mut Families, mount: &Mount, stat: Option<StatVfs>) {
    let labels =
        [("device", mount.device.as_str()), ("fstype", &mount.fs_type), ("mountpoint", &mount.mount_point)];
    let mut gauge = |name: &str, help: &str, value: f64| families.gauge(name, help, &labels, value);
    let error = f64::from(u8::from(stat.is_none()));
    gauge("node_filesystem_device_error", "Whether the file system could not be asked.", error);
    let Some(stat) = stat else { return };
    let bytes = |blocks: u64| blocks as f64 * stat.f_frsize as f64;
    gauge("node_filesystem_size_bytes", "Size in bytes.", bytes(stat.f_blocks));
    gauge("node_filesystem_free_bytes", "Free space in bytes.", bytes(stat.f_bfree));
    gauge("node_filesystem_avail_bytes", "Space for users other than root in bytes.", bytes(stat.f_bavail));
    gauge("node_filesystem_files", "File nodes at most.", stat.f_files as f64);
    gauge("node_filesystem_files_free", "File nodes free.", stat.f_ffree as f64);
    let read_only = f64::from(u8::from(mount.read_only));
    gauge("node_filesystem_readonly", "Whether it is mounted read-only.", read_only);
}

impl Mount {
    /// fstab(5): device, mount point, type, options; blanks are written as octal.
    fn parse(line: &str) -> Option<Mount> {
        let mut columns = line.split(' ');
        Some(Mount {
            device: unescape(columns.next()?),
            mount_point: unescape(columns.next()?),
            fs_type: columns.next()?.to_owned(),
            read_only: columns.next()?.split(',').any(|option| option == "ro"),
        })
    }
}

fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// The mount point as the host sees it; `None` for mounts of the container itself.
fn without_root(rootfs: &Path, mount_point: &str) -> Option<String> {
    let root = rootfs.to_str()?.trim_end_matches('/');
    if root.is_empty() {
        return Some(mount_point.to_owned());
    }
    match mount_point.strip_prefix(root) {
        Some("") => Some("/".to_owned()),
        Some(rest) if rest.starts_with('/') => Some(rest.to_owned()),
        // The mount table of the host's first process has no such prefix.
        _ => Some(mount_point.to_owned()),
    }
}

/// Asks file systems on a thread that may be left behind.
#[derive(Debug, Default)]
pub(super) struct Statter {
    worker: Option<Worker>,
    /// Mount points a thread hangs on.
    stuck: Arc<Mutex<HashSet<PathBuf>>>,
}

#[derive(Debug)]
struct Worker {
    requests: Sender<PathBuf>,
    answers: Receiver<Option<StatVfs>>,
}

impl Statter {
    /// What the file system says, `None` where it cannot be asked or does not answer before `deadline`.
    fn stat(&mut self, path: PathBuf, deadline: Instant) -> Option<StatVfs> {
        self.stat_with(path, deadline, |path| rustix::fs::statvfs(path).ok())
    }

    fn stat_with(
        &mut self,
        path: PathBuf,
        deadline: Instant,
        ask: fn(&Path) -> Option<StatVfs>,
    ) -> Option<StatVfs> {
        if self.stuck.lock().unwrap_or_else(PoisonError::into_inner).contains(&path) {
            return None;
        }
        let worker = match &mut self.worker {
            Some(worker) => worker,
            none => none.insert(Worker::start(ask, Arc::clone(&self.stuck))?),
        };
        worker.requests.send(path.clone()).ok()?;
        match worker.answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(stat) => stat,
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!(mount_point = %path.display(), "file system does not answer");
                self.stuck.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
                // The thread ends when it finds nobody waits for its answer.
                self.worker = None;
                None
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.worker = None;
                None
            }
        }
    }
}

impl Worker {
    fn start(ask: fn(&Path) -> Option<StatVfs>, stuck: Arc<Mutex<HashSet<PathBuf>>>) -> Option<Worker> {
        let (requests, inbox) = channel::<PathBuf>();
        let (outbox, answers) = channel();
        let work = move || {
            for path in inbox {
                let stat = ask(&path);
                if outbox.send(stat).is_err() {
                    stuck.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
                    return;
                }
            }
        };
        std::thread::Builder::new().name("statvfs".to_owned()).spawn(work).ok()?;
        Some(Worker { requests, answers })
    }
}

#[cfg(test)]
mod tests;
