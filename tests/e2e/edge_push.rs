//! The edge workers' door: what is let in, stored once, and what is turned away and why.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::harness::atl::NO_BUILTIN;
use crate::harness::edge::{KEY_ID, SECRET, Signed, gzip, key_config, mac, sample_push};
use crate::harness::wait::now_ms;
use crate::harness::{Atl, http};

async fn server() -> Atl {
    Atl::start(&format!("{NO_BUILTIN}{}", key_config())).await
}

/// Sends; gives status and the error text, if any.
async fn outcome(atl: &Atl, signed: &Signed) -> (u16, String) {
    let answer = signed.send(&atl.base_url()).await.expect("an answer");
    let error = answer.json()["error"].as_str().unwrap_or("").to_owned();
    (answer.status, error)
}

#[tokio::test]
async fn a_push_becomes_rows_metrics_and_logs() {
    let atl = server().await;
    let mut push = sample_push("web", 2);
    push["results"][1]["success"] = json!(false);
    push["results"][1]["reason"] = json!("timeout");
    let answer = Signed::push("batch-1", &push).send(&atl.base_url()).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!({ "status": "stored", "results": 2, "logs": 2 }));
    let rows = atl
        .sql("SELECT probe, target, location, success, reason, status_code, body_bytes, first_byte_seconds FROM probes ORDER BY probe")
        .await;
    assert_eq!(
        rows.rows[0],
        [
            json!("web-0"),
            json!("https://example.com/"),
            json!("TST"),
            json!(true),
            json!(null),
            json!(200),
            json!(1256),
            json!(0.1),
        ]
    );
    assert_eq!(rows.rows[1][3], json!(false));
    assert_eq!(rows.rows[1][4], json!("timeout"));
    let derived = atl.sql("SELECT job, instance, location, value FROM prom.probe_success ORDER BY job").await;
    assert_eq!(
        derived.rows,
        [
            [json!("web-0"), json!("https://example.com/"), json!("TST"), json!(1.0)],
            [json!("web-1"), json!("https://example.com/"), json!("TST"), json!(0.0)],
        ]
    );
    let logs = atl.sql("SELECT service, body FROM logs ORDER BY body").await;
    assert_eq!(logs.texts("body"), ["web-0", "web-1"]);
    assert_eq!(logs.texts("service"), ["atl-edge", "atl-edge"]);
}

#[tokio::test]
async fn a_batch_sent_twice_is_stored_once_even_after_a_crash() {
    let mut atl = server().await;
    let push = sample_push("once", 3);
    for expected in ["stored", "duplicate"] {
        let answer = Signed::push("the-batch", &push).send(&atl.base_url()).await.expect("an answer").json();
        assert_eq!(answer["status"], expected, "{answer}");
    }
    atl.kill9();
    atl.start_again().await;
    let again = Signed::push("the-batch", &push).send(&atl.base_url()).await.expect("an answer").json();
    assert_eq!(again["status"], "duplicate", "{again}");
    for table in ["probes", "logs"] {
        assert_eq!(atl.sql(&format!("SELECT count(*) FROM {table}")).await.number(), 3, "{table}");
    }
    // Two workers that send the same batch at the same moment.
    let (base_url, racing) = (atl.base_url(), Signed::push("race", &sample_push("race", 1)));
    let answers = tokio::join!(racing.send(&base_url), racing.send(&base_url), racing.send(&base_url));
    let mut statuses: Vec<String> = [answers.0, answers.1, answers.2]
        .into_iter()
        .map(|answer| answer.expect("an answer").json()["status"].as_str().expect("a status").to_owned())
        .collect();
    statuses.sort();
    assert_eq!(statuses, ["duplicate", "duplicate", "stored"]);
    assert_eq!(atl.sql("SELECT count(*) FROM probes WHERE probe = 'race-0'").await.number(), 1);
}

