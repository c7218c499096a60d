//! The few file operations the cache needs, on one directory; a seam so that tests can fill the disk.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::format::FILE_BYTES_MAX;
use crate::wal::disk::make_dir;

/// Added to the name of a file that is being written.
const UNFINISHED: &str = ".new";

/// A file found.
#[derive(Clone, Debug)]
pub(in crate::range_cache) struct Listed {
    pub(in crate::range_cache) name: String,
    /// Bytes in it.
    pub(in crate::range_cache) len: u64,
    /// When it was last written, seconds since the Unix epoch.
    pub(in crate::range_cache) modified_s: u64,
}

/// Room on the file system, in bytes.
#[derive(Clone, Copy, Debug)]
pub(in crate::range_cache) struct Space {
    /// What this process may still use.
    pub(in crate::range_cache) free: u64,
    /// Its size.
    pub(in crate::range_cache) total: u64,
}

/// One directory of small files. Names have no path separators.
pub(in crate::range_cache) trait Files: Debug + Send + Sync {
    /// At most `max` files, in any order.
    fn list(&self, max: usize) -> io::Result<Vec<Listed>>;
    /// A file's bytes; fails where it is larger than a block's can be.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes or replaces a file whose bytes are `head` and `body`. Readers see it whole or not at all; a power cut
    /// may leave it with other bytes.
    fn write(&self, name: &str, head: &[u8], body: &[u8]) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The room there is.
    fn space(&self) -> io::Result<Space>;
}

/// A directory of the machine's file system.
#[derive(Debug)]
pub(in crate::range_cache) struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Uses `dir`, which is made where it does not exist.
    pub(in crate::range_cache) fn open(dir: &Path) -> io::Result<Folder> {
        make_dir(dir)?;
        // Something else may have its name.
        fs::read_dir(dir)?;
        Ok(Folder { dir: dir.to_owned() })
    }
}

impl Files for Folder {
    fn list(&self, max: usize) -> io::Result<Vec<Listed>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)?.take(max) {
            let entry = entry?;
            // A file that goes away meanwhile is no file.
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_file() {
                let modified = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                let modified_s = modified.map_or(0, |time| time.as_secs());
                let name = entry.file_name().to_string_lossy().into_owned();
                files.push(Listed { name, len: meta.len(), modified_s });
            }
        }
        Ok(files)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = File::open(self.dir.join(name))?;
        let len = file.metadata()?.len();
        if len > FILE_BYTES_MAX as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than a block"));
        }
        let mut bytes = Vec::with_capacity(len as usize);
        file.take(FILE_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, name: &str, head: &[u8], body: &[u8]) -> io::Result<()> {
        let draft = self.dir.join(format!("{name}{UNFINISHED}"));
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(head)?;
            file.write_all(body)
        });
        let renamed = written.and_then(|()| fs::rename(&draft, self.dir.join(name)));
        if renamed.is_err() {
            // Its room is needed; that it cannot be removed either is no second error.
            let _ = fs::remove_file(&draft);
        }
        renamed
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(&self.dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
    }
}
