//! Memory for unpacked pages, used again: what comes fresh from the system costs a fault for every 4 KiB when it is
//! written to, which takes as long as unpacking. Comes in: how many bytes are needed; goes out: room for them, which
//! comes back by itself. Knows nothing of pages.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Sizes kept, as powers of two: smaller ones the allocator keeps itself, larger ones are rare.
const SIZES: std::ops::RangeInclusive<u32> = 16..=23;
/// Bytes kept for the whole process.
const BYTES_MAX: usize = 16 << 20;

static KEPT: Mutex<Kept> = Mutex::new(Kept { by_size: [const { Vec::new() }; 8], bytes: 0 });

struct Kept {
    by_size: [Vec<Vec<u8>>; 8],
    bytes: usize,
}

/// Room that is kept for others when it is no longer needed.
#[derive(Debug)]
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// Room for `size` bytes at least; there are none in it yet.
    pub(super) fn of(size: usize) -> Buffer {
        let Some((place, size)) = place_of(size) else { return Buffer(Vec::with_capacity(size)) };
        let mut kept = lock();
        let found = kept.by_size[place].pop();
        if found.is_some() {
            kept.bytes -= size;
        }
        drop(kept);
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
        let mut room = std::mem::take(&mut self.0);
        let size = room.capacity();
        let Some((place, own)) = place_of(size) else { return };
        let mut kept = lock();
        if own == size && kept.bytes + size <= BYTES_MAX {
            room.clear();
            kept.bytes += size;
            kept.by_size[place].push(room);
        }
    }
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
    fn room_is_used_again_and_little_of_it_kept() {
        let size = 3 << 20;
        let mut first = Buffer::of(size);
        assert!(first.bytes_mut().is_empty() && first.bytes_mut().capacity() >= size);
        first.bytes_mut().extend_from_slice(b"samples");
        let shared = first.into_bytes();
        let slice = shared.slice(3..);
        drop(shared);
        assert_eq!(slice, "ples");
        drop(slice);
        // Other tests may have taken it meanwhile; whatever comes is empty.
        let many: Vec<Buffer> = (0..20).map(|_| Buffer::of(size)).collect();
        assert!(many.iter().all(|buffer| buffer.as_ref().is_empty() && buffer.0.capacity() >= size));
        drop(many);
        let kept = lock();
        let sum: usize = kept.by_size.iter().flatten().map(Vec::capacity).sum();
        assert!(kept.bytes == sum && (1..=BYTES_MAX).contains(&sum), "{sum}");
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
