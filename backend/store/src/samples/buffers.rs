//! Memory for unpacked pages, used again: what comes fresh from the system costs a fault for every 4 KiB when it is
//! written to, which takes as long as unpacking. Comes in: how many bytes are needed; goes out: room for them, which
//! comes back by itself. Knows nothing of pages.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Sizes kept, as powers of two: smaller ones the allocator keeps itself, larger ones are rare.
const SIZES: std::ops::RangeInclusive<u32> = 16..=23;
/// Bytes kept for the whole process.
const BYTES_MAX: usize = 16 << 20;

static KEPT: Mutex<Kept> = Mutex::new(Kept::new());

/// Room that nobody uses.
struct Kept {
    by_size: [Vec<Vec<u8>>; 8],
    bytes: usize,
}

impl Kept {
    const fn new() -> Kept {
        Kept { by_size: [const { Vec::new() }; 8], bytes: 0 }
    }

    fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        let (place, size) = place_of(size)?;
        let room = self.by_size[place].pop()?;
        self.bytes -= size;
        Some(room)
    }

    fn put(&mut self, mut room: Vec<u8>) {
        let size = room.capacity();
        let Some((place, _)) = place_of(size).filter(|(_, own)| *own == size) else { return };
        if self.bytes + size <= BYTES_MAX {
            room.clear();
            self.bytes += size;
            self.by_size[place].push(room);
        }
    }
}

/// Room that is kept for others when it is no longer needed.
#[derive(Debug)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// Room for `size` bytes at least; there are none in it yet.
    pub(super) fn of(size: usize) -> Buffer {
        let Some((_, size)) = place_of(size) else { return Buffer(Vec::with_capacity(size)) };
        let found = lock().take(size);
        Buffer(found.unwrap_or_else(|| Vec::with_capacity(size)))
    }

    /// To be filled.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// The bytes in it, to be shared; the last to let them go gives the room back.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if place_of(self.0.capacity()).is_some() {
            lock().put(std::mem::take(&mut self.0));
        }
    }
}

/// Bytes of room that nobody uses.
pub(crate) fn kept_bytes() -> u64 {
    lock().bytes as u64
}

/// Gives all room back that nobody uses, and says how many bytes that was.
pub(crate) fn give_up() -> u64 {
    let given = std::mem::replace(&mut *lock(), Kept::new());
    given.bytes as u64
}

/// Where room for `size` bytes is kept, and how much there is of it; none where it is not kept.
fn place_of(size: usize) -> Option<(usize, usize)> {
    let size = size.checked_next_power_of_two()?;
    let place = SIZES.contains(&size.trailing_zeros()).then(|| size.trailing_zeros() - SIZES.start())?;
    Some((usize::try_from(place).ok()?, size))
}

fn lock() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_and_little_of_it_is_kept() {
        let mut kept = Kept::new();
        assert!(kept.take(1 << 20).is_none());
        for _ in 0..20 {
            kept.put(Vec::with_capacity(1 << 20));
            kept.put(Vec::with_capacity(1 << 22));
        }
        let sizes = || [1 << 20, (1 << 19) + 1, 1 << 22, 1 << 21];
        assert_eq!(kept.bytes, BYTES_MAX / (5 << 20) * (5 << 20) + (1 << 20));
        assert_eq!(kept.bytes, kept.by_size.iter().flatten().map(Vec::capacity).sum::<usize>());
        for size in sizes() {
            let before = kept.bytes;
            match kept.take(size) {
                Some(room) => assert_eq!((room.capacity(), room.len()), (before - kept.bytes, 0)),
                None => assert_eq!(size, 1 << 21, "of this size there is none"),
            }
        }
        kept.put(vec![1; 1 << 16]);
        assert!(kept.take(1 << 16).is_some_and(|room| room.is_empty()));
    }

    #[test]
    fn shared_bytes_are_those_that_were_filled_in() {
        let size = 3 << 20;
        let mut buffer = Buffer::of(size);
        assert!(buffer.bytes_mut().is_empty() && buffer.bytes_mut().capacity() >= size);
        buffer.bytes_mut().extend_from_slice(b"samples");
        let shared = buffer.into_bytes();
        let slice = shared.slice(3..);
        drop(shared);
        assert_eq!(slice, "ples");
        drop(slice);
        // Others use the same room.
        let many: Vec<Buffer> = (0..20).map(|_| Buffer::of(size)).collect();
        assert!(many.iter().all(|buffer| buffer.as_ref().is_empty() && buffer.0.capacity() >= size));
        assert!(kept_bytes() <= BYTES_MAX as u64 && give_up() <= BYTES_MAX as u64);
    }

    #[test]
    fn small_and_giant_room_is_not_kept() {
        for size in [0, 1, 40_000, 9 << 20] {
            assert!(Buffer::of(size).bytes_mut().capacity() >= size);
        }
        assert_eq!(place_of(1 << 15), None);
        assert_eq!(place_of((1 << 23) + 1), None);
        assert_eq!(place_of(usize::MAX), None);
        assert_eq!(place_of((1 << 16) - 1), Some((0, 1 << 16)));
        assert_eq!(place_of(1 << 23), Some((7, 1 << 23)));
    }
}
