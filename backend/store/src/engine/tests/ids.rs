//! A series has one id for as long as its store lives, whichever version made the store.

use object_store::ObjectStoreExt;

use super::*;
use crate::ids::{Ids, SETTING};

const FIRST_COMMIT: &str = "team/atl/series/_delta_log/00000000000000000000.json";

fn of_host(host: &str, i: u64) -> Labels {
    let mut labels = series("cpu", i).to_builder();
    labels.set("instance", host);
    labels.build()
}

fn of_hosts(now_ms: i64) -> Batch {
    let labels = (0..40).map(|i| of_host(if i % 2 == 0 { "a:1" } else { "b:1" }, i / 2));
    points(labels.map(|labels| Point { labels, timestamp_ms: now_ms, value: 1.0 }).collect())
}

/// The ids of all series, in the order of the file that has them.
async fn ids(store: &Store) -> Vec<(i64, Labels)> {
    let entries = store.snapshot().series("cpu", None).await.unwrap();
    entries.into_iter().map(|entry| (entry.tsid, entry.labels)).collect()
}

fn expected(ids: Ids) -> Vec<(i64, Labels)> {
    let id = |labels: Labels| (ids.id(labels.hash64(), &labels).cast_signed(), labels);
    let mut expected: Vec<_> = of_hosts(0).points.into_iter().map(|point| id(point.labels)).collect();
    expected.sort_by_key(|(id, _)| *id);
    expected
}

/// Changes the settings the table `series` was made with.
async fn rewrite(rig: &Rig, change: impl Fn(String) -> String) {
    let path = Path::from(FIRST_COMMIT);
    let bytes = rig.objects.get(&path).await.unwrap().bytes().await.unwrap();
    let before = String::from_utf8(bytes.to_vec()).unwrap();
    let after = change(before.clone());
    assert_ne!(before, after);
    rig.objects.put(&path, after.into()).await.unwrap();
}

#[tokio::test]
async fn in_a_store_made_now_the_series_of_a_host_are_neighbours() {
    let rig = Rig::new();
    let store = rig.open().await;
    store.append(of_hosts(rig.now_ms())).await.unwrap();
    store.flush().await.unwrap();
    let found = ids(&store).await;
    assert_eq!(found, expected(Ids::ByInstance));
    let changes = found.windows(2).filter(|pair| pair[0].1.get("instance") != pair[1].1.get("instance"));
    assert_eq!(changes.count(), 1);
    kill(store).await;
    let store = rig.open().await;
    store.append(of_hosts(rig.now_ms() + 1)).await.unwrap();
    assert_eq!(ids(&store).await, found, "after a start");
}

#[tokio::test]
async fn a_store_of_an_earlier_version_keeps_its_ids() {
    let rig = Rig::new();
    kill(rig.open().await).await;
    rewrite(&rig, |commit| {
        commit
            .replace(&format!(",\"{SETTING}\":\"instance\""), "")
            .replace(&format!("\"{SETTING}\":\"instance\","), "")
    })
    .await;
    for round in 0..2 {
        let store = rig.open().await;
        store.append(of_hosts(rig.now_ms() + round)).await.unwrap();
        assert_eq!(ids(&store).await, expected(Ids::Hashes), "round {round}, in memory");
        store.flush().await.unwrap();
        assert_eq!(ids(&store).await, expected(Ids::Hashes), "round {round}, in files");
        kill(store).await;
    }
}

#[tokio::test]
async fn ids_of_a_later_version_are_refused_by_name() {
    let rig = Rig::new();
    kill(rig.open().await).await;
    rewrite(&rig, |commit| commit.replace("\"instance\"", "\"galaxy\"")).await;
    let error = rig.try_open_on(Arc::clone(&rig.objects)).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("series") && error.contains(SETTING) && error.contains("galaxy"), "{error}");
}
