//! Bits appended one after the other, the highest first.

/// Growing.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits free in the last byte.
    free: u32,
}

impl BitWriter {
    /// Starts behind whole bytes.
    pub(super) fn after(bytes: Vec<u8>) -> BitWriter {
        BitWriter { bytes, free: 0 }
    }

    /// Appends the low `count` bits of `value`.
    pub(super) fn put(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let take = left.min(self.free);
            let piece = (value >> (left - take)) as u8 & (0xffu16 >> (8 - take)) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= piece << (self.free - take);
            }
            self.free -= take;
            left -= take;
        }
    }

    /// Appends a byte across the boundary of bytes.
    pub(super) fn put_byte(&mut self, byte: u8) {
        self.put(u64::from(byte), 8);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