#[tokio::test]
async fn nothing_unsigned_or_changed_is_let_in() {
    let atl = server().await;
    let good = Signed::push("good", &sample_push("x", 1));
    let mut forgeries: Vec<(&str, Signed)> = Vec::new();
    let mut forge = |name: &'static str, change: &dyn Fn(&mut Signed)| {
        let mut signed = good.clone();
        change(&mut signed);
        forgeries.push((name, signed));
    };
    forge("no signature", &|signed| signed.signature = None);
    forge("empty signature", &|signed| signed.signature = Some(String::new()));
    forge("signature in capitals", &|signed| {
        signed.signature = signed.signature.as_ref().map(|text| text.to_ascii_uppercase());
    });
    forge("another signature", &|signed| signed.signature = Some(mac("something else")));
    forge("unknown key", &|signed| signed.key_id = "nobody".to_owned());
    forge("another batch id", &|signed| signed.batch_id = "other".to_owned());
    forge("another time", &|signed| signed.timestamp += 1);
    forge("one bit of the body", &|signed| {
        let middle = signed.body.len() / 2;
        signed.body[middle] ^= 1;
    });
    forge("a longer body", &|signed| signed.body.push(0));
    forge("no body", &|signed| signed.body.clear());
    let total = forgeries.len();
    assert_eq!(total, 10);
    for (name, signed) in forgeries {
        let (status, error) = outcome(&atl, &signed).await;
        assert_eq!(status, 401, "{name}: {error}");
        assert!(!error.is_empty() && !error.contains(SECRET), "{name}: {error}");
    }
    // Signed for one path, sent to the other.
    let mut moved = Signed::config("nonce");
    moved.path = "/api/edge/v1/push";
    moved.method = "POST";
    assert_eq!(outcome(&atl, &moved).await.0, 401);
    assert_eq!(atl.sql("SELECT count(*) FROM probes").await.number(), 0, "nothing was stored");
    assert_eq!(outcome(&atl, &good).await.0, 200, "the untouched one is good");
}

#[tokio::test]
async fn a_stale_push_is_refused_and_told_by_how_much() {
    let atl = server().await;
    let now = now_ms() / 1000;
    for (offset, skew) in [(-600, 600), (600, -600)] {
        let (status, error) =
            outcome(&atl, &Signed::push("late", &sample_push("x", 1)).signed_at(now + offset)).await;
        assert_eq!(status, 401, "{error}");
        let near = (skew - 5..=skew + 5).any(|seconds: i64| error.contains(&seconds.to_string()));
        assert!(
            near && error.contains("300"),
            "the skew of {skew} s and the limit of 300 s are not in: {error}"
        );
    }
    for offset in [-290, 290] {
        let signed = Signed::push(&format!("within{offset}"), &sample_push("x", 1)).signed_at(now + offset);
        assert_eq!(outcome(&atl, &signed).await.0, 200, "{offset} s off is allowed");
    }
}

