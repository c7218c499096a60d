//! A local folder as an object store, with writes that survive a power cut.
//!
//! `object_store`'s own `LocalFileSystem` never calls fsync, so that after a power cut a commit may name files
//! whose content is gone. Here the bytes are synced before the name appears, and the name before the write
//! returns. Replacing an object on condition that it is unchanged, which `LocalFileSystem` cannot, is done
//! under a file lock, so that processes on one machine may share a folder. Reads, listings and deletes are
//! `LocalFileSystem`'s.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UpdateVersion,
    UploadPart,
};
use uuid::Uuid;

const STORE: &str = "DurableFolder";
/// How often and how long apart the lock of conditional updates is tried: an update takes two fsyncs.
const LOCK_ATTEMPTS: u32 = 500;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A folder of the local file system.
#[derive(Clone, Debug)]
pub struct DurableFolder {
    inner: Arc<LocalFileSystem>,
    root: PathBuf,
}

/// An open object of a folder. Reads block.
#[derive(Debug)]
pub(crate) struct FolderObject {
    file: File,
    size: u64,
    location: Path,
}

impl FolderObject {
    /// Size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Reads a range. Fails where it ends behind the object.
    pub(crate) fn read(&self, range: &Range<u64>) -> Result<Bytes> {
        let read = || {
            if range.end > self.size {
                let text = format!("it has {} bytes", self.size);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
            let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            self.file.read_exact_at(&mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        };
        read().map_err(|error| failure(&self.location, error))
    }
}

/// Of the same folder.
impl PartialEq for DurableFolder {
    fn eq(&self, other: &DurableFolder) -> bool {
        self.root == other.root
    }
}

impl Eq for DurableFolder {}

impl DurableFolder {
    /// Opens the folder, and makes it where it is missing.
    pub fn open(root: PathBuf) -> crate::error::Result<DurableFolder> {
        let failed = |source| crate::error::Error::Io { path: root.clone(), source };
        make_folder(&root).map_err(failed)?;
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(io::Error::other).map_err(failed)?;
        Ok(DurableFolder { inner: Arc::new(inner), root })
    }
}

impl DurableFolder {
    /// Opens an object to be read on the thread it is called on.
    pub(crate) fn open_blocking(&self, location: &Path) -> Result<FolderObject> {
        let open = |path: PathBuf| {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok(FolderObject { file, size, location: location.clone() })
        };
        open(self.inner.path_to_filesystem(location)?).map_err(|error| failure(location, error))
    }

    /// Keeps other processes' conditional updates out; fails where the object is no longer at `version`.
    async fn lock_unchanged(&self, location: &Path, version: &UpdateVersion) -> Result<File> {
        // Hidden from listings, see `write_durably`.
        let path = self.root.join("update#0");
        let lock = blocking(location, move || lock_file(&path)).await?;
        let found = match self.inner.head(location).await {
            Ok(meta) => meta.e_tag,
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        if found.is_some() && found == version.e_tag {
            return Ok(lock);
        }
        let source = format!("it is at {found:?}, not at {:?}", version.e_tag);
        Err(object_store::Error::Precondition { path: location.to_string(), source: source.into() })
    }
}

/// Waits for the lock; the system gives it up when its holder ends, however it ends.
fn lock_file(path: &FilePath) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "another process keeps the lock of conditional updates"))
}

impl fmt::Display for DurableFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file:{}", self.root.display())
    }
}

/// Makes a folder and its parents, and syncs the folder every new one is named in.
fn make_folder(folder: &FilePath) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent)?;
    }
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_parent(folder)
}

fn sync_parent(path: &FilePath) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(FilePath::new(".")))?.sync_all()
}

/// Writes `payload` beside `target` under a name listings leave out, syncs it, then gives it its name.
fn write_durably(target: &FilePath, payload: &PutPayload, mode: &PutMode) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        make_folder(folder)?;
    }
    // `LocalFileSystem` hides names that end in `#` and digits.
    let mut staging = target.as_os_str().to_owned();
    staging.push(format!("#{}", Uuid::new_v4().as_u128()));
    let staging = PathBuf::from(staging);
    let outcome = stage(&staging, payload).and_then(|()| match mode {
        PutMode::Create => std::fs::hard_link(&staging, target),
        _ => std::fs::rename(&staging, target),
    });
    if outcome.is_err() || matches!(mode, PutMode::Create) {
        // A name left behind is hidden and harmless.
        let _ = std::fs::remove_file(&staging);
    }
    outcome.and_then(|()| sync_parent(target))
}

fn stage(staging: &FilePath, payload: &PutPayload) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(staging)?;
    payload.iter().try_for_each(|piece| file.write_all(piece))?;
    file.sync_all()
}

async fn blocking<T: Send + 'static>(
    location: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await?;
    outcome.map_err(|error| failure(location, error))
}

/// What has gone wrong with an object.
fn failure(location: &Path, error: io::Error) -> object_store::Error {
    let path = location.to_string();
    match error.kind() {
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path, source: Box::new(error) },
        io::ErrorKind::NotFound => object_store::Error::NotFound { path, source: Box::new(error) },
        io::ErrorKind::PermissionDenied => {
            object_store::Error::PermissionDenied { path, source: Box::new(error) }
        }
        _ => object_store::Error::Generic { store: STORE, source: Box::new(error) },
    }
}

#[async_trait]
impl ObjectStore for DurableFolder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let target = self.inner.path_to_filesystem(location)?;
        let lock = match &opts.mode {
            PutMode::Update(version) => Some(self.lock_unchanged(location, version).await?),
            _ => None,
        };
        // The lock goes into the closure: it is held until the write is done, also where nobody waits for it;
        // and then until it is known which version this write made.
        let write = move || write_durably(&target, &payload, &opts.mode).map(|()| lock);
        let lock = blocking(location, write).await?;
        let meta = self.inner.head(location).await?;
        drop(lock);
        Ok(PutResult { e_tag: meta.e_tag, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let target = self.inner.path_to_filesystem(location)?;
        let folder = target.parent().map(FilePath::to_owned);
        blocking(location, move || folder.map_or(Ok(()), |folder| make_folder(&folder))).await?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(DurableUpload { inner, target, location: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

/// An upload in parts that syncs the finished file.
#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    target: PathBuf,
    location: Path,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await?;
        let target = self.target.clone();
        // Named before it is synced: a data file counts only once a commit names it, and that comes later.
        blocking(&self.location, move || File::open(&target)?.sync_all().and_then(|()| sync_parent(&target)))
            .await?;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
