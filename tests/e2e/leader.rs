//! Two servers, each with its own log, write to one bucket and merge its files under one lease. The one that leads is
//! killed, or stopped for longer than its lease, in the middle of merging: the other one takes over under a higher
//! epoch, and every row that was acknowledged by either is there once.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use codecs::remote_write::encode_v1;
use model::{Batch, Labels, Point};
use serde_json::Value;
use tokio::time::sleep;

use crate::harness::atl::NO_BUILTIN;
use crate::harness::s3::{BUCKET, Kind, S3};
use crate::harness::wait::{ensure, now_ms};
use crate::harness::{Atl, eventually, http, tools};

const PREFIX: &str = "two";
const DAY_MS: i64 = 86_400_000;
/// Days pushed to; each is over, so that its files are merged as soon as there are some.
const DAYS: i64 = 16;
const SERIES: i64 = 5;
const SAMPLES: i64 = 8;
/// Longer than a lease nobody renews: 30 s, 5 s for clocks apart, and as long as a loaded machine needs.
const TAKEOVER: Duration = Duration::from_secs(120);
/// For everything to be flushed and seen.
const SEEN: Duration = Duration::from_secs(90);

/// Metric, instance and microsecond of a sample, and its value.
type Samples = BTreeMap<(String, String, i64), i64>;

/// Two servers on one bucket, and everything they acknowledged.
struct Pair {
    servers: [Atl; 2],
    acknowledged: Samples,
    rounds: i64,
    s3: S3,
}

/// What a server tells of its merging.
#[derive(Clone, Copy, Debug)]
struct Merging {
    held: bool,
    epoch: i64,
    merges: i64,
    lost: i64,
}

impl Pair {
    async fn start() -> Pair {
        let s3 = S3::start(Kind::Minio).await;
        let fast = format!("{}  hot_window: 1s\n  compaction_interval: 1s\n", s3.store_config(PREFIX));
        let config = format!("{NO_BUILTIN}{fast}");
        let servers = [Atl::start(&config).await, Atl::start(&config).await];
        Pair { servers, acknowledged: Samples::new(), rounds: 0, s3 }
    }

    /// Pushes new samples of every day to one server; some of them the other one gets as well, as from a pair of
    /// Prometheus servers that scrape the same targets.
    async fn push(&mut self, server: usize) {
        let midnight = now_ms().div_euclid(DAY_MS) * DAY_MS;
        let round = self.rounds;
        self.rounds += 1;
        let mut points = Vec::new();
        for (day, series, sample) in (2..2 + DAYS)
            .flat_map(|day| (0..SERIES).flat_map(move |series| (0..SAMPLES).map(move |i| (day, series, i))))
        {
            let instance = if series == 0 { "both".to_owned() } else { format!("{server}-{series}") };
            let step = if series == 0 { round / 2 } else { round };
            let timestamp_ms = midnight - day * DAY_MS + step * 60_000 + sample * 1_000 + series;
            let value = step * 1_000 + day * 10 + sample;
            let metric = format!("leader_{}", series % 3);
            points.push((metric, instance, timestamp_ms, value));
        }
        let pushed = points.iter().map(|(metric, instance, timestamp_ms, value)| Point {
            labels: Labels::from_pairs([("__name__", metric.as_str()), ("instance", instance)]),
            timestamp_ms: *timestamp_ms,
            value: *value as f64,
        });
        let batch = Batch { points: pushed.collect(), ..Batch::new("leader") };
        let request = http::client()
            .post(self.servers[server].url("/api/v1/write"))
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .body(encode_v1(&batch).expect("small"));
        let answer = http::send(request).await.expect("an answer");
        assert_eq!(answer.status, 204, "{}", answer.text());
        let samples =
            points.into_iter().map(|(metric, instance, ms, value)| ((metric, instance, ms * 1_000), value));
        self.acknowledged.extend(samples);
    }

    async fn push_both(&mut self) {
        self.push(0).await;
        self.push(1).await;
    }

