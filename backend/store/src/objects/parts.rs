//! Uploads an object while it is being written: a blocking writer on one side, an upload in parts on the
//! other, with a bounded number of bytes between them.
//!
//! An object appears only where the writer said that it is whole; a writer that goes away leaves nothing.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{MULTIPART_FROM, PART_BYTES, PARTS_AT_ONCE};
use crate::error::{Error, Result};

enum Part {
    Bytes(Bytes),
    End,
}

/// Takes an object's bytes from a thread that may block. Counts and sums them.
#[derive(Debug)]
pub(crate) struct PartSink {
    parts: mpsc::Sender<Part>,
    buffer: Vec<u8>,
    size: u64,
    crc32c: u32,
}

/// The other end: waits until the object is durable.
#[derive(Debug)]
pub(crate) struct Upload {
    task: JoinHandle<Result<()>>,
    runtime: Handle,
}

/// Begins to upload an object on `runtime`.
pub(crate) fn begin_upload(
    runtime: &Handle,
    objects: &Arc<dyn ObjectStore>,
    key: &Path,
) -> (PartSink, Upload) {
    let (send, receive) = mpsc::channel(1);
    let task = runtime.spawn(upload(Arc::clone(objects), key.clone(), receive));
    let sink = PartSink { parts: send, buffer: Vec::new(), size: 0, crc32c: 0 };
    (sink, Upload { task, runtime: runtime.clone() })
}

impl PartSink {
    /// Says that the object is whole; gives its size and CRC-32C.
    pub(crate) fn end(mut self) -> io::Result<(u64, u32)> {
        self.send_part()?;
        self.parts.blocking_send(Part::End).map_err(|_| gone())?;
        Ok((self.size, self.crc32c))
    }

    fn send_part(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::take(&mut self.buffer));
        self.parts.blocking_send(Part::Bytes(part)).map_err(|_| gone())
    }
}

/// The upload has failed; [`Upload::wait`] tells why.
fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::BrokenPipe)
}

impl Write for PartSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.crc32c = crc32c::crc32c_append(self.crc32c, bytes);
        self.size += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART_BYTES {
            self.send_part()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload {
    /// Waits for the upload's end; blocks the thread.
    pub(crate) fn wait(self) -> Result<()> {
        self.runtime.block_on(self.task)?
    }
}

async fn upload(
    objects: Arc<dyn ObjectStore>,
    key: Path,
    mut parts: mpsc::Receiver<Part>,
) -> Result<()> {
    let failed = |source| Error::object("write", &key, source);
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut size = 0;
    while size <= MULTIPART_FROM {
        match parts.recv().await {
            Some(Part::Bytes(bytes)) => {
                size += bytes.len();
                pieces.push(bytes);
            }
            Some(Part::End) => {
                let payload = PutPayload::from_iter(pieces);
                return objects.put(&key, payload).await.map(|_| ()).map_err(failed);
            }
            None => return Err(unfinished(&key)),
        }
    }
    let upload = objects.put_multipart(&key).await.map_err(failed)?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    let written = write_parts(&mut upload, pieces, &mut parts, &key).await;
    if let Err(error) = written {
        if let Err(error) = upload.abort().await {
            tracing::debug!(%key, %error, "an upload could not be called off");
        }
        return Err(error);
    }
    upload.finish().await.map(|_| ()).map_err(failed)
}

async fn write_parts(
    upload: &mut WriteMultipart,
    pieces: Vec<Bytes>,
    parts: &mut mpsc::Receiver<Part>,
    key: &Path,
) -> Result<()> {
    let mut pieces = pieces.into_iter();
    loop {
        let piece = match pieces.next() {
            Some(piece) => piece,
            None => match parts.recv().await {
                Some(Part::Bytes(bytes)) => bytes,
                Some(Part::End) => return Ok(()),
                None => return Err(unfinished(key)),
            },
        };
        let room = upload.wait_for_capacity(PARTS_AT_ONCE).await;
        room.map_err(|source| Error::object("write", key, source))?;
        upload.put(piece);
    }
}

fn unfinished(key: &Path) -> Error {
    let source = object_store::Error::Generic { store: "upload", source: "its writer went away".into() };
    Error::object("write", key, source)
}
