//! Which files and row groups of `logs` can hold a word: token bloom filters beside the data files.
//!
//! Comes in: record batches as they are written, bytes of sidecars, and needles: words a query needs in one
//! row. Goes out: sidecars, and the files and row groups that can hold all the words. A filter may say "yes"
//! where the word is not; it never says "no" where it is. Planning a query looks into memory alone: a file
//! whose filter is not there is not pruned, and its filter is asked for. Knows nothing of SQL and LogQL.
//!
//! - [`fold`]: letters and what divides words. [`tokenizer`]: text to token hashes.
//! - [`bloom`]: one filter. [`collect`]: record batches to the filters of a file. [`sidecar`]: their bytes.
//! - [`needle`], [`pattern`], [`regex`]: what a query looks for, as tokens.
//! - [`index`]: filters in memory. [`load`]: from sidecars into memory. [`rebuild`]: sidecars from data files.

pub(crate) mod bloom;
pub(crate) mod collect;
mod fold;
pub(crate) mod index;
pub(crate) mod load;
mod needle;
mod pattern;
mod prune;
mod rebuild;
mod regex;
pub(crate) mod sidecar;
mod stats;
mod tokenizer;

#[doc(hidden)]
pub use collect::sidecar_bytes;
pub use index::TokenIndex;
pub use needle::{Needle, tokens_of_substring, tokens_of_word};
pub use prune::RowGroupSelection;
#[doc(hidden)]
pub use sidecar::fuzz_sidecar;
pub use stats::TokenStats;
pub use tokenizer::Tokenizer;