    /// Pushes until one of them is in the middle of merging; gives which, and what it told.
    async fn until_one_merges(&mut self) -> (usize, Merging) {
        for _ in 0..20 {
            self.push_both().await;
            for _ in 0..100 {
                for server in 0..2 {
                    let told = merging(&self.servers[server]).await;
                    if told.held && told.merges >= 1 {
                        let other = merging(&self.servers[1 - server]).await;
                        let still = merging(&self.servers[server]).await;
                        let led_all_along = still.held && still.epoch == told.epoch;
                        assert!(!(led_all_along && other.held), "two lead at once: {told:?} and {other:?}");
                        if led_all_along {
                            return (server, still);
                        }
                    }
                }
                sleep(Duration::from_millis(15)).await;
            }
        }
        panic!("neither server merged anything");
    }

    /// Waits until the survivor has merged under an epoch of its own.
    async fn until_taken_over(&self, survivor: usize, before: Merging) {
        let had = merging(&self.servers[survivor]).await.merges;
        eventually("the other server takes over and merges go on", TAKEOVER, || async {
            let told = merging(&self.servers[survivor]).await;
            ensure(told.epoch > before.epoch && told.merges > had, || {
                format!("{told:?}, before it {before:?}")
            })
        })
        .await;
    }

    /// Waits until a server's SQL gives exactly what was acknowledged. A server takes in the other's commits with its
    /// own next one, so that something is written to it for as long as it takes.
    async fn until_all_is_seen(&mut self, server: usize) {
        for _ in 0..SEEN.as_secs() / 3 {
            self.push(server).await;
            sleep(Duration::from_secs(3)).await;
            if self.found(server).await == self.acknowledged {
                return;
            }
        }
        let found = self.found(server).await;
        let lost: Vec<_> =
            self.acknowledged.iter().filter(|(key, _)| !found.contains_key(*key)).take(3).collect();
        let wrong: Vec<_> =
            found.iter().filter(|(key, value)| self.acknowledged.get(*key) != Some(value)).take(3).collect();
        let (expected, found) = (self.acknowledged.len(), found.len());
        panic!("{found} of {expected} samples; lost: {lost:?}; not sent or wrong: {wrong:?}");
    }

    /// All samples as SQL gives them; none may be there twice.
    async fn found(&self, server: usize) -> Samples {
        let statement = "SELECT metric, instance, CAST(ts AS BIGINT) AS us, value FROM metrics";
        let rows = self.servers[server].sql(statement).await;
        let count = rows.rows.len();
        let mut found = Samples::new();
        for row in rows.rows {
            let text = |column: usize| row[column].as_str().expect("a text").to_owned();
            let key = (text(0), text(1), row[2].as_i64().expect("a time"));
            found.insert(key, row[3].as_f64().expect("a value") as i64);
        }
        assert_eq!(found.len(), count, "some samples are there twice");
        found
    }

    /// Epochs of the maintenance leaders whose commits stand in the log of `metrics`, in its order.
    async fn epochs(&self, server: usize) -> Vec<i64> {
        let folder = "metrics/_delta_log/";
        let server = &self.servers[server];
        let url = server.url(&format!("/api/objects?prefix={folder}"));
        let listed = http::get(&url).await.expect("an answer").json();
        let mut keys: Vec<&str> = listed["objects"]
            .as_array()
            .expect("objects")
            .iter()
            .filter_map(|object| object["key"].as_str())
            .collect();
        keys.sort_unstable();
        let mut epochs = Vec::new();
        for key in keys.into_iter().filter(|key| key.ends_with(".json")) {
            let text = http::get(&server.url(&format!("/api/objects/text?key={key}")))
                .await
                .expect("an answer")
                .text();
            for line in text.lines() {
                let action: Value = serde_json::from_str(line).expect("JSON");
                if action["txn"]["appId"] == "atl-maintenance" {
                    epochs.push(action["txn"]["version"].as_i64().expect("an epoch"));
                }
            }
        }
        epochs
    }

