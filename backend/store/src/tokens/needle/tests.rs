use ::regex::Regex;
use proptest::prelude::*;

use super::*;
use crate::tokens::tokenizer::{Tokenizer, hash_token};

fn hashes(words: &[&str]) -> Vec<u64> {
    let mut hashes: Vec<u64> = words.iter().map(|word| hash_token(word.as_bytes())).collect();
    hashes.sort_unstable();
    hashes
}

fn of(words: &[&str]) -> Option<Needle> {
    Needle::all_of(hashes(words))
}

fn text_hashes(text: &str) -> Vec<u64> {
    let mut hashes = Vec::new();
    Tokenizer::default().hashes(text, |hash| hashes.push(hash));
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

#[test]
fn words_at_the_edges_of_a_substring_are_no_tokens() {
    assert_eq!(tokens_of_substring("timeout"), hashes(&[]));
    assert_eq!(tokens_of_substring("connection Refused by"), hashes(&["refused"]));
    assert_eq!(tokens_of_substring(" timeout "), hashes(&["timeout"]));
    assert_eq!(tokens_of_substring("id=4bf92f35-77b3-11ee "), hashes(&["4bf92f35", "77b3", "11ee"]));
    assert_eq!(tokens_of_substring("连接"), hashes(&["连", "接"]));
    assert_eq!(tokens_of_substring("x连y"), hashes(&["连"]));
    assert_eq!(tokens_of_word("timeout"), hashes(&["timeout"]));
    assert_eq!(tokens_of_word("ERROR: no space"), hashes(&["error", "space"]));
    assert_eq!(Needle::prefix("level=error msg"), of(&["level", "error"]));
    assert_eq!(Needle::suffix("done in 17ms"), of(&["17ms"]));
    assert_eq!(Needle::substring("ab"), None);
}

#[test]
fn like_patterns() {
    assert_eq!(Needle::like("%connection refused%", '\\'), None);
    assert_eq!(Needle::like("%: connection refused%", '\\'), of(&["connection"]));
    assert_eq!(Needle::like("GET %.php", '\\'), of(&["get", "php"]));
    assert_eq!(Needle::like("Timeout", '\\'), of(&["timeout"]));
    assert_eq!(Needle::like("%_done %", '\\'), None, "the underscore stands for any character");
    assert_eq!(Needle::like("% is\\_done %", '\\'), of(&["is_done"]));
    assert_eq!(Needle::like("% C:\\foo bar %", '\\'), of(&["bar"]));
    assert_eq!(Needle::like("% 100!% sure %", '!'), of(&["100", "sure"]));
    assert_eq!(Needle::like("% end\\", '\\'), None);
}

#[test]
fn regular_expressions() {
    let check = |pattern: &str, expect: Option<Needle>| {
        assert_eq!(Needle::regex(pattern), expect.into_iter().collect::<Vec<_>>(), "{pattern}");
    };
    check("timeout", None);
    check(r"\btimeout\b", of(&["timeout"]));
    check("^error: .* refused$", of(&["error", "refused"]));
    check(r"(?i) ERROR ", of(&["error"]));
    check(r"(?i)\bkelvin\b", of(&["kelvin"]));
    check(r"level=(warn|error) ", Needle::any_of([hashes(&["warn"]), hashes(&["error"])]));
    check(r"level=(?:warn|error)\b.*\bupstream\s+", {
        Needle::any_of([hashes(&["warn", "upstream"]), hashes(&["error", "upstream"])])
    });
    check(r"\bcolou?r\b", Needle::any_of([hashes(&["color"]), hashes(&["colour"])]));
    check(r"status=5\d\d ", None);
    check(r" user[ =:]+alice\b", of(&["user", "alice"]));
    check(r" (foo )+", of(&["foo"]));
    check(r" (foo)+ ", None);
    check(r"(timeout )*", None);
    check(r"(?-u:\b)timeout(?-u:\b)", None);
    check(r"\Btimeout ", None);
    check("a|", None);
    check("(", None);
}

#[test]
fn many_alternatives_do_not_multiply() {
    let twenty: Vec<String> = (0..20).map(|i| format!(" word{i} ")).collect();
    let group = format!("({})", twenty.join("|"));
    let needles = Needle::regex(&format!("{group}.*{group}.* last "));
    let expect = Needle::any_of((0..20).map(|i| hashes(&[&format!("word{i}")])));
    assert!(needles.contains(&expect.unwrap()), "{needles:?}");
    assert!(needles.iter().any(|needle| needle.may_be_in(|token| hashes(&["last"]).contains(&token))));
    assert!(Needle::regex(&"(a|b c d)".repeat(1_000)).len() <= 1_001);
    assert!(Needle::regex(&format!("{}x{}", "(".repeat(200), ")".repeat(200))).is_empty());
}

#[test]
fn one_of_several_conditions() {
    let timeout = || Needle::word("timeout").into_iter().collect::<Vec<_>>();
    assert_eq!(Needle::any([timeout(), vec![]]), None);
    assert_eq!(Needle::any([]), None);
    let refused = vec![Needle::word("refused").unwrap(), Needle::word("upstream").unwrap()];
    let expect = Needle::any_of([hashes(&["timeout"]), hashes(&["refused", "upstream"])]);
    assert_eq!(Needle::any([timeout(), refused]), expect);
    assert_eq!(Needle::any_of((0..=256).map(|i| vec![i])), None);
}

const WORDS: [&str; 13] =
    ["error", "Timeout", "id42", "x", "É", "ſo", "\u{212a}", "ς", "连接", "a_b", "ı", "ß", "İ"];
const SEPARATORS: [&str; 8] = ["", " ", "=", "-", "→", "\n", ": ", "\u{301}"];

/// Lines of words, separators and odd letters.
fn line() -> impl Strategy<Value = String> {
    let piece = (prop::sample::select(&WORDS[..]), prop::sample::select(&SEPARATORS[..]));
    prop::collection::vec(piece, 0..12)
        .prop_map(|pieces| pieces.iter().map(|(a, b)| format!("{a}{b}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn parts_of_a_line_are_found_in_it(
        line in line(), from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), upper in any::<bool>(),
    ) {
        let held = text_hashes(&line);
        let chars: Vec<char> = line.chars().collect();
        let (from, to) = (from.index(chars.len() + 1), to.index(chars.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let fold = |chars: &[char]| -> String {
            chars.iter().map(|c| if upper { super::super::fold::fold(*c) } else { *c }).collect()
        };
        let part = fold(&chars[from..to]);
        let inside = |needle: Option<Needle>| needle.is_none_or(|needle| needle.may_be_in(|token| held.contains(&token)));
        prop_assert!(inside(Needle::substring(&part)));
        prop_assert!(inside(Needle::prefix(&fold(&chars[..to]))));
        prop_assert!(inside(Needle::suffix(&fold(&chars[from..]))));
        prop_assert_eq!(tokens_of_word(&fold(&chars)), held);
    }

    #[test]
    fn lines_a_regular_expression_matches_hold_its_needles(
        lines in prop::collection::vec(line(), 8),
        parts in prop::collection::vec(prop::sample::select(&[
            "error", "timeout", " ", "=", r"\b", ".*", r"\s+", r"\W", "(error|id42)", "(?i:ERROR)", "(?i:K)", "(?i:SO)",
            "^", "$", "x?", "(x|É)*", "连", r"\w+", "[a-z]", "[ =-]", "(error )+", r"\B", "(?i:ΣΣ?)", "-", "(?-u:\\b)", "a_b", "(|x)",
        ][..]), 1..7),
    ) {
        let pattern = parts.concat();
        let (regex, needles) = (Regex::new(&pattern).unwrap(), Needle::regex(&pattern));
        for line in lines.iter().filter(|line| regex.is_match(line)) {
            let held = text_hashes(line);
            for needle in &needles {
                prop_assert!(needle.may_be_in(|token| held.contains(&token)), "{} in {:?}: {:?}", pattern, line, needle);
            }
        }
    }
}
