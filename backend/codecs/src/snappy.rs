//! Snappy blocks from the network: the length a body declares is checked before anything is allocated.

use thiserror::Error;

/// Most bytes a byte of snappy can stand for: a copy of 64 bytes takes three.
const EXPANSION_MAX: usize = 22;

/// Why a body does not unpack.
#[derive(Debug, Error)]
pub enum SnappyError {
    /// The body unpacks to more than is allowed.
    #[error("body unpacks to {size} bytes, more than the allowed {limit}")]
    TooLarge {
        /// Bytes the body says it unpacks to.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The body is not snappy.
    #[error("body is not valid snappy: {0}")]
    Invalid(#[from] snap::Error),
    /// The body declares more than it can hold.
    #[error("body declares {declared} bytes, more than {size} bytes of snappy can hold")]
    Implausible {
        /// Bytes the body says it unpacks to.
        declared: usize,
        /// Bytes of the body.
        size: usize,
    },
}

/// Unpacks `body` into `out`, whose contents go and whose memory is used again.
pub(crate) fn unpack(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), SnappyError> {
    let size = snap::raw::decompress_len(body)?;
    if size > limit {
        return Err(SnappyError::TooLarge { size, limit });
    }
    if size > body.len().saturating_mul(EXPANSION_MAX) {
        return Err(SnappyError::Implausible { declared: size, size: body.len() });
    }
    out.clear();
    out.resize(size, 0);
    let unpacked = snap::raw::Decoder::new().decompress(body, out)?;
    out.truncate(unpacked);
    Ok(())
}

/// Packs `bytes`.
pub(crate) fn pack(bytes: &[u8]) -> Result<Vec<u8>, SnappyError> {
    Ok(snap::raw::Encoder::new().compress_vec(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        // The varint says 2.5 GB, as in the advisory on Prometheus' receivers.
        let bomb = [0x80, 0x84, 0xaf, 0xd0, 0x09, 0, 0];
        let mut out = Vec::new();
        assert!(matches!(unpack(&bomb, 32 << 20, &mut out), Err(SnappyError::TooLarge { .. })));
        // 16 MB in seven bytes.
        let bomb = [0x80, 0x80, 0x80, 0x08, 0, 0, 0];
        assert!(matches!(unpack(&bomb, 32 << 20, &mut out), Err(SnappyError::Implausible { .. })));
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn the_most_repetitive_body_still_unpacks() {
        let body = vec![7u8; 4 << 20];
        let packed = pack(&body).unwrap();
        assert!(packed.len() * EXPANSION_MAX >= body.len(), "{}", packed.len());
        let mut out = vec![1, 2, 3];
        unpack(&packed, 4 << 20, &mut out).unwrap();
        assert_eq!(out, body);
        assert!(matches!(unpack(&packed, (4 << 20) - 1, &mut out), Err(SnappyError::TooLarge { .. })));
        assert!(matches!(
            unpack(&packed[..packed.len() - 2], 4 << 20, &mut out),
            Err(SnappyError::Invalid(_))
        ));
        unpack(&pack(&[]).unwrap(), 0, &mut out).unwrap();
        assert!(out.is_empty());
    }
}
