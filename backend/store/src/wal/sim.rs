//! A disk in memory that loses power: what was not synced is dropped, cut or full of holes; writes and syncs
//! fail when told to. One seed, one history.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use super::disk::{Append, Disk};

const SECTOR: usize = 512;

/// A small generator of numbers (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `below` - 1.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.next() % below.max(1)
    }

    /// True once in `of` times.
    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

/// Seeds to try: `few`, or what the environment asks for.
pub(crate) fn seeds(few: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("ATL_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    0..asked.unwrap_or(few)
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, SimFile>,
    removed: BTreeMap<String, SimFile>,
    boots: u32,
    operations_left: Option<u64>,
    sync_failures: u32,
    capacity: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct SimFile {
    bytes: Vec<u8>,
    synced: usize,
    entry_synced: bool,
    /// A sync failed: the kernel dropped the dirty pages, later syncs say yes and do nothing.
    poisoned: bool,
}

impl State {
    fn operation(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            Some(0) => Err(io::Error::other("no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn used(&self) -> usize {
        self.files.values().map(|file| file.bytes.len()).sum()
    }
}

impl SimDisk {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Lets `count` more operations through, then none: the power goes out in the middle of things.
    pub(crate) fn cut_power_after(&self, count: u64) {
        self.state().operations_left = Some(count);
    }

    /// Lets the next `count` syncs fail.
    pub(crate) fn fail_syncs(&self, count: u32) {
        self.state().sync_failures = count;
    }

    /// Sets how many bytes fit.
    pub(crate) fn set_capacity(&self, bytes: Option<usize>) {
        self.state().capacity = bytes;
    }

    /// The machine went down and came up again. Open files are dead; what was not synced is as the disk
    /// happened to have it.
    pub(crate) fn reboot(&self, rng: &mut Rng) {
        let mut state = self.state();
        state.boots += 1;
        state.operations_left = None;
        state.sync_failures = 0;
        let removed = std::mem::take(&mut state.removed);
        for (name, file) in removed {
            if rng.one_in(2) {
                state.files.entry(name).or_insert(file);
            }
        }
        state.files.retain(|_, file| file.entry_synced || rng.one_in(2));
        for file in state.files.values_mut() {
            let kept = file.synced + rng.below((file.bytes.len() - file.synced) as u64 + 1) as usize;
            file.bytes.truncate(kept);
            let mut sector = file.synced;
            while sector < kept {
                let end = ((sector / SECTOR + 1) * SECTOR).min(kept);
                if rng.one_in(4) {
                    file.bytes[sector..end].fill(0);
                }
                sector = end;
            }
            (file.synced, file.entry_synced, file.poisoned) = (kept, true, false);
        }
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.state().files[name].bytes.clone()
    }

    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let file = SimFile { synced: bytes.len(), bytes, entry_synced: true, poisoned: false };
        self.state().files.insert(name.to_owned(), file);
    }

    /// A disk with the same files.
    pub(crate) fn copy(&self) -> SimDisk {
        let copy = SimDisk::default();
        copy.state().files = self.state().files.clone();
        copy
    }
}

impl Disk for SimDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Append>> {
        let mut state = self.state();
        state.operation()?;
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(name.to_owned(), SimFile::default());
        let (disk, boot) = (self.clone(), state.boots);
        Ok(Box::new(SimHandle { disk, name: name.to_owned(), boot }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let state = self.state();
        let file = state.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(io::Cursor::new(file.bytes.clone())))
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(self.state().files.get(name).ok_or(io::ErrorKind::NotFound)?.bytes.len() as u64)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        let file = state.files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        if !file.poisoned {
            file.synced = file.bytes.len();
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        let file = state.files.remove(name).ok_or(io::ErrorKind::NotFound)?;
        if file.entry_synced {
            state.removed.insert(name.to_owned(), file);
        }
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operation()?;
        state.removed.clear();
        state.files.values_mut().for_each(|file| file.entry_synced = true);
        Ok(())
    }
}

#[derive(Debug)]
struct SimHandle {
    disk: SimDisk,
    name: String,
    boot: u32,
}

impl Append for SimHandle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        assert_eq!(state.boots, self.boot, "file used after a reboot");
        state.operation()?;
        let room = state.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(state.used()));
        let file = state.files.get_mut(&self.name).ok_or(io::ErrorKind::NotFound)?;
        file.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        assert_eq!(state.boots, self.boot, "file used after a reboot");
        state.operation()?;
        let fails = state.sync_failures > 0;
        state.sync_failures = state.sync_failures.saturating_sub(1);
        let file = state.files.get_mut(&self.name).ok_or(io::ErrorKind::NotFound)?;
        if fails {
            file.poisoned = true;
            return Err(io::Error::from_raw_os_error(5));
        }
        if !file.poisoned {
            file.synced = file.bytes.len();
        }
        Ok(())
    }
}