#[tokio::test]
async fn oversized_and_malformed_pushes_are_refused_and_cost_no_memory() {
    let atl = server().await;
    let before = atl.process().memory();
    // Signed properly, so that it is the size that is refused. Random-looking bytes do not shrink.
    let mut block = Sha256::digest(b"seed").to_vec();
    let mut noise = Vec::with_capacity(5 << 20);
    while noise.len() < 5 << 20 {
        block = Sha256::digest(&block).to_vec();
        noise.extend_from_slice(&block);
    }
    let large = Signed::push_bytes("large", noise).send(&atl.base_url()).await;
    // The server may close the connection before the body is through.
    if let Ok(answer) = large {
        assert_eq!(answer.status, 413, "{}", answer.text());
    }
    let bomb = gzip(&vec![b' '; 256 << 20]);
    assert!(bomb.len() < 4 << 20, "the bomb is small as sent: {}", bomb.len());
    let (status, error) = outcome(&atl, &Signed::push_bytes("bomb", bomb)).await;
    assert_eq!(status, 413, "{error}");
    let after = atl.process().memory();
    let growth = after.peak.saturating_sub(before.peak);
    assert!(growth < 96 << 20, "peak memory grew by {growth} bytes, from {before:?} to {after:?}");

    let malformed: [(&str, Vec<u8>); 5] = [
        ("not gzip", b"plain text".to_vec()),
        ("not JSON", gzip(b"not json")),
        ("not a push", gzip(b"[1, 2, 3]")),
        ("deep", gzip("[".repeat(100_000).as_bytes())),
        ("wrong type", gzip(br#"{"worker": 5, "location": "x", "sent_at_ms": 0}"#)),
    ];
    for (name, body) in malformed {
        let (status, error) = outcome(&atl, &Signed::push_bytes("bad", body)).await;
        assert_eq!(status, 400, "{name}: {error}");
        assert!(!error.is_empty(), "{name}");
    }
    assert_eq!(outcome(&atl, &Signed::push("good", &sample_push("x", 1))).await.0, 200, "alive and well");
}

#[tokio::test]
async fn the_probe_list_is_signed_for_its_asker_and_has_an_etag() {
    let probes = "  probes:\n    - { name: web, target: \"https://example.com/\", interval_seconds: 60 }\n";
    let mut atl = Atl::start(&format!("{NO_BUILTIN}{}{probes}", key_config())).await;
    let answer = Signed::config("nonce-1").send(&atl.base_url()).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = answer.json();
    assert_eq!(list["probes"][0]["name"], "web", "{list}");
    let etag = answer.header("etag").to_owned();
    assert_eq!(etag, format!("\"{}\"", list["version"].as_str().expect("a version")));
    let digest = hex::encode(Sha256::digest(&answer.body));
    assert_eq!(answer.header("x-atl-signature"), mac(&format!("v1-config\nnonce-1\n{digest}")));

    let known = Signed::config("nonce-2").request(&atl.base_url()).header("if-none-match", &etag);
    let unchanged = http::send(known).await.expect("an answer");
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let empty = hex::encode(Sha256::digest(b""));
    assert_eq!(unchanged.header("x-atl-signature"), mac(&format!("v1-config\nnonce-2\n{empty}")));

    let unsigned = http::get(&atl.url("/api/edge/v1/config")).await.expect("an answer");
    assert_eq!(unsigned.status, 401, "who asks must sign");

    // A changed list has another version, and a reload is enough.
    atl.write_config(&format!("{NO_BUILTIN}{}{}", key_config(), probes.replace("web", "shop")));
    let reloaded = http::send(http::client().post(atl.url("/-/reload"))).await.expect("an answer");
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    let changed = Signed::config("nonce-3").request(&atl.base_url()).header("if-none-match", &etag);
    let changed = http::send(changed).await.expect("an answer");
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json()["probes"][0]["name"], "shop");
}

#[tokio::test]
async fn two_keys_are_valid_at_once_and_one_may_come_from_the_environment() {
    let config = format!(
        "{NO_BUILTIN}edge: {{ keys: [{{ id: {KEY_ID}, secret: {SECRET} }}, {{ id: next, secret: other-secret }}] }}\n"
    );
    let atl = Atl::start_with(&config, &[("ATL_EDGE_SECRET", SECRET)]).await;
    assert_eq!(outcome(&atl, &Signed::push("a", &sample_push("a", 1))).await.0, 200);
    let mut by_environment = Signed::push("b", &sample_push("b", 1));
    by_environment.key_id = "edge".to_owned();
    let by_environment = by_environment.signed_at(now_ms() / 1000);
    assert_eq!(outcome(&atl, &by_environment).await.0, 200, "ATL_EDGE_SECRET is the key `edge`");
    let mut wrong_secret = Signed::push("c", &sample_push("c", 1));
    wrong_secret.key_id = "next".to_owned();
    let wrong_secret = wrong_secret.signed_at(now_ms() / 1000);
    assert_eq!(outcome(&atl, &wrong_secret).await.0, 401, "a key opens only with its own secret");
}
