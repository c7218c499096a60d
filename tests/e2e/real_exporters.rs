//! Real exporters, scraped: what is stored is what was sent, to the last sample and the last bit.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::harness::exporter::{NodeExporter, Sample, samples};
use crate::harness::nginx::{Nginx, PASSWORD, USER};
use crate::harness::wait::ensure;
use crate::harness::{Atl, eventually};

/// Stored samples of one scrape, as the exporter would have written them.
async fn stored_samples(atl: &Atl, job: &str, scrape: usize) -> Vec<Sample> {
    let times = atl.sql(&format!("SELECT DISTINCT ts FROM prom.up WHERE job = '{job}' ORDER BY ts")).await;
    let ts = times.rows[scrape][0].as_str().expect("a time").to_owned();
    // A series has a row a day and may have another a flush, so its labels are taken once.
    let statement = format!(
        "SELECT m.metric, s.labels, CAST(m.value AS VARCHAR) FROM metrics m \
         JOIN (SELECT tsid, first_value(labels) AS labels FROM series GROUP BY tsid) s ON s.tsid = m.tsid \
         WHERE m.job = '{job}' AND m.ts = TIMESTAMP '{ts}' AND m.metric <> 'up' AND m.metric NOT LIKE 'scrape_%'"
    );
    let answer = atl.sql(&statement).await;
    answer.rows.iter().map(|row| stored_sample(row)).collect()
}

fn stored_sample(row: &[Value]) -> Sample {
    let labels: BTreeMap<String, String> = row[1]
        .as_object()
        .unwrap_or_else(|| panic!("labels are an object: {}", row[1]))
        .iter()
        .filter(|(name, _)| !["__name__", "job", "instance"].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
        .collect();
    // As text, because this crate's reader of JSON may miss the last bit of a number.
    let value =
        row[2].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("a number: {}", row[2]));
    (row[0].as_str().expect("a name").to_owned(), labels, value)
}

/// Comparable form: floats by their bits, NaN as one.
fn canonical(samples: &[Sample]) -> Vec<String> {
    let bits =
        |value: f64| if value.is_nan() { "NaN".to_owned() } else { format!("{:016x}", value.to_bits()) };
    // A label with an empty value is the same as no label.
    let mut lines: Vec<String> = samples
        .iter()
        .map(|(name, labels, value)| {
            let labels: BTreeMap<_, _> = labels.iter().filter(|(_, text)| !text.is_empty()).collect();
            format!("{name}{labels:?} {value} {}", bits(*value))
        })
        .collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn every_sample_of_a_real_node_exporter_is_stored_as_it_was_sent() {
    let recorder = NodeExporter::start(&[]).await.recorded().await;
    let config = format!(
        "builtin: {{ host: false, own_metrics: false }}\nscrape_configs:\n  - job_name: node\n    scrape_interval: 2s\n    \
         scrape_timeout: 2s\n    static_configs: [{{ targets: [\"{}\"], labels: {{ rack: a1 }} }}]\n",
        recorder.server.address()
    );
    let atl = Atl::start(&config).await;
    eventually("three scrapes", Duration::from_secs(30), || async {
        let scrapes = atl.count("SELECT count(*) FROM prom.up WHERE value = 1").await?;
        ensure(scrapes >= 3, || format!("{scrapes} scrapes"))
    })
    .await;
    let pages = recorder.pages();
    for (scrape, page) in pages.iter().enumerate().take(3) {
        let mut sent = samples(page);
        assert!(sent.len() > 200, "a real page has hundreds of samples, this has {}", sent.len());
        for (_, labels, _) in &mut sent {
            labels.insert("rack".to_owned(), "a1".to_owned());
        }
        let (stored, sent) = (canonical(&stored_samples(&atl, "node", scrape).await), canonical(&sent));
        let missing: Vec<&String> = sent.iter().filter(|line| !stored.contains(line)).take(3).collect();
        let invented: Vec<&String> = stored.iter().filter(|line| !sent.contains(line)).take(3).collect();
        assert!(
            missing.is_empty() && invented.is_empty(),
            "scrape {scrape}: not stored {missing:?}, not sent {invented:?}"
        );
        assert_eq!(stored.len(), sent.len(), "scrape {scrape}: some sample is there twice");
    }
    let reported = atl.sql("SELECT value FROM prom.scrape_samples_scraped ORDER BY ts LIMIT 1").await;
    assert_eq!(reported.rows[0][0].as_f64(), Some(samples(&pages[0]).len() as f64));
}

#[tokio::test]
async fn scrapes_through_nginx_with_tls_password_and_gzip() {
    let recorder = NodeExporter::start(&["loadavg", "uname", "meminfo"]).await.recorded().await;
    let nginx = Nginx::start(recorder.server.address()).await;
    let target = nginx.tls_target();
    let job = |name: &str, password: &str, tls: &str| {
        format!(
            "  - job_name: {name}\n    scheme: https\n    scrape_interval: 1s\n    scrape_timeout: 1s\n    \
             basic_auth: {{ username: {USER}, password: {password} }}\n{tls}    static_configs: [{{ targets: [\"{target}\"] }}]\n"
        )
    };
    let trusted = format!("    tls_config: {{ ca_file: {} }}\n", nginx.certificate().display());
    let config = format!(
        "builtin: {{ host: false, own_metrics: false }}\nscrape_configs:\n{}{}{}{}",
        job("trusted", PASSWORD, &trusted),
        job("unchecked", PASSWORD, "    tls_config: { insecure_skip_verify: true }\n"),
        job("wrong-password", "guess", &trusted),
        job("unknown-authority", PASSWORD, ""),
    );
    let atl = Atl::start(&config).await;
    eventually("every job has been scraped", Duration::from_secs(30), || async {
        let jobs = atl.count("SELECT count(DISTINCT job) FROM prom.up").await?;
        ensure(jobs == 4, || format!("{jobs} jobs"))
    })
    .await;
    let up = atl.sql("SELECT job, max(value) AS up FROM prom.up GROUP BY job ORDER BY job").await;
    assert_eq!(up.texts("job"), ["trusted", "unchecked", "unknown-authority", "wrong-password"]);
    let values: Vec<f64> = up.column("up").iter().map(|value| value.as_f64().expect("a number")).collect();
    assert_eq!(values, [1.0, 1.0, 0.0, 0.0]);
    let memory =
        atl.sql("SELECT DISTINCT job, value FROM prom.node_memory_MemTotal_bytes ORDER BY job").await;
    let sent =
        samples(&recorder.pages()[0]).into_iter().find(|(name, ..)| name == "node_memory_MemTotal_bytes");
    let sent = sent.expect("it is on the page").2;
    assert_eq!(memory.texts("job"), ["trusted", "unchecked"]);
    assert!(
        memory.column("value").iter().all(|value| value.as_f64() == Some(sent)),
        "{memory:?} is not {sent}"
    );
}
