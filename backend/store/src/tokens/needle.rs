//! What a query needs to find: tokens that all occur in one row, or one of several sets of such tokens.

use super::pattern::{self, Piece, chars, tokens};
use super::regex;

/// Most alternatives of one needle; with more of them it says nothing.
pub(super) const ALTERNATIVES_MAX: usize = 256;

/// Tokens a row must have to be found. A needle knows less than the condition it comes from: every row that
/// meets the condition has the tokens, and rows that do not may have them too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needle {
    /// Sets of token hashes; the row has all of one set. Neither this nor a set is empty.
    alternatives: Vec<Box<[u64]>>,
}

impl Needle {
    /// A row that has all of `tokens`; `None` without any.
    pub fn all_of(tokens: Vec<u64>) -> Option<Needle> {
        Needle::any_of([tokens])
    }

    /// A row that has all tokens of one of the sets; `None` where there are no sets, more than 256, or one of
    /// them is empty and so every row has it.
    pub fn any_of(sets: impl IntoIterator<Item = Vec<u64>>) -> Option<Needle> {
        let alternatives: Vec<Box<[u64]>> =
            sets.into_iter().take(ALTERNATIVES_MAX + 1).map(Vec::into_boxed_slice).collect();
        let says_something = !alternatives.is_empty() && alternatives.iter().all(|set| !set.is_empty());
        (says_something && alternatives.len() <= ALTERNATIVES_MAX).then_some(Needle { alternatives })
    }

    /// A row for which one of `needles` holds; each member is what has to hold together.
    pub fn any(needles: impl IntoIterator<Item = Vec<Needle>>) -> Option<Needle> {
        let mut alternatives = Vec::new();
        for together in needles {
            alternatives.extend(Needle::together(together)?.alternatives);
            if alternatives.len() > ALTERNATIVES_MAX {
                return None;
            }
        }
        (!alternatives.is_empty()).then_some(Needle { alternatives })
    }

    /// One needle for several that hold together. It keeps the single sets whole, and of the others the one
    /// with the fewest alternatives, unless there are single sets.
    fn together(needles: Vec<Needle>) -> Option<Needle> {
        let (single, several): (Vec<Needle>, Vec<Needle>) =
            needles.into_iter().partition(|needle| needle.alternatives.len() == 1);
        let mut all: Vec<u64> =
            single.iter().flat_map(|needle| needle.alternatives[0].iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        let fewest = several.into_iter().min_by_key(|needle| needle.alternatives.len());
        Needle::all_of(all).or(fewest)
    }

    /// A text that contains `text` somewhere, in any case; `None` where that tells no token.
    pub fn substring(text: &str) -> Option<Needle> {
        Needle::all_of(tokens_of_substring(text))
    }

    /// A text that is `text`, or has it between word boundaries.
    pub fn word(text: &str) -> Option<Needle> {
        Needle::all_of(tokens_of_word(text))
    }

    /// A text that begins with `text`.
    pub fn prefix(text: &str) -> Option<Needle> {
        Needle::all_of(tokens([Piece::Break].into_iter().chain(chars(text))))
    }

    /// A text that ends with `text`.
    pub fn suffix(text: &str) -> Option<Needle> {
        Needle::all_of(tokens(chars(text).chain([Piece::Break])))
    }

    /// A text that is `LIKE pattern` or `ILIKE pattern`.
    pub fn like(pattern: &str, escape: char) -> Option<Needle> {
        Needle::all_of(tokens(pattern::like(pattern, escape)))
    }

    /// A text in which a regular expression (syntax of the crate `regex`) finds a match. All the needles
    /// hold together; none where the expression is not understood or demands no word.
    pub fn regex(pattern: &str) -> Vec<Needle> {
        regex::needles(pattern)
    }

    /// Whether a row can be the one, by a test that says which tokens are surely missing.
    pub(super) fn may_be_in(&self, may_hold: impl Fn(u64) -> bool) -> bool {
        self.alternatives.iter().any(|set| set.iter().all(|token| may_hold(*token)))
    }
}

/// Hashes of the tokens of every text that contains `text`: its words but the first and the last, unless
/// what lies outside of them in `text` shows that they end there. Any case.
pub fn tokens_of_substring(text: &str) -> Vec<u64> {
    tokens(chars(text))
}

/// Hashes of the tokens of `text` as a whole: what comes before and after it is no part of a word.
pub fn tokens_of_word(text: &str) -> Vec<u64> {
    tokens([Piece::Break].into_iter().chain(chars(text)).chain([Piece::Break]))
}

#[cfg(test)]
mod tests;
