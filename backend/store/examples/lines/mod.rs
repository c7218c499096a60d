//! Lines of logs as a small team has them: 14 services on 6 hosts that write JSON, logfmt, access logs and syslog, with
//! random trace ids, users, addresses and durations, and a stack trace now and then. The same dice give the same lines.

use std::fmt::Write as _;

pub(crate) const HOSTS: [&str; 6] = ["hel1", "hel2", "fra1", "fra2", "ash1", "ash2"];
pub(crate) const SERVICES: [(&str, Style); 14] = [
    ("blocky", Style::Logfmt),
    ("checkout", Style::Json),
    ("gatus", Style::Logfmt),
    ("gateway", Style::Json),
    ("influxdb", Style::Logfmt),
    ("keycloak", Style::Json),
    ("mariadb", Style::Syslog),
    ("minio", Style::Json),
    ("nginx", Style::Access),
    ("nginx-static", Style::Access),
    ("postgres", Style::Syslog),
    ("prosody", Style::Syslog),
    ("sftpgo", Style::Json),
    ("sshd", Style::Syslog),
];

#[derive(Clone, Copy)]
pub(crate) enum Style {
    Json,
    Logfmt,
    Access,
    Syslog,
}

pub(crate) const LEVELS: [&str; 4] = ["error", "warn", "debug", "info"];
const PATHS: [&str; 8] =
    ["/", "/api/v1/users", "/api/v1/orders", "/login", "/static/app.js", "/healthz", "/metrics", "/search"];
const EVENTS: [&str; 8] = [
    "request completed",
    "cache miss, loading from database",
    "connection reset by peer",
    "user session refreshed",
    "retrying upstream call",
    "slow query detected",
    "payment authorised",
    "job finished",
];

pub(crate) fn write_line(
    line: &mut String,
    style: Style,
    service: &str,
    row: usize,
    trace: Option<&str>,
    dice: &mut Dice,
) {
    let (path, event) = (PATHS[dice.below(8)], EVENTS[dice.below(8)]);
    let (status, took) =
        ([200, 200, 200, 201, 304, 404, 500][dice.below(7)], dice.below(100_000) as f64 / 100.0);
    let outcome = match style {
        Style::Json => {
            let trace = trace.map_or(String::new(), |trace| format!(r#","trace_id":"{trace}""#));
            let stack = if dice.one_in(200) {
                r#","stack":"java.lang.IllegalStateException: no session\n\tat org.example.Session.require(Session.java:88)\n\tat org.example.Api.handle(Api.java:142)""#
            } else {
                ""
            };
            write!(
                line,
                r#"{{"time":"2026-11-22T{:02}:{:02}:{:02}.{:03}Z","level":"{}","logger":"org.example.{service}.Handler","msg":"{event}","path":"{path}","status":{status},"duration_ms":{took},"user_id":{}{trace}{stack}}}"#,
                row / 150_000 % 24,
                row / 2_500 % 60,
                row / 40 % 60,
                dice.below(1_000),
                LEVELS[dice.below(4)],
                dice.below(50_000)
            )
        }
        Style::Logfmt => {
            let trace = trace.map_or(String::new(), |trace| format!(" trace_id={trace}"));
            write!(
                line,
                r#"level={} component={service} msg="{event}" client=10.{}.{}.{} question="host{}.example.org. A" took={took}ms{trace}"#,
                LEVELS[dice.below(4)],
                dice.below(4),
                dice.below(256),
                dice.below(256),
                dice.below(3_000)
            )
        }
        Style::Access => {
            let trace = trace.unwrap_or("-");
            write!(
                line,
                r#"{}.{}.{}.{} - - [22/Nov/2026:10:{:02}:{:02} +0000] "GET {path}?id={} HTTP/1.1" {status} {} "-" "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.0" {took} {trace}"#,
                dice.below(223) + 1,
                dice.below(256),
                dice.below(256),
                dice.below(256),
                row / 2_500 % 60,
                row / 40 % 60,
                dice.below(1_000_000),
                dice.below(60_000),
                120 + dice.below(12),
                120 + dice.below(12)
            )
        }
        Style::Syslog => write!(
            line,
            "{service}[{}]: {event} for user u{} from 192.0.2.{} port {} session {:08x}",
            400 + dice.below(40),
            dice.below(2_000),
            dice.below(256),
            1_024 + dice.below(60_000),
            dice.next() as u32
        ),
    };
    outcome.expect("a string takes everything");
}

/// xorshift64*.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
