use object_store::PutPayload;
use object_store::memory::InMemory;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::parquet_file::{FileTags, WriteProfile};
use crate::testing::{DAY, memory, metrics, noon, open};

async fn filled() -> (Arc<InMemory>, Catalog) {
    let (objects, _) = memory();
    let catalog = open(Arc::<InMemory>::clone(&objects), noon()).await;
    for day in [DAY, DAY - 1] {
        let rows = vec![metrics(&[("cpu", 1, 5, 1.0), ("up", 3, 7_000_001, f64::NAN)])];
        let file = catalog
            .write_file(Table::Metrics, day, rows, WriteProfile::Flush, FileTags::default())
            .await
            .unwrap();
        catalog.commit(Table::Metrics, vec![file], vec![], None).await.unwrap();
    }
    (objects, catalog)
}

fn key_of(catalog: &Catalog) -> String {
    relative(catalog.prefix(), &catalog.files().day(Table::Metrics, DAY)[0].key)
}

#[tokio::test]
async fn folders_are_listed_level_by_level() {
    let (objects, catalog) = filled().await;
    let top = list(objects.as_ref(), catalog.prefix(), "").await.unwrap();
    assert_eq!(top.prefix, "");
    let mut tables = Table::ALL.map(|table| format!("{table}/"));
    tables.sort();
    assert_eq!(top.prefixes, tables);
    assert!(top.objects.is_empty() && !top.truncated);
    for folder in ["metrics", "metrics/"] {
        let table = list(objects.as_ref(), catalog.prefix(), folder).await.unwrap();
        let expected = ["metrics/_delta_log/", "metrics/day=2026-11-21/", "metrics/day=2026-11-22/"];
        assert_eq!(
            (table.prefix.as_str(), table.prefixes.as_slice()),
            ("metrics/", &expected.map(String::from)[..])
        );
    }
    let log = list(objects.as_ref(), catalog.prefix(), "metrics/_delta_log/").await.unwrap();
    assert_eq!(log.objects.len(), 3);
    assert_eq!(log.objects[0].key, "metrics/_delta_log/00000000000000000000.json");
    assert!(log.objects[0].size > 100 && log.objects[0].modified.ends_with('Z'));
}

#[tokio::test]
async fn tables_are_summed_up_by_day() {
    let (_, catalog) = filled().await;
    let summary = serde_json::to_value(tables(&catalog.files())).unwrap();
    let metrics = &summary["tables"][0];
    let sizes: Vec<u64> = catalog.files().table(Table::Metrics).iter().map(|file| file.size).collect();
    let level = |files: usize, rows: u64, bytes: u64| json!([{"level": 0, "files": files, "rows": rows, "bytes": bytes}]);
    let bytes = sizes[0] + sizes[1];
    assert_eq!(
        *metrics,
        json!({
            "name": "metrics", "version": 2, "files": 2, "rows": 4, "bytes": bytes, "levels": level(2, 4, bytes),
            "days": [
                {"day": "2026-11-22", "files": 1, "rows": 2, "bytes": sizes[1], "levels": level(1, 2, sizes[1])},
                {"day": "2026-11-21", "files": 1, "rows": 2, "bytes": sizes[0], "levels": level(1, 2, sizes[0])},
            ],
        })
    );
    assert_eq!(summary["tables"].as_array().unwrap().len(), Table::ALL.len());
}

#[tokio::test]
async fn a_footer_is_told_in_full() {
    let (_, catalog) = filled().await;
    let key = key_of(&catalog);
    let found = ParquetDescription::read(catalog.objects(), catalog.prefix(), &key).await.unwrap();
    let found = serde_json::to_value(found).unwrap();
    assert_eq!((&found["key"], &found["rows"]), (&json!(key), &json!(2)));
    assert_eq!(found["metadata"]["atl.table"], "metrics");
    assert!(found["metadata"].get("ARROW:schema").is_none());
    let columns = found["row_groups"][0]["columns"].as_array().unwrap();
    let column = |name: &str| columns.iter().find(|column| column["name"] == name).unwrap();
    assert_eq!((&column("metric")["min"], &column("metric")["max"]), (&json!("cpu"), &json!("up")));
    assert_eq!(column("metric")["type"], "STRING");
    assert_eq!(column("ts")["min"], "2026-11-22T00:00:00.000005Z");
    assert_eq!(column("ts")["max"], "2026-11-22T00:00:07.000001Z");
    assert_eq!((&column("ts")["type"], &column("ts")["nulls"]), (&json!("TIMESTAMP"), &json!(0)));
    assert_eq!((&column("tsid")["min"], &column("tsid")["max"]), (&json!("1"), &json!("3")));
    assert!(column("value")["min"].is_null());
    assert!(column("value")["encodings"].as_array().unwrap().contains(&json!("BYTE_STREAM_SPLIT")));
    assert!(column("value")["compression"].as_str().unwrap().starts_with("ZSTD"));
    let sizes = found["columns"].as_array().unwrap();
    assert_eq!(sizes.len(), 6);
    assert!(sizes.iter().all(|size| size["compressed_bytes"].as_i64().unwrap() > 0));
}

