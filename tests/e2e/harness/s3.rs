//! A real S3 server in a folder of its own: MinIO or moto. It can be taken away and brought back on the same
//! address with its data. Tests of what a bucket must do run against both: [`on_both`].

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;
use super::wait::{ensure, eventually};
use super::{http, tools};

/// The bucket every server has.
pub(crate) const BUCKET: &str = "atl-test";
/// Administrator's name, which is the access key id.
pub(crate) const ACCESS_KEY: &str = "atl-test-admin";
/// Administrator's password, which is the secret key.
pub(crate) const SECRET_KEY: &str = "atl-test-secret";

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Which program plays the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Minio,
    Moto,
}

/// Makes two tests of each function that takes a [`Kind`], one a server.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod minio {
            $(#[tokio::test] async fn $test() { super::$test(crate::harness::s3::Kind::Minio).await; })+
        }
        mod moto {
            $(#[tokio::test] async fn $test() { super::$test(crate::harness::s3::Kind::Moto).await; })+
        }
    };
}
pub(crate) use on_both;

/// The running server.
#[derive(Debug)]
pub(crate) struct S3 {
    kind: Kind,
    process: Option<Process>,
    folder: TempDir,
    address: String,
}

impl S3 {
    /// Starts it on a free port with the bucket made. Where there is no MinIO and no Go to build it, which
    /// `tests/run` says loudly, moto stands in.
    pub(crate) async fn start(kind: Kind) -> S3 {
        let kind = if tools::optional_tool("ATL_MINIO").is_some() { kind } else { Kind::Moto };
        let folder = TempDir::with_prefix("atl-s3-").expect("temporary folder");
        let address = format!("127.0.0.1:{}", free_port());
        let mut s3 = S3 { kind, folder, address, process: None };
        if kind == Kind::Minio {
            // In the single-drive layout a bucket is a folder of the drive; compose.yaml makes its bucket the same way.
            std::fs::create_dir_all(s3.folder.path().join("data").join(BUCKET)).expect("bucket is made");
        }
        s3.spawn().await;
        if kind == Kind::Moto {
            let url = format!("{}/{BUCKET}", s3.endpoint());
            let made = http::send(http::client().put(url)).await.expect("moto answers");
            assert_eq!(made.status, 200, "{}", made.text());
        }
        s3
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The `store:` part of a configuration that keeps its tables here under `prefix`.
    pub(crate) fn store_config(&self, prefix: &str) -> String {
        format!(
            "store:\n  url: s3://{BUCKET}/{prefix}\n  endpoint: {}\n  region: us-east-1\n  path_style: true\n  \
             access_key_id: {ACCESS_KEY}\n  secret_access_key: {SECRET_KEY}\n  flush_interval: 2s\n",
            self.endpoint(),
        )
    }

    /// Takes the server away: connections are refused (MinIO) or hang (moto, whose data is in its memory).
    pub(crate) fn take_away(&mut self) {
        match self.kind {
            Kind::Minio => self.process.take().expect("it is running").kill9(),
            Kind::Moto => self.process.as_ref().expect("it is running").signal("STOP"),
        }
    }

    /// Brings it back, on the same address, with its data.
    pub(crate) async fn bring_back(&mut self) {
        match self.kind {
            Kind::Minio => self.spawn().await,
            Kind::Moto => self.process.as_ref().expect("it is running").signal("CONT"),
        }
    }

    async fn spawn(&mut self) {
        let command = match self.kind {
            Kind::Minio => minio_command(&self.address, self.folder.path()),
            Kind::Moto => moto_command(&self.address),
        };
        self.process = Some(Process::spawn("S3 server", command, &self.folder.path().join("s3.log")));
        let health = match self.kind {
            Kind::Minio => format!("{}/minio/health/ready", self.endpoint()),
            Kind::Moto => self.endpoint(),
        };
        eventually("the S3 server is ready", START_TIMEOUT, || async {
            let answer = http::get(&health).await.map_err(|error| error.to_string())?;
            ensure(answer.status == 200, || answer.text())
        })
        .await;
    }
}

fn minio_command(address: &str, folder: &Path) -> Command {
    let mut command = Command::new(tools::tool("ATL_MINIO"));
    let console = format!("127.0.0.1:{}", free_port());
    command.args(["server", "--quiet", "--address", address, "--console-address", &console]);
    command
        .arg(folder.join("data"))
        .env("HOME", folder)
        .env("MINIO_BROWSER", "off")
        .env("MINIO_UPDATE", "off");
    command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", SECRET_KEY);
    command
}

fn moto_command(address: &str) -> Command {
    let port = address.rsplit(':').next().expect("an address has a port");
    let mut command = Command::new(tools::tool("ATL_MOTO"));
    command.args(["-H", "127.0.0.1", "-p", port]);
    command
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
