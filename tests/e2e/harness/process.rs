//! A child process that never outlives its test: it leads its own process group, and the whole group is killed
//! when the handle goes. Its output goes to a file, whose end is shown if the test fails.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// A running child.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; both its outputs are appended to `log`.
    pub(crate) fn spawn(name: &str, mut command: Command, log: &Path) -> Process {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("log file opens");
        let errors = file.try_clone().expect("log file can be shared");
        command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Process { name: name.to_owned(), child, log: log.to_owned() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal such as `TERM` or `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        send_signal(signal, &self.pid().to_string());
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill9(&mut self) {
        self.signal("KILL");
        self.child.wait().expect("a killed child can be waited for");
    }

    /// Waits for the end.
    pub(crate) async fn wait(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} did not end within {within:?}", self.name);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its exit status, if it has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked for its status")
    }

    /// Everything it has printed.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Resident memory now, and the most there ever was; bytes.
    pub(crate) fn memory(&self) -> Memory {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("child is running");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("field is in status");
            let kilobytes = line.trim().trim_end_matches(" kB");
            kilobytes.trim().parse::<u64>().expect("field is a number") * 1024
        };
        Memory { resident: field("VmRSS:"), peak: field("VmHWM:") }
    }
}

/// Memory of a process, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group: wrangler and nginx have children of their own.
        send_signal("KILL", &format!("-{}", self.pid()));
        let _ = self.child.wait();
        if std::thread::panicking() {
            show(&self.name, &self.output());
        }
    }
}

fn send_signal(signal: &str, to: &str) {
    // The group may be gone already, which is fine.
    let _ = Command::new("kill").args([&format!("-{signal}"), "--", to]).stderr(Stdio::null()).status();
}

#[expect(clippy::print_stderr, reason = "a failing test shows what its processes said")]
fn show(name: &str, output: &str) {
    let lines: Vec<&str> = output.lines().collect();
    eprintln!("--- the end of what {name} printed:");
    for line in &lines[lines.len().saturating_sub(40)..] {
        eprintln!("    {line}");
    }
}