    /// Nobody committed under an epoch once a later one had been committed with.
    async fn check_epochs(&self, server: usize, before: Merging) {
        let epochs = self.epochs(server).await;
        assert!(epochs.is_sorted(), "an old leader has committed after its successor: {epochs:?}");
        assert!(epochs.last().is_some_and(|last| *last > before.epoch), "{epochs:?}, {before:?}");
    }

    /// Starts `atl store compact` on the bucket.
    fn compact_command(&self) -> Command {
        let mut command = Command::new(tools::atl_binary());
        let store = format!("s3://{BUCKET}/{PREFIX}");
        command.args(["store", "compact", "--all", "--store", &store, "--config"]);
        command.arg(self.servers[0].config_path()).current_dir(self.servers[0].folder());
        command
    }
}

async fn merging(server: &Atl) -> Merging {
    let page = http::get(&server.url("/metrics")).await.expect("an answer").text();
    let number = |name: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse::<f64>().ok()).unwrap_or_else(|| panic!("no `{name}`:\n{page}"))
            as i64
    };
    Merging {
        held: number("atl_store_lease_held") == 1,
        epoch: number("atl_store_lease_epoch"),
        merges: number("atl_store_compactions_total"),
        lost: number("atl_store_lease_lost_total"),
    }
}

#[tokio::test]
async fn a_killed_leader_is_replaced_and_no_row_is_lost_or_doubled() {
    let mut pair = Pair::start().await;
    let (leader, before) = pair.until_one_merges().await;
    let survivor = 1 - leader;
    pair.servers[leader].kill9();
    pair.push(survivor).await;
    pair.until_taken_over(survivor, before).await;
    pair.servers[leader].start_again().await;
    for _ in 0..3 {
        pair.push_both().await;
        sleep(Duration::from_secs(1)).await;
    }
    pair.until_all_is_seen(survivor).await;
    pair.until_all_is_seen(leader).await;
    pair.check_epochs(survivor, before).await;
}

#[tokio::test]
async fn a_leader_stopped_for_longer_than_its_lease_commits_nothing_after_its_successor() {
    let mut pair = Pair::start().await;
    let (leader, before) = pair.until_one_merges().await;
    let survivor = 1 - leader;
    pair.servers[leader].process().signal("STOP");
    pair.push(survivor).await;
    pair.until_taken_over(survivor, before).await;
    pair.servers[leader].process().signal("CONT");
    eventually("the old leader notices", Duration::from_secs(30), || async {
        let told = merging(&pair.servers[leader]).await;
        ensure(told.lost > before.lost || told.epoch > before.epoch, || format!("{told:?}"))
    })
    .await;
    pair.push_both().await;
    pair.until_all_is_seen(survivor).await;
    pair.until_all_is_seen(leader).await;
    pair.check_epochs(survivor, before).await;
}

#[tokio::test]
async fn compacting_from_the_command_line_beside_two_servers_changes_no_row() {
    let mut pair = Pair::start().await;
    pair.push_both().await;
    eventually("rows are in the bucket", Duration::from_secs(30), || async {
        let listed =
            http::get(&pair.servers[0].url("/api/objects?prefix=metrics/")).await.expect("an answer");
        ensure(listed.text().contains("day="), || listed.text())
    })
    .await;
    let commands = (0..3).map(|_| {
        let mut command = pair.compact_command();
        tokio::task::spawn_blocking(move || command.output().expect("atl runs"))
    });
    let commands: Vec<_> = commands.collect();
    while !commands.iter().all(tokio::task::JoinHandle::is_finished) {
        pair.push_both().await;
        sleep(Duration::from_millis(300)).await;
    }
    for command in commands {
        let output = command.await.expect("no panic");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    pair.until_all_is_seen(0).await;
    pair.until_all_is_seen(1).await;
    let epochs = pair.epochs(0).await;
    assert!(!epochs.is_empty() && epochs.is_sorted(), "{epochs:?}");
    drop(pair.s3);
}
