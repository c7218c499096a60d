//! How the id of a label set follows from its labels: the `tsid` of a series, the `stream_id` of a log stream.
//!
//! Tables are sorted by metric and id, so the id decides which series lie side by side. Hashes alone scatter the
//! series of one host over all pages of a metric, and whoever asks for that host unpacks every page. In a store made
//! today an id begins with a hash of the label `instance`, so that a host's series of a metric are neighbours and
//! mostly in one page. A store made before goes on with the hashes it has: a series has one id for as long as its
//! store lives. Which of the two a store has stands in the settings of its table `series` ([`SETTING`]).

use std::hash::Hasher;

use model::Labels;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::tables::Table;

/// The setting of a table, in its Delta metadata, that names how ids are made.
pub(crate) const SETTING: &str = "atl.ids";
/// Its value for [`Ids::ByInstance`].
const BY_INSTANCE: &str = "instance";
/// The label whose series lie side by side.
const INSTANCE: &str = "instance";
/// Bits of an id that come from the hash of all labels where others come from [`INSTANCE`].
const OWN_BITS: u32 = 48;
const OWN_MASK: u64 = (1 << OWN_BITS) - 1;

/// How ids are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ids {
    /// The hash of the labels ([`Labels::hash64`]).
    #[default]
    Hashes,
    /// Where there is a label `instance`, the highest 16 bits are those of its value's xxh3-64; all else as
    /// [`Ids::Hashes`].
    ByInstance,
}

impl Ids {
    /// Those of a table that is made now.
    pub(crate) fn of_new(table: Table) -> Ids {
        if table == Table::Series { Ids::ByInstance } else { Ids::Hashes }
    }

    /// What [`SETTING`] says, `None` where there is none; fails with a value this version does not know.
    pub(crate) fn from_setting(value: Option<&str>) -> Result<Ids, String> {
        match value {
            None => Ok(Ids::Hashes),
            Some(BY_INSTANCE) => Ok(Ids::ByInstance),
            Some(other) => Err(format!(
                "its setting {SETTING} is {other:?}, which this version does not know; use the version that made it"
            )),
        }
    }

    /// The value for [`SETTING`], if it needs one.
    pub(crate) fn setting(self) -> Option<&'static str> {
        match self {
            Ids::Hashes => None,
            Ids::ByInstance => Some(BY_INSTANCE),
        }
    }

    /// The id of a label set with this hash.
    pub(crate) fn id(self, hash: u64, labels: &Labels) -> u64 {
        let instance = match self {
            Ids::Hashes => None,
            Ids::ByInstance => labels.get(INSTANCE),
        };
        instance.map_or(hash, |instance| xxh3_64(instance.as_bytes()) & !OWN_MASK | hash & OWN_MASK)
    }

    /// What is the same in all that shares an id, and cheap to tell: of a label set's hash and of its id.
    pub(crate) fn key(self, hash_or_id: u64) -> u64 {
        match self {
            Ids::Hashes => hash_or_id,
            Ids::ByInstance => hash_or_id & OWN_MASK | hash_or_id << OWN_BITS,
        }
    }

    /// Another id, with the same neighbours; `salt` from 1.
    pub(crate) fn salted(self, id: u64, salt: u64) -> u64 {
        let salted = xxh3_64_with_seed(&id.to_le_bytes(), salt);
        match self {
            Ids::Hashes => salted,
            Ids::ByInstance => id & !OWN_MASK | salted & OWN_MASK,
        }
    }
}

/// Hashes ids, which are hashes already. The highest bits, by which hash tables tell entries of a bucket apart, may
/// be the same in all ids of a host; others, by which nobody else tells ids apart, are mixed into them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 << 24
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn write_i64(&mut self, value: i64) {
        self.0 = value.cast_unsigned();
    }
}

#[cfg(test)]
mod tests;
