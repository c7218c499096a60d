//! Looks for texts in a body that comes in chunks, up to a size limit, without keeping the body.

use memchr::memmem;

use crate::Expectations;

/// Bytes of a body that are read at most.
pub const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// Whether a scan wants more of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bring the next chunk.
    More,
    /// The limit is reached; stop reading and close the connection.
    Enough,
}

/// A search over the chunks of one body.
#[derive(Debug)]
pub struct BodyScan {
    required: Vec<Needle>,
    forbidden: Vec<Needle>,
    /// The end of what was read before, one byte shorter than the longest text: a text that lies across two
    /// chunks begins in here.
    tail: Vec<u8>,
    tail_max: usize,
    bytes: u64,
    bytes_max: u64,
    cut: bool,
}

#[derive(Debug)]
struct Needle {
    text: String,
    found: bool,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyReport {
    /// Bytes read, the limit at most.
    pub bytes: u64,
    /// Whether the body went on beyond the limit.
    pub cut: bool,
    /// Required texts that were not seen.
    pub missing: Vec<String>,
    /// Forbidden texts that were seen.
    pub forbidden: Vec<String>,
}

impl BodyScan {
    /// A scan for what `expect` says of the body, reading [`BODY_BYTES_MAX`] bytes at most.
    pub fn new(expect: &Expectations) -> BodyScan {
        BodyScan::with_limit(expect, BODY_BYTES_MAX)
    }

    /// A scan that reads `bytes_max` bytes at most.
    pub fn with_limit(expect: &Expectations, bytes_max: u64) -> BodyScan {
        let longest = expect.body_contains.iter().chain(&expect.body_not_contains).map(String::len).max();
        let needles = |texts: &[String]| {
            texts.iter().map(|text| Needle { text: text.clone(), found: text.is_empty() }).collect()
        };
        BodyScan {
            required: needles(&expect.body_contains),
            forbidden: needles(&expect.body_not_contains),
            tail: Vec::new(),
            tail_max: longest.unwrap_or(0).saturating_sub(1),
            bytes: 0,
            bytes_max,
            cut: false,
        }
    }

    /// Looks through the next chunk. Bytes beyond the limit are not looked at.
    pub fn push(&mut self, chunk: &[u8]) -> Progress {
        let room = usize::try_from(self.bytes_max - self.bytes).unwrap_or(usize::MAX);
        let chunk = if chunk.len() > room {
            self.cut = true;
            &chunk[..room]
        } else {
            chunk
        };
        self.bytes += chunk.len() as u64;
        self.search(chunk);
        if self.cut { Progress::Enough } else { Progress::More }
    }

    /// The end of the body, or of the reading of it.
    pub fn finish(self) -> BodyReport {
        BodyReport {
            bytes: self.bytes,
            cut: self.cut,
            missing: self.required.into_iter().filter(|n| !n.found).map(|n| n.text).collect(),
            forbidden: self.forbidden.into_iter().filter(|n| n.found).map(|n| n.text).collect(),
        }
    }

    fn search(&mut self, chunk: &[u8]) {
        let tail_bytes = self.tail.len();
        let overlap = chunk.len().min(self.tail_max);
        // Across the border: the old tail and as much of the chunk as a text that began in it can reach.
        self.tail.extend_from_slice(&chunk[..overlap]);
        for needle in self.required.iter_mut().chain(&mut self.forbidden).filter(|n| !n.found) {
            let text = needle.text.as_bytes();
            needle.found = memmem::find(chunk, text).is_some()
                || (tail_bytes > 0 && memmem::find(&self.tail, text).is_some());
        }
        if chunk.len() >= self.tail_max {
            self.tail.clear();
            self.tail.extend_from_slice(&chunk[chunk.len() - self.tail_max..]);
        } else {
            let surplus = self.tail.len().saturating_sub(self.tail_max);
            self.tail.drain(..surplus);
        }
    }
}

#[cfg(test)]
mod tests;
