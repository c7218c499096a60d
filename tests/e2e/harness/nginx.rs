//! A real nginx: over TLS with a certificate of its own, a password and gzip in front of something, and plain
//! pages to probe.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;
use super::s3::free_port;
use super::wait::{ensure, eventually};
use super::{http, tools};

/// The user nginx asks for before it hands a request on.
pub(crate) const USER: &str = "metrics";
/// And the password.
pub(crate) const PASSWORD: &str = "open-sesame";

/// The running server.
#[derive(Debug)]
pub(crate) struct Nginx {
    _process: Process,
    folder: TempDir,
    tls_port: u16,
    plain_port: u16,
}

impl Nginx {
    /// Starts it; TLS requests with the right password are handed on to `upstream`.
    pub(crate) async fn start(upstream: SocketAddr) -> Nginx {
        let folder = TempDir::with_prefix("atl-nginx-").expect("temporary folder");
        let (tls_port, plain_port) = (free_port(), free_port());
        make_certificate(folder.path());
        write_password(folder.path());
        let configuration = configuration(folder.path(), tls_port, plain_port, upstream);
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).expect("nginx.conf is written");
        let mut command = Command::new(tools::tool("ATL_NGINX"));
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).args(["-g", "daemon off;"]);
        let process = Process::spawn("nginx", command, &folder.path().join("nginx.log"));
        let nginx = Nginx { folder, tls_port, plain_port, _process: process };
        let page = nginx.plain_url("/");
        eventually("nginx serves", Duration::from_secs(20), || async {
            let answer = http::get(&page).await.map_err(|error| error.to_string())?;
            ensure(answer.status == 200, || answer.text())
        })
        .await;
        nginx
    }

    /// `localhost:PORT`, the name in the certificate.
    pub(crate) fn tls_target(&self) -> String {
        format!("localhost:{}", self.tls_port)
    }

    /// A page over plain HTTP: `/` is a page, `/moved` redirects to it, `/broken` is a 500, `/status` is stub_status.
    pub(crate) fn plain_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.plain_port)
    }

    /// The certificate to trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.crt")
    }
}

fn configuration(folder: &Path, tls_port: u16, plain_port: u16, upstream: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        r#"worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  gzip on; gzip_proxied any; gzip_min_length 100; gzip_types text/plain;
  server {{
    listen 127.0.0.1:{tls_port} ssl http2;
    ssl_certificate {folder}/server.crt; ssl_certificate_key {folder}/server.key;
    auth_basic "metrics"; auth_basic_user_file {folder}/password;
    location / {{ proxy_pass http://{upstream}; proxy_set_header Accept-Encoding ""; }}
  }}
  server {{
    listen 127.0.0.1:{plain_port};
    default_type text/html;
    location = / {{ return 200 "<html><body>nginx says hello</body></html>"; }}
    location = /moved {{ return 302 /; }}
    location = /broken {{ return 500 "broken"; }}
    location = /status {{ stub_status; }}
  }}
}}
"#
    )
}

fn make_certificate(folder: &Path) {
    run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("server.key"))
        .arg("-out")
        .arg(folder.join("server.crt")));
}

fn write_password(folder: &Path) {
    let output = Command::new("openssl").args(["passwd", "-apr1", PASSWORD]).output().expect("openssl runs");
    let hash = String::from_utf8(output.stdout).expect("a hash is text");
    std::fs::write(folder.join("password"), format!("{USER}:{hash}")).expect("password file is written");
    // nginx's worker is another user where the master is root.
    run(Command::new("chmod").arg("755").arg(folder));
}

fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{command:?}: {status:?}");
}
