//! Text to tokens: the words of a text, folded, hashed.
//!
//! A token is a longest run of word characters ([`super::fold`]) of at least [`TOKEN_BYTES_MIN`] bytes, or a
//! single Chinese character or kana. Its hash is xxh3-64 of its folded UTF-8 bytes. ASCII text is lowered
//! and classified 64 bytes at a time without branches, which compilers turn into vector instructions; other
//! text is first brought into the same shape character by character.

use xxhash_rust::xxh3::xxh3_64;

use super::fold::{Class, class, fold};

/// Shorter words are not tokens: nearly every text has them.
pub(super) const TOKEN_BYTES_MIN: usize = 3;
/// Bytes classified at once.
const STEP: usize = 64;

/// Hash of a folded token.
pub(super) fn hash_token(folded: &[u8]) -> u64 {
    xxh3_64(folded)
}

/// Splits texts; keeps its buffers from text to text.
#[derive(Debug, Default)]
pub struct Tokenizer {
    /// The text, folded, with separators up to a multiple of [`STEP`] and at least one at the end.
    folded: Vec<u8>,
}

impl Tokenizer {
    /// Calls `each` with the hash of every token of `text`, in order, repetitions included.
    pub fn hashes(&mut self, text: &str, mut each: impl FnMut(u64)) {
        self.tokens(text, |token| each(hash_token(token)));
    }

    /// Calls `each` with every token of `text`, folded.
    pub(super) fn tokens(&mut self, text: &str, mut each: impl FnMut(&[u8])) {
        self.folded.clear();
        if text.is_ascii() {
            self.folded.extend_from_slice(text.as_bytes());
        } else {
            fold_text(text, &mut self.folded);
        }
        let padded = self.folded.len() / STEP * STEP + STEP;
        self.folded.resize(padded, 0);
        let (mut start, mut inside) = (0, false);
        for base in (0..padded).step_by(STEP) {
            let words = lower_and_classify(&mut self.folded[base..base + STEP]);
            // A bit where a word begins, and one behind its end.
            let mut edges = words ^ (words << 1 | u64::from(inside));
            while edges != 0 {
                let at = base + edges.trailing_zeros() as usize;
                edges &= edges - 1;
                if inside && at - start >= TOKEN_BYTES_MIN {
                    each(&self.folded[start..at]);
                }
                start = at;
                inside = !inside;
            }
        }
    }
}

/// Lowers ASCII letters in place; bit `i` of the result says that byte `i` belongs to a word. Bytes of
/// multi-byte characters do: those that do not have been replaced.
fn lower_and_classify(bytes: &mut [u8]) -> u64 {
    let mut classes = [0u8; STEP];
    for (byte, class) in bytes.iter_mut().zip(&mut classes) {
        let upper = u8::from(byte.wrapping_sub(b'A') < 26);
        *byte |= upper << 5;
        let letter = u8::from(byte.wrapping_sub(b'a') < 26);
        let digit = u8::from(byte.wrapping_sub(b'0') < 10);
        let other = u8::from(*byte == b'_') | (*byte >> 7);
        *class = letter | digit | other;
    }
    let (eights, _) = classes.as_chunks::<8>();
    // Eight bytes of 0 or 1 to eight bits: the multiplication moves bit 8·i to bit 56 + i.
    let pack = |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    eights.iter().enumerate().map(|(i, eight)| pack(eight) << (8 * i)).sum()
}

/// Folds every character; separators become spaces, characters that are words by themselves get spaces
/// around them.
fn fold_text(text: &str, folded: &mut Vec<u8>) {
    let mut buffer = [0; 4];
    for c in text.chars() {
        if c.is_ascii() {
            folded.push(c as u8);
            continue;
        }
        let c = fold(c);
        let encoded = c.encode_utf8(&mut buffer).as_bytes();
        match class(c) {
            Class::Separator => folded.push(b' '),
            Class::Word => folded.extend_from_slice(encoded),
            Class::Single => {
                folded.push(b' ');
                folded.extend_from_slice(encoded);
                folded.push(b' ');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        Tokenizer::default()
            .tokens(text, |token| found.push(String::from_utf8(token.to_vec()).expect("tokens are text")));
        found
    }

    #[test]
    fn words_of_a_line() {
        assert_eq!(tokens("GET /api/v1/Users?id=42 took 17ms"), ["get", "api", "users", "took", "17ms"]);
        assert_eq!(
            tokens(r#"{"trace_id":"4BF92F35-77b3-11ee","ok":true}"#),
            ["trace_id", "4bf92f35", "77b3", "11ee", "true"]
        );
        assert_eq!(tokens(""), [""; 0]);
        assert_eq!(tokens("ab c d"), [""; 0]);
        assert_eq!(tokens(&"x".repeat(200)), ["x".repeat(200)]);
        assert_eq!(
            tokens(&format!("{} {}", "y".repeat(63), "z".repeat(64))),
            ["y".repeat(63), "z".repeat(64)]
        );
    }

    #[test]
    fn words_of_other_scripts() {
        assert_eq!(tokens("Ошибка: ФАЙЛ не найден"), ["ошибка", "файл", "не", "найден"]);
        assert_eq!(tokens("ÉCOLE«Straße»"), ["école", "straße"]);
        assert_eq!(tokens("连接 failed失败"), ["连", "接", "failed", "失", "败"]);
        assert_eq!(tokens("\u{212a}elvin → 300"), ["kelvin", "300"]);
        assert_eq!(tokens("a\u{1f600}bcd"), ["bcd"]);
    }

    /// The definition, a character at a time.
    fn plainly(text: &str) -> Vec<String> {
        let (mut found, mut run) = (Vec::new(), String::new());
        for c in text.chars().map(fold).chain([' ']) {
            if class(c) == Class::Word {
                run.push(c);
                continue;
            }
            if run.len() >= TOKEN_BYTES_MIN {
                found.push(run.clone());
            }
            run.clear();
            if class(c) == Class::Single {
                found.push(c.to_string());
            }
        }
        found
    }

    proptest! {
        #[test]
        fn blocks_of_bytes_give_what_characters_give(text in "([a-zA-Z0-9_]{0,70}[ -~]{0,3}|\\PC{0,5}){0,12}") {
            prop_assert_eq!(tokens(&text), plainly(&text));
        }
    }
}
