use futures::TryStreamExt;
use object_store::{PutMode, PutOptions};

use super::*;

fn config(url: &str) -> ObjectsConfig {
    ObjectsConfig { url: url.to_owned(), ..ObjectsConfig::default() }
}

fn create() -> PutOptions {
    PutOptions { mode: PutMode::Create, ..PutOptions::default() }
}

#[tokio::test]
async fn a_folder_is_made_and_keeps_what_is_put() {
    let dir = tempfile::tempdir().unwrap();
    for scheme in ["", "file:", "file://"] {
        let path = dir.path().join("a/b");
        let opened = open(&config(&format!("{scheme}{}", path.display()))).unwrap();
        assert_eq!((opened.kind, opened.prefix), (StoreKind::Folder, Path::default()));
        let key = Path::from("t/day=2026-11-22/x");
        opened.store.put(&key, PutPayload::from_static(b"hello")).await.unwrap();
        assert_eq!(std::fs::read(path.join("t/day=2026-11-22/x")).unwrap(), b"hello");
        assert_eq!(opened.store.get(&key).await.unwrap().bytes().await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn of_many_who_create_the_same_object_one_wins_and_nothing_is_left_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DurableFolder::open(dir.path().to_owned()).unwrap();
    let key = Path::from("log/0.json");
    let attempts = (0..20).map(|i| {
        let (folder, key) = (folder.clone(), key.clone());
        tokio::spawn(async move { (i, folder.put_opts(&key, format!("writer {i}").into(), create()).await) })
    });
    let mut winners = Vec::new();
    for attempt in futures::future::join_all(attempts).await {
        match attempt.unwrap() {
            (i, Ok(_)) => winners.push(i),
            (_, Err(error)) => {
                assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{error}")
            }
        }
    }
    assert_eq!(winners.len(), 1);
    let text = folder.get(&key).await.unwrap().bytes().await.unwrap();
    assert_eq!(text, format!("writer {}", winners[0]));
    assert_eq!(std::fs::read_dir(dir.path().join("log")).unwrap().count(), 1);
}

#[tokio::test]
async fn ranges_are_the_same_read_here_and_through_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DurableFolder::open(dir.path().to_owned()).unwrap();
    for key in ["t/day=2026-11-22/x.parquet", "a b/ü%20/x"] {
        let key = Path::from(key);
        folder.put(&key, PutPayload::from_static(b"0123456789")).await.unwrap();
        let ranges = [0..3, 5..10];
        let object = folder.open_blocking(&key).unwrap();
        let here: Vec<_> = ranges.iter().map(|range| object.read(range).unwrap()).collect();
        assert_eq!(here, folder.get_ranges(&key, &ranges).await.unwrap());
        assert_eq!(here, ["012", "56789"]);
        assert_eq!(object.size(), 10);
        assert!(object.read(&(5..11)).is_err(), "an end behind the object's");
    }
    let missing = folder.open_blocking(&Path::from("missing"));
    assert!(matches!(missing, Err(object_store::Error::NotFound { .. })));
}

#[tokio::test]
async fn a_half_written_object_is_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DurableFolder::open(dir.path().to_owned()).unwrap();
    folder.put(&Path::from("a/x"), PutPayload::from_static(b"1")).await.unwrap();
    std::fs::write(dir.path().join("a/y#123456789"), b"half").unwrap();
    let listed: Vec<_> =
        folder.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    assert_eq!(listed, ["a/x"]);
}

#[tokio::test]
async fn a_large_object_goes_into_a_folder_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DurableFolder::open(dir.path().to_owned()).unwrap();
    let bytes: Bytes = (0..(20u32 << 20) / 4).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into();
    let key = Path::from("deep/down/file.parquet");
    upload(&folder, &key, bytes.clone()).await.unwrap();
    assert_eq!(folder.get(&key).await.unwrap().bytes().await.unwrap(), bytes);
}

/// A counter that tasks over several opened folders, as of several processes, raise by put-if-match.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_folder_replaces_an_object_only_where_it_is_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let key = Path::from("deep/counter");
    let open = || DurableFolder::open(dir.path().to_owned()).unwrap();
    open().put(&key, PutPayload::from_static(b"0")).await.unwrap();
    let raise = async |folder: DurableFolder, key: Path| {
        let (mut raised, mut refused) = (0, 0);
        while raised < 15 {
            let found = folder.get(&key).await.unwrap();
            let version = object_store::UpdateVersion { e_tag: found.meta.e_tag.clone(), version: None };
            let count: u32 =
                String::from_utf8(found.bytes().await.unwrap().to_vec()).unwrap().parse().unwrap();
            let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
            let payload = PutPayload::from((count + 1).to_string().into_bytes());
            match folder.put_opts(&key, payload, options).await {
                Ok(_) => raised += 1,
                Err(object_store::Error::Precondition { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        refused
    };
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(raise(open(), key.clone()))).collect();
    let mut refused = 0;
    for task in tasks {
        refused += task.await.unwrap();
    }
    assert_eq!(open().get(&key).await.unwrap().bytes().await.unwrap(), "60", "{refused} refused");
    let listed: Vec<_> = open().list(None).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(listed.len(), 1, "the lock does not show");

    for (key, e_tag) in [(&key, Some("stale".to_owned())), (&key, None), (&Path::from("gone"), None)] {
        let version = object_store::UpdateVersion { e_tag, version: None };
        let options = PutOptions { mode: PutMode::Update(version), ..PutOptions::default() };
        let error = open().put_opts(key, PutPayload::from_static(b"2"), options).await.unwrap_err();
        assert!(matches!(error, object_store::Error::Precondition { .. }), "{error}");
    }
}

#[test]
fn urls_and_settings() {
    let mut s3 = config("s3://bucket/team/atl");
    s3.access_key_id = Some("id".to_owned());
    let error = open(&s3).unwrap_err().to_string();
    assert!(error.contains("go together"), "{error}");
    s3.secret_access_key = Some("very secret".to_owned());
    s3.endpoint = Some("http://127.0.0.1:9000".to_owned());
    let opened = open(&s3).unwrap();
    assert_eq!((opened.kind, opened.prefix.as_ref()), (StoreKind::S3, "team/atl"));
    assert!(!format!("{s3:?}").contains("secret"), "secrets stay out of logs");

    for bad in ["", "s3://", "s3:///prefix", "gs://bucket", "https://server/bucket", "s3://b/../x"] {
        assert!(matches!(open(&config(bad)), Err(Error::Setting(_))), "{bad}");
    }
}

#[test]
fn settings_are_strict() {
    let good: ObjectsConfig = serde_json::from_str("{\"url\":\"file:x\",\"path_style\":true}").unwrap();
    assert_eq!(good.path_style, Some(true));
    assert!(serde_json::from_str::<ObjectsConfig>("{\"url\":\"x\",\"pathstyle\":true}").is_err());
}
