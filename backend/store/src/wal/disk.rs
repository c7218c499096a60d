//! The few file operations the log needs, on one directory; a seam so that tests can cut the power.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// One directory of files that are only ever appended to, then removed. Names have no path separators.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes a new empty file; fails where one of that name exists. Lasting only after [`Disk::sync_dir`].
    fn create(&self, name: &str) -> io::Result<Box<dyn Append>>;
    /// Opens a file for reading from its start.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;
    /// Size of a file in bytes.
    fn size(&self, name: &str) -> io::Result<u64>;
    /// Makes what is in a file survive a power cut, whoever wrote it.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Removes a file. Lasting only after [`Disk::sync_dir`].
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations and removals so far survive a power cut.
    fn sync_dir(&self) -> io::Result<()>;
}

/// A file open for appending.
pub(crate) trait Append: Debug + Send {
    /// Appends all of `bytes`; after an error any part of them may be in the file.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended so far survive a power cut. After an error nothing since the last success
    /// may be trusted, and the file must not be used again: the kernel may have dropped the dirty pages.
    fn sync(&mut self) -> io::Result<()>;
}

/// A directory of the machine's file system.
#[derive(Debug)]
pub(crate) struct RealDisk {
    dir: PathBuf,
}

impl RealDisk {
    /// Uses `dir`, which is made where it does not exist.
    pub(crate) fn open(dir: &Path) -> io::Result<RealDisk> {
        make_dir(dir)?;
        Ok(RealDisk { dir: dir.to_owned() })
    }
}

/// Makes a directory and its parents, and syncs the directory each new one is named in.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_dir(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Append>> {
        let file = OpenOptions::new().create_new(true).append(true).open(self.dir.join(name))?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.dir.join(name))?))
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.dir.join(name))?.len())
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        File::open(self.dir.join(name))?.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl Append for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
