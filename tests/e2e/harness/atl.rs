//! The binary under test: started on a free port over a folder of its own, stopped, killed, started again.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;
use super::wait::{ensure, eventually};
use super::{http, tools};

/// Longest wait for a start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for a clean stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Turns the built-in targets off, for tests that count rows.
pub(crate) const NO_BUILTIN: &str = "builtin: { host: false, own_metrics: false }\n";

/// One server and its folder. The folder goes when this goes.
#[derive(Debug)]
pub(crate) struct Atl {
    // Before the folder: its log is shown when a test fails, and goes with the folder.
    process: Process,
    folder: TempDir,
    starts: usize,
    address: String,
    environment: Vec<(String, String)>,
    configured: bool,
    /// The command it is started by, where that is not itself.
    prefix: Vec<String>,
}

impl Atl {
    /// Starts with no configuration file at all, in an empty folder.
    pub(crate) async fn start_bare() -> Atl {
        Atl::launch(None, Vec::new(), &[]).await
    }

    /// Starts with this `atl.yaml`. Listening address and data folder are set by the command line.
    pub(crate) async fn start(config: &str) -> Atl {
        Atl::launch(Some(config), Vec::new(), &[]).await
    }

    /// The same, started by another command: one that puts it into a place of its own.
    pub(crate) async fn start_within(prefix: &[String], config: &str) -> Atl {
        Atl::launch(Some(config), Vec::new(), prefix).await
    }

    /// The same with environment variables.
    pub(crate) async fn start_with(config: &str, environment: &[(&str, &str)]) -> Atl {
        let owned = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Atl::launch(Some(config), owned.collect(), &[]).await
    }

    async fn launch(config: Option<&str>, environment: Vec<(String, String)>, prefix: &[String]) -> Atl {
        let folder = TempDir::with_prefix("atl-e2e-").expect("temporary folder");
        if let Some(config) = config {
            std::fs::write(folder.path().join("atl.yaml"), config).expect("configuration is written");
        }
        let process = spawn(folder.path(), 1, config.is_some(), &environment, prefix);
        let mut atl = Atl {
            folder,
            process,
            starts: 1,
            address: String::new(),
            environment,
            configured: config.is_some(),
            prefix: prefix.to_vec(),
        };
        atl.wait_until_ready().await;
        atl
    }

    /// Starts it again over the same folder, after [`Atl::stop`] or [`Atl::kill9`].
    pub(crate) async fn start_again(&mut self) {
        assert!(self.process.exited().is_some(), "it is still running");
        self.starts += 1;
        self.process =
            spawn(self.folder.path(), self.starts, self.configured, &self.environment, &self.prefix);
        self.wait_until_ready().await;
    }

    /// Replaces the configuration, for the next start or reload.
    pub(crate) fn write_config(&mut self, config: &str) {
        std::fs::write(self.folder.path().join("atl.yaml"), config).expect("configuration is written");
        self.configured = true;
    }

    async fn wait_until_ready(&mut self) {
        let process = &mut self.process;
        let address = loop_until(START_TIMEOUT, || {
            if let Some(status) = process.exited() {
                return Err(Some(format!(
                    "it ended with {status} instead of starting:\n{}",
                    process.output()
                )));
            }
            address_in(&process.output()).ok_or(None)
        });
        self.address = address.await;
        let ready = self.url("/-/ready");
        eventually("the server is ready", START_TIMEOUT, || async {
            let answer = http::get(&ready).await.map_err(|error| error.to_string())?;
            ensure(answer.status == 200, || answer.text())
        })
        .await;
    }

    /// SIGTERM; it must end well and in time.
    pub(crate) async fn stop(&mut self) {
        self.stop_by("TERM").await;
    }

    /// Ends it by a signal it is to obey.
    pub(crate) async fn stop_by(&mut self, signal: &str) {
        self.process.signal(signal);
        let status = self.process.wait(STOP_TIMEOUT).await;
        assert!(status.success(), "SIG{signal} ended it with {status}:\n{}", self.process.output());
    }

    /// Power off, as far as a process can tell.
    pub(crate) fn kill9(&mut self) {
        self.process.kill9();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its folder: `atl.yaml` and `data` stand there.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("atl.yaml")
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Everything it printed since this start.
    pub(crate) fn output(&self) -> String {
        self.process.output()
    }

    /// Runs another `atl` command with the same environment, from its folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(tools::atl_binary());
        command.args(arguments).current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("ATL_SERVER", self.base_url()).output().expect("atl runs")
    }
}

fn spawn(
    folder: &Path,
    start: usize,
    configured: bool,
    environment: &[(String, String)],
    prefix: &[String],
) -> Process {
    let mut command = match prefix {
        [] => Command::new(tools::atl_binary()),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(tools::atl_binary());
            command
        }
    };
    command.current_dir(folder).args(["serve", "--listen", "127.0.0.1:0"]);
    if configured {
        // Entering another place loses the working directory.
        let config = if prefix.is_empty() { "atl.yaml".into() } else { folder.join("atl.yaml") };
        command.arg("--config").arg(config);
    }
    command.env("RUST_LOG", "info").env("NO_COLOR", "1");
    for name in ["ATL_EDGE_SECRET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Process::spawn("atl", command, &folder.join(format!("atl-{start}.log")))
}

/// Finds `… is up: http://127.0.0.1:40123/` in what was printed.
fn address_in(output: &str) -> Option<String> {
    let rest = output.split_once("is up: http://")?.1;
    Some(rest.split_once('/')?.0.to_owned())
}

/// Like [`eventually`] for something that is asked without waiting and may fail for good (`Err(Some(why))`).
async fn loop_until<T>(within: Duration, mut attempt: impl FnMut() -> Result<T, Option<String>>) -> T {
    let deadline = tokio::time::Instant::now() + within;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(Some(why)) => panic!("{why}"),
            Err(None) => assert!(
                tokio::time::Instant::now() < deadline,
                "atl did not say within {within:?} that it is up"
            ),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
