//! Asks an object store at start-up whether it keeps the promises the tables rest on. A store that ignores
//! `If-None-Match` would let two writers take the same version, and one commit would be lost without a word.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as E, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};
use tracing::warn;
use uuid::Uuid;

use crate::error::{Error, Result};

/// What the store can do beyond what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// An object can be replaced on condition that it is unchanged (`If-Match`).
    pub put_if_match: bool,
}

/// Checks `objects` with a few keys of its own below `prefix`, which it deletes again.
///
/// Fails with [`Error::Contract`] where the store breaks a promise, with [`Error::Object`] where it cannot be
/// asked.
pub async fn check(objects: &dyn ObjectStore, prefix: &Path) -> Result<Abilities> {
    let key = prefix.clone().join("_probe").join(Uuid::new_v4().to_string());
    let outcome = check_key(objects, &key).await;
    match objects.delete(&key).await {
        Ok(()) | Err(E::NotFound { .. }) => {}
        Err(error) => warn!(%key, %error, "cannot delete the key of the start-up check"),
    }
    outcome
}

async fn check_key(objects: &dyn ObjectStore, key: &Path) -> Result<Abilities> {
    check_create(objects, key).await?;
    check_list(objects, key).await?;
    Ok(Abilities { put_if_match: check_update(objects, key).await? })
}

async fn put(
    objects: &dyn ObjectStore,
    key: &Path,
    text: &'static str,
    mode: PutMode,
) -> object_store::Result<Option<String>> {
    let options = PutOptions { mode, ..PutOptions::default() };
    objects.put_opts(key, PutPayload::from_static(text.as_bytes()), options).await.map(|put| put.e_tag)
}

async fn read(objects: &dyn ObjectStore, key: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::object("read", key, source);
    let answer = objects.get(key).await.map_err(failed)?;
    Ok(answer.bytes().await.map_err(failed)?.to_vec())
}

async fn check_create(objects: &dyn ObjectStore, key: &Path) -> Result<()> {
    match put(objects, key, "first", PutMode::Create).await {
        Ok(_) => {}
        // The reply to the first attempt was lost and the client tried again.
        Err(E::AlreadyExists { .. }) if read(objects, key).await? == b"first" => {}
        Err(source) => return Err(Error::object("write", key, source)),
    }
    match put(objects, key, "second", PutMode::Create).await {
        Err(E::AlreadyExists { .. }) => {}
        Ok(_) => return Err(broken(objects, "it ignores `If-None-Match: *` and overwrote an object")),
        Err(source) => return Err(Error::object("write", key, source)),
    }
    if read(objects, key).await? == b"first" {
        Ok(())
    } else {
        Err(broken(
            objects,
            "it refused to overwrite an object with `If-None-Match: *` and did so all the same",
        ))
    }
}

async fn check_list(objects: &dyn ObjectStore, key: &Path) -> Result<()> {
    let folder: Path = key.parts().take(key.parts_count() - 1).collect();
    let mut listed = objects.list(Some(&folder));
    while let Some(meta) = listed.try_next().await.map_err(|source| Error::object("list", &folder, source))? {
        if meta.location == *key {
            return Ok(());
        }
    }
    Err(broken(objects, "its listing does not show an object just written"))
}

async fn check_update(objects: &dyn ObjectStore, key: &Path) -> Result<bool> {
    let failed = |source| Error::object("write", key, source);
    let stale = put(objects, key, "third", PutMode::Overwrite).await.map_err(failed)?;
    put(objects, key, "fourth, of another length", PutMode::Overwrite).await.map_err(failed)?;
    let stale = UpdateVersion { e_tag: stale, version: None };
    match put(objects, key, "fifth", PutMode::Update(stale)).await {
        Err(E::Precondition { .. } | E::AlreadyExists { .. }) => Ok(true),
        Err(E::NotImplemented { .. } | E::NotSupported { .. }) => Ok(false),
        Ok(_) => Err(broken(objects, "it ignores `If-Match` and overwrote an object that had changed")),
        Err(source) => Err(failed(source)),
    }
}

fn broken(objects: &dyn ObjectStore, what: &str) -> Error {
    let reason = format!(
        "{what}; commits of two writers would overwrite each other. Use a server with conditional writes \
         (AWS S3, Cloudflare R2, Ceph, MinIO, RustFS in a current version; some must be told to allow them) \
         or a local folder"
    );
    Error::Contract { store: objects.to_string(), reason }
}

#[cfg(test)]
mod tests;