#[tokio::test]
async fn text_is_shown_up_to_a_mebibyte() {
    let (objects, catalog) = filled().await;
    let commit = "metrics/_delta_log/00000000000000000001.json";
    let shown = text(objects.as_ref(), catalog.prefix(), commit).await.unwrap();
    assert!(shown.contains("\"commitInfo\"") && shown.contains("\"add\""));
    let large = catalog.prefix().clone().join("large");
    objects.put(&large, PutPayload::from(vec![b'x'; (1 << 20) + 1])).await.unwrap();
    let error = text(objects.as_ref(), catalog.prefix(), "large").await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let error = text(objects.as_ref(), catalog.prefix(), "absent").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn data_files_are_found_by_key_and_nothing_else_is() {
    let (objects, catalog) = filled().await;
    let key = key_of(&catalog);
    assert_eq!(data_file(&catalog, &key).await.unwrap().rows, 2);
    let stray = catalog.prefix().clone().join("logs").join("day=2026-11-22").join("stray.parquet");
    objects.put(&stray, PutPayload::from_static(b"x")).await.unwrap();
    let found = data_file(&catalog, "logs/day=2026-11-22/stray.parquet").await.unwrap();
    assert_eq!((found.table, found.day, found.size), (Table::Logs, DAY, 1));
    for other in [
        "metrics/_delta_log/00000000000000000001.json",
        "metrics/_delta_log/x.parquet",
        "secrets/day=2026-11-22/x.parquet",
        "metrics/day=2026-11-22/deeper/x.parquet",
        "metrics/day=2026-11-22/../../x.parquet",
        "",
    ] {
        let error = data_file(&catalog, other).await.unwrap_err();
        assert!(matches!(error, Error::Key(_)), "{other}: {error}");
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found() {
    let (objects, catalog) = filled().await;
    let files = catalog.files();
    let file = &files.table(Table::Metrics)[0];
    assert_eq!(verify(objects.as_ref(), file).await.unwrap(), file.crc32c);
    let mut bytes = objects.get(&file.key).await.unwrap().bytes().await.unwrap().to_vec();
    bytes[30] ^= 4;
    objects.put(&file.key, PutPayload::from(bytes.clone())).await.unwrap();
    assert!(matches!(verify(objects.as_ref(), file).await, Err(Error::Corrupt { .. })));
    bytes.pop();
    objects.put(&file.key, PutPayload::from(bytes)).await.unwrap();
    assert!(matches!(verify(objects.as_ref(), file).await, Err(Error::Corrupt { .. })));
}

proptest! {
    #[test]
    fn no_key_leads_out_of_the_prefix(key in "(\\.\\.|\\.|/|[a-z]|%2e|\\\\|\\PC){0,12}") {
        let prefix = Path::from("team/atl");
        if let Ok(path) = resolve_key(&prefix, &key) {
            prop_assert!(path.prefix_matches(&prefix) && path != prefix);
            prop_assert!(path.parts().all(|part| part.as_ref() != ".." && part.as_ref() != "."));
            prop_assert_eq!(relative(&prefix, &path), key);
        }
    }
}

#[test]
fn keys_of_the_store_are_accepted_and_hostile_ones_are_not() {
    let prefix = Path::from("team/atl");
    let key = "metrics/day=2026-11-22/019ab.parquet";
    assert_eq!(resolve_key(&prefix, key).unwrap().as_ref(), format!("team/atl/{key}"));
    for bad in ["", "/", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a/", "%2e%2e/x", "a\\b", "a\0b"] {
        assert!(matches!(resolve_key(&prefix, bad), Err(Error::Key(_))), "{bad:?}");
    }
}
