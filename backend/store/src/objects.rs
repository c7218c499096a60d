//! Opens the place the tables lie in: a bucket of an S3 server, or a local folder.
//!
//! Comes in: a URL and settings. Goes out: an `ObjectStore` whose successful writes are durable, and the
//! prefix below which everything lies.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, WriteMultipart,
};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

mod local;
mod parts;

pub use local::DurableFolder;
pub(crate) use local::FolderObject;
pub(crate) use parts::{PartSink, Upload, begin_upload};

/// Files above this size go up in parts.
const MULTIPART_FROM: usize = 16 << 20;
/// Size of a part.
const PART_BYTES: usize = 8 << 20;
/// Parts on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// Where the store lies and how to get in.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectsConfig {
    /// `s3://bucket/prefix`, `file:PATH` or a path.
    pub url: String,
    /// URL of the S3 server; empty for AWS.
    pub endpoint: Option<String>,
    /// Region; `us-east-1` where not given.
    pub region: Option<String>,
    /// Access key id; without one the AWS environment (variables, web identity, instance role) is asked.
    pub access_key_id: Option<String>,
    /// Secret access key.
    #[serde(skip_serializing)]
    pub secret_access_key: Option<String>,
    /// `http://server/bucket/key` instead of `http://bucket.server/key`; true by default with an `endpoint`.
    pub path_style: Option<bool>,
}

impl fmt::Debug for ObjectsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectsConfig")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("path_style", &self.path_style)
            .finish_non_exhaustive()
    }
}

/// What kind of place the tables lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A bucket.
    S3,
    /// A local folder.
    Folder,
}

/// An open store.
#[derive(Clone, Debug)]
pub struct Objects {
    /// The objects.
    pub store: Arc<dyn ObjectStore>,
    /// Everything lies below this key.
    pub prefix: Path,
    /// What kind of place it is.
    pub kind: StoreKind,
    /// The folder, where it is one: to be read without a detour, see [`crate::Config::folder`].
    pub folder: Option<DurableFolder>,
}

/// Fails where an answer is not as long as the object: an intermediary that cuts answers short without an error
/// must not turn a commit into a smaller one, or a lease into none.
pub(crate) fn check_length(key: &Path, bytes: &Bytes, size: u64) -> Result<()> {
    if bytes.len() as u64 == size {
        return Ok(());
    }
    Err(Error::corrupt(key, format!("{} bytes came instead of {size}", bytes.len())))
}

/// Opens the place `config` names; makes the folder where it is a folder. Does not talk to a server yet.
pub fn open(config: &ObjectsConfig) -> Result<Objects> {
    match config.url.strip_prefix("s3://") {
        Some(rest) => open_s3(config, rest),
        None => open_folder(&config.url),
    }
}

fn open_folder(url: &str) -> Result<Objects> {
    let path = url.strip_prefix("file://").or_else(|| url.strip_prefix("file:")).unwrap_or(url);
    if path.is_empty() || path.contains("://") {
        let reason = format!("store url `{url}` is neither `s3://bucket/prefix` nor `file:PATH` nor a path");
        return Err(Error::Setting(reason));
    }
    let folder = DurableFolder::open(PathBuf::from(path))?;
    let store = Arc::new(folder.clone());
    Ok(Objects { store, prefix: Path::default(), kind: StoreKind::Folder, folder: Some(folder) })
}

fn open_s3(config: &ObjectsConfig, rest: &str) -> Result<Objects> {
    let setting = |reason: String| Error::Setting(reason);
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(setting(format!("store url `{}` names no bucket", config.url)));
    }
    let prefix = Path::parse(prefix)
        .map_err(|error| setting(format!("store url `{}` has no valid prefix: {error}", config.url)))?;
    let builder = s3_builder(config)?.with_bucket_name(bucket);
    let store = builder.build().map_err(|error| setting(format!("store `{}`: {error}", config.url)))?;
    Ok(Objects { store: Arc::new(store), prefix, kind: StoreKind::S3, folder: None })
}

fn s3_builder(config: &ObjectsConfig) -> Result<AmazonS3Builder> {
    let mut builder = match (&config.access_key_id, &config.secret_access_key) {
        (Some(id), Some(secret)) => {
            AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret)
        }
        (None, None) => AmazonS3Builder::from_env(),
        _ => {
            let reason = "`access_key_id` and `secret_access_key` go together";
            return Err(Error::Setting(reason.to_owned()));
        }
    };
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    let path_style = config.path_style.unwrap_or(config.endpoint.is_some());
    Ok(builder
        .with_region(config.region.as_deref().unwrap_or("us-east-1"))
        .with_virtual_hosted_style_request(!path_style)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retries())
        .with_client_options(client_options(config)))
}

/// Short: the WAL holds what the store cannot take, and the caller tries again.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: Duration::from_secs(10),
    }
}

fn client_options(config: &ObjectsConfig) -> ClientOptions {
    let http = config.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    ClientOptions::new()
        .with_allow_http(http)
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_secs(30))
}

/// Writes a whole object, in parts where it is large. Durable once it returns.
pub(crate) async fn upload(objects: &dyn ObjectStore, key: &Path, bytes: Bytes) -> Result<()> {
    let failed = |source| Error::object("write", key, source);
    if bytes.len() <= MULTIPART_FROM {
        return objects.put(key, PutPayload::from(bytes)).await.map(|_| ()).map_err(failed);
    }
    let parts = objects.put_multipart(key).await.map_err(failed)?;
    let mut parts = WriteMultipart::new_with_chunk_size(parts, PART_BYTES);
    let mut rest = bytes;
    while !rest.is_empty() {
        parts.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)?;
        parts.put(rest.split_to(rest.len().min(PART_BYTES)));
    }
    parts.finish().await.map(|_| ()).map_err(failed)
}

#[cfg(test)]
mod tests;
