//! Letters: which characters make up words, and which of them count as the same.
//!
//! Both sides go through [`fold`]: text when it is indexed, and what a query looks for. Two characters any
//! case-insensitive comparison takes for the same have the same fold, so one index serves `LIKE`, `ILIKE`
//! and regular expressions with and without `(?i)`.

use regex_syntax::is_word_character;

/// What a character is in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Divides words.
    Separator,
    /// Part of a word: ASCII letters, digits and `_`, and the letters, marks and digits of other scripts.
    Word,
    /// A word by itself: Chinese characters and kana, which stand side by side without spaces.
    Single,
}

/// The class of a folded character.
///
/// Characters of words are the word characters (`\w`) of Unicode regular expressions, so that what `\b` and
/// `\W` promise holds for our words too.
pub(super) fn class(folded: char) -> Class {
    match folded {
        'a'..='z' | '0'..='9' | '_' => Class::Word,
        '\0'..='\x7f' => Class::Separator,
        '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}'
            if is_word_character(folded) =>
        {
            Class::Single
        }
        _ if is_word_character(folded) => Class::Word,
        _ => Class::Separator,
    }
}

/// The character that stands for all that differ from it in case only.
///
/// Coarser than Unicode's simple case folding: going up and down again also unites final and other sigma,
/// the Kelvin sign and `k`. Where upper or lower case is more than one character, the character stays.
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    match c {
        // What is no word character stays none, also where the standard library knows newer letters.
        _ if !is_word_character(c) => c,
        // Simple folding unites these; their upper case is several characters.
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb06}' => '\u{fb05}',
        _ => {
            let upper = single(c.to_uppercase()).unwrap_or(c);
            single(upper.to_lowercase()).unwrap_or(upper)
        }
    }
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;

    #[test]
    fn what_differs_in_case_only_has_one_fold() {
        for c in '\0'..=char::MAX {
            let mut same = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            same.case_fold_simple();
            for other in same.ranges().iter().flat_map(|range| range.start()..=range.end()) {
                assert_eq!(fold(c), fold(other), "{c:?} and {other:?}");
            }
            assert_eq!(fold(fold(c)), fold(c), "{c:?}");
        }
    }

    #[test]
    fn lower_case_that_is_ascii_has_the_fold_of_the_text() {
        for c in '\0'..=char::MAX {
            if let Some(lower) = single(c.to_lowercase()).filter(char::is_ascii) {
                assert_eq!(fold(lower), fold(c), "{c:?}");
            }
        }
        assert_eq!(fold('ς'), fold('Σ'));
    }

    #[test]
    fn characters_of_words_are_those_of_regular_expressions() {
        for c in '\0'..=char::MAX {
            assert_eq!(class(fold(c)) != Class::Separator, is_word_character(c), "{c:?}");
        }
    }
}
