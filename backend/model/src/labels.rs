//! Label sets: sorted, immutable, shared. A set knows the 64-bit hash that names its series or stream.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// A set of labels, sorted by name, without duplicates and without empty values.
///
/// One buffer holds all names and values; cloning copies a pointer. Equality and order are those of the
/// sorted (name, value) pairs, so two sets built in any order compare equal.
#[derive(Clone)]
pub struct Labels(Arc<Inner>);

struct Inner {
    /// name, value, name, value … without separators.
    text: Box<str>,
    /// End offset of every piece of `text`, in bytes.
    ends: Box<[u32]>,
    hash: u64,
}

impl Labels {
    /// Builds a set from pairs in any order. Empty values are dropped (they mean "label not set"); of a
    /// repeated name the last value wins.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Labels {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// The set without labels.
    pub fn empty() -> Labels {
        Labels::from_sorted(&[])
    }

    /// Builds a set from pairs as wire formats send them: mostly in order of name, and not known to be UTF-8.
    /// Gives the set [`Labels::from_pairs`] does, or `None` where a name or value is not UTF-8. Where the pairs
    /// are in order and none is empty, each byte is copied twice and looked at once. `scratch` is overwritten;
    /// keep it from call to call.
    pub fn from_utf8_pairs(pairs: &[(&[u8], &[u8])], scratch: &mut Vec<u8>) -> Option<Labels> {
        let sorted = pairs.is_sorted_by(|a, b| a.0 < b.0);
        if !sorted || pairs.iter().any(|(_, value)| value.is_empty()) {
            let text =
                |(name, value)| Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?));
            let texts: Option<Vec<(&str, &str)>> = pairs.iter().copied().map(text).collect();
            return Some(Labels::from_pairs(texts?));
        }
        Labels::from_sorted_bytes(
            pairs.iter().flat_map(|(name, value)| [*name, *value]),
            pairs.len(),
            scratch,
        )
    }

    /// Builds a set from pairs that are mostly in order of name already: one copy of the texts and no other
    /// work where they are. The same set as [`Labels::from_pairs`] gives.
    pub fn from_sorted_pairs(pairs: &[(&str, &str)]) -> Labels {
        let sorted = pairs.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !sorted || pairs.iter().any(|(_, value)| value.is_empty()) {
            return Labels::from_pairs(pairs.iter().copied());
        }
        let pieces = pairs.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Labels::from_sorted_bytes(pieces, pairs.len(), &mut Vec::new()).expect("pieces of text are text")
    }

    fn from_sorted(pairs: &[(String, String)]) -> Labels {
        let pieces = pairs.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        Labels::from_sorted_bytes(pieces, pairs.len(), &mut Vec::new()).expect("pieces of text are text")
    }

    /// `pieces`: name, value, name, value … of `count` pairs. `None` where a piece is not UTF-8.
    fn from_sorted_bytes<'a>(
        pieces: impl Iterator<Item = &'a [u8]> + Clone,
        count: usize,
        scratch: &mut Vec<u8>,
    ) -> Option<Labels> {
        scratch.clear();
        let (mut ends, mut bytes) = (Vec::with_capacity(count * 2), 0usize);
        for piece in pieces.clone() {
            bytes += piece.len();
            ends.push(u32::try_from(bytes).unwrap_or(u32::MAX));
            scratch.extend_from_slice(piece);
            // 0xff never occurs in UTF-8, so neighbouring pieces cannot run together.
            scratch.push(0xff);
        }
        let hash = xxh3_64(scratch);
        let mut text = Vec::with_capacity(bytes);
        pieces.for_each(|piece| text.extend_from_slice(piece));
        let text = String::from_utf8(text).ok()?;
        // Two pieces that each break a character in halves could make up whole text.
        let whole = ends.iter().all(|end| text.is_char_boundary(*end as usize));
        whole.then(|| Labels(Arc::new(Inner { text: text.into(), ends: ends.into(), hash })))
    }

    /// True where the set holds exactly these pairs, in order of name.
    pub fn equals_pairs(&self, pairs: &[(&[u8], &[u8])]) -> bool {
        self.len() == pairs.len()
            && self.iter().zip(pairs).all(|((own_name, own_value), (name, value))| {
                own_name.as_bytes() == *name && own_value.as_bytes() == *value
            })
    }

    /// xxh3-64 over `name 0xff value 0xff …` in sorted order: the `stream_id` of a log stream, and what the `tsid`
    /// of a series is made of. The same on every node and in every version.
    pub fn hash64(&self) -> u64 {
        self.0.hash
    }

    /// The metric's name, or the empty string where there is none.
    pub fn name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// The value of `name`, if the label is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Number of labels, the metric name included.
    pub fn len(&self) -> usize {
        self.0.ends.len() / 2
    }

    /// True for the set without labels.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// Pairs in order of name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + '_ {
        (0..self.len()).map(|i| (self.piece(2 * i), self.piece(2 * i + 1)))
    }

    fn piece(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.0.ends[index - 1] as usize };
        &self.0.text[start..self.0.ends[index] as usize]
    }

    /// A builder that starts from this set.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { pairs: self.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// This set without the metric name.
    pub fn without_name(&self) -> Labels {
        let mut builder = self.to_builder();
        builder.remove(METRIC_NAME);
        builder.build()
    }

    /// Whether another clone of this set is in use: this one then costs a pointer.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Bytes this set occupies on the heap, for the memory ledger.
    pub fn heap_bytes(&self) -> usize {
        self.0.text.len() + self.0.ends.len() * 4 + size_of::<Inner>() + 16
    }
}

impl Default for Labels {
    fn default() -> Labels {
        Labels::empty()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Labels) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash && self.0.ends == other.0.ends && self.0.text == other.0.text)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Labels) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

/// `name{a="b", c="d"}`, values escaped as in the text exposition format.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().filter(|(name, _)| *name != METRIC_NAME).enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{name}=\"")?;
            for c in value.chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '"' => f.write_str("\\\"")?,
                    '\n' => f.write_str("\\n")?,
                    c => write!(f, "{c}")?,
                }
            }
            f.write_str("\"")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
        let pairs = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Labels::from_pairs(pairs))
    }
}

/// Collects labels in any order, then makes a [`Labels`].
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    /// Sorted by name.
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Sets `name` to `value`; an empty value removes the label.
    pub fn set(&mut self, name: &str, value: &str) -> &mut LabelsBuilder {
        if value.is_empty() {
            return self.remove(name);
        }
        match self.position(name) {
            Ok(i) => value.clone_into(&mut self.pairs[i].1),
            Err(i) => self.pairs.insert(i, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes `name`, if set.
    pub fn remove(&mut self, name: &str) -> &mut LabelsBuilder {
        if let Ok(i) = self.position(name) {
            self.pairs.remove(i);
        }
        self
    }

    /// The value of `name`, if set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.position(name).ok().map(|i| self.pairs[i].1.as_str())
    }

    /// Pairs in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Keeps the labels for which `keep(name, value)` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut LabelsBuilder {
        self.pairs.retain(|(n, v)| keep(n, v));
        self
    }

    /// The finished set.
    pub fn build(&self) -> Labels {
        Labels::from_sorted(&self.pairs)
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }
}

#[cfg(test)]
mod tests;
