use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions,
    PutResult,
};

use super::*;
use crate::objects::DurableFolder;
use crate::testing::FaultyStore;

/// What a careless store ignores.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ignores {
    IfNoneMatch,
    IfMatch,
    /// Says no and overwrites all the same.
    ItsOwnAnswer,
}

#[derive(Debug)]
struct Careless(InMemory, Ignores);

impl fmt::Display for Careless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Careless(http://127.0.0.1:9)")
    }
}

#[async_trait]
impl ObjectStore for Careless {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        match (&opts.mode, self.1) {
            (PutMode::Create, Ignores::IfNoneMatch) | (PutMode::Update(_), Ignores::IfMatch) => {
                opts.mode = PutMode::Overwrite;
            }
            (PutMode::Create, Ignores::ItsOwnAnswer) => {
                let refused = self.0.put_opts(location, payload.clone(), opts).await;
                self.0.put(location, payload).await?;
                return refused;
            }
            _ => {}
        }
        self.0.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

async fn keys(objects: &dyn ObjectStore) -> Vec<ObjectMeta> {
    objects.list(None).try_collect().await.unwrap()
}

#[tokio::test]
async fn good_stores_pass_and_are_left_clean() {
    let prefix = Path::from("team/atl");
    let memory = InMemory::new();
    assert_eq!(check(&memory, &prefix).await.unwrap(), Abilities { put_if_match: true });
    assert!(keys(&memory).await.is_empty());

    let dir = tempfile::tempdir().unwrap();
    let folder = DurableFolder::open(dir.path().to_owned()).unwrap();
    assert_eq!(check(&folder, &Path::default()).await.unwrap(), Abilities { put_if_match: true });
    assert!(keys(&folder).await.is_empty());
}

#[tokio::test]
async fn careless_stores_are_refused_by_name_and_left_clean() {
    for (ignores, text) in [
        (Ignores::IfNoneMatch, "ignores `If-None-Match: *`"),
        (Ignores::IfMatch, "ignores `If-Match`"),
        (Ignores::ItsOwnAnswer, "did so all the same"),
    ] {
        let store = Careless(InMemory::new(), ignores);
        let error = check(&store, &Path::from("p")).await.unwrap_err();
        assert!(matches!(error, Error::Contract { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains(text) && said.contains("Careless(http://127.0.0.1:9)"), "{said}");
        assert!(said.contains("local folder"), "what to do: {said}");
        assert!(keys(&store).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_only_fails_now_and_then_is_never_called_careless() {
    let mut passed = 0;
    for seed in 0..60 {
        let store = FaultyStore::new(Arc::new(InMemory::new()), seed, 6);
        match check(&store, &Path::from("p")).await {
            Ok(_) => passed += 1,
            Err(Error::Object { .. }) => {}
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(passed > 5, "{passed}");
}
