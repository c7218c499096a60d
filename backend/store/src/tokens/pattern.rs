//! What is known of a text a query looks for: characters in a row, and gaps where anything may stand.
//!
//! Comes in: pieces, in the order of the text. Goes out: hashes of the tokens every matching text has. A word
//! at the edge of what is known may be part of a longer one in the text and so is no token; a word between
//! separators, ends of the text and word boundaries is.

use super::fold::{Class, class, fold};
use super::tokenizer::{TOKEN_BYTES_MIN, hash_token};

/// A piece of a matching text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This character, in any case.
    Char(char),
    /// No word goes on from one side to the other: an end of the text, a word boundary, or separators.
    Break,
    /// Any text, or none.
    Gap,
}

/// The characters of `text`.
pub(super) fn chars(text: &str) -> impl Iterator<Item = Piece> {
    text.chars().map(Piece::Char)
}

/// Hashes of the tokens every text made of these pieces has, sorted, each once. Before and after the pieces
/// anything may stand.
pub(super) fn tokens(pieces: impl IntoIterator<Item = Piece>) -> Vec<u64> {
    let (mut hashes, mut word, mut begun) = (Vec::new(), String::new(), false);
    let mut end_word = |word: &mut String, begun: bool| {
        if begun && word.len() >= TOKEN_BYTES_MIN {
            hashes.push(hash_token(word.as_bytes()));
        }
        word.clear();
    };
    for piece in pieces {
        let Piece::Char(c) = piece else {
            let known = piece == Piece::Break;
            end_word(&mut word, begun && known);
            begun = known;
            continue;
        };
        let c = fold(c);
        match class(c) {
            Class::Word => word.push(c),
            Class::Separator => {
                end_word(&mut word, begun);
                begun = true;
            }
            Class::Single => {
                end_word(&mut word, begun);
                word.push(c);
                end_word(&mut word, true);
                begun = true;
            }
        }
    }
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The pieces of an SQL `LIKE` pattern: `%` stands for any text, `_` for any character, `escape` takes the
/// meaning from the next.
///
/// What `escape` before other characters means differs between engines, so both are taken as unknown.
pub(super) fn like(pattern: &str, escape: char) -> Vec<Piece> {
    let mut pieces = vec![Piece::Break];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c == escape {
            match chars.next() {
                Some(escaped @ ('%' | '_')) => pieces.push(Piece::Char(escaped)),
                _ => pieces.push(Piece::Gap),
            }
        } else if matches!(c, '%' | '_') {
            pieces.push(Piece::Gap);
        } else {
            pieces.push(Piece::Char(c));
        }
    }
    pieces.push(Piece::Break);
    pieces
}
