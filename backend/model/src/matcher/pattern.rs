//! What a regular expression asks of a value, as far as it can be told without running it: a short list of
//! values, or what the value must begin with.
//!
//! Comes in: the text of a pattern, anchored at both ends. Goes out: a [`Pattern`]. An index turns it into
//! look-ups and ranges of sorted values. Knows nothing of label names and series.

use std::ops::ControlFlow;

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Most beginnings a pattern is taken apart into.
const PREFIXES_MAX: usize = 1_024;
/// Most bytes of all beginnings.
const PREFIX_BYTES_MAX: usize = 64 << 10;
/// Most characters of a class that are tried one by one.
const CLASS_MAX: usize = 64;
/// Most repetitions of a part that are written out.
const REPETITIONS_MAX: u32 = 8;

/// What a value must be or begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    prefixes: Vec<String>,
    rest: Rest,
}

/// What may stand behind the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing: the beginnings are the values that match.
    Nothing,
    /// Anything, nothing included: every value with such a beginning matches.
    Anything,
    /// At least one character, any: every longer value with such a beginning matches.
    Something,
    /// The expression itself must decide.
    Tested,
}

impl Pattern {
    /// Takes apart `pattern`, which the `regex` crate has compiled with `.` matching line breaks.
    pub(super) fn of(pattern: &str) -> Pattern {
        match regex_syntax::parse(&format!("(?s:{pattern})")) {
            Ok(hir) => Head::of_whole(&hir).finish(),
            Err(_) => Head::unknown().finish(),
        }
    }

    /// The beginnings, sorted; where something may follow them, none of them begins with another.
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// What may follow.
    pub fn rest(&self) -> Rest {
        self.rest
    }

    /// Whether `value` matches, where that can be told.
    pub(super) fn decides(&self, value: &str) -> Option<bool> {
        match (self.rest, self.prefix_of(value)) {
            (Rest::Nothing, prefix) => Some(prefix == Some(value)),
            (_, None) => Some(false),
            (Rest::Anything, Some(_)) => Some(true),
            (Rest::Something, Some(prefix)) => Some(prefix.len() < value.len()),
            (Rest::Tested, Some(_)) => None,
        }
    }

    /// The greatest beginning that is not above `value`, if `value` begins with it. As none begins with
    /// another, no other can.
    fn prefix_of(&self, value: &str) -> Option<&str> {
        let after = self.prefixes.partition_point(|prefix| prefix.as_str() <= value);
        let prefix = self.prefixes.get(after.checked_sub(1)?)?;
        value.starts_with(prefix.as_str()).then_some(prefix)
    }
}

/// A pattern in the making.
#[derive(Clone, Debug)]
struct Head {
    texts: Vec<String>,
    rest: Rest,
}

impl Head {
    fn unknown() -> Head {
        Head { texts: vec![String::new()], rest: Rest::Tested }
    }

    fn exactly(texts: Vec<String>) -> Head {
        Head { texts, rest: Rest::Nothing }
    }

    /// Of a whole expression, whose outer anchors say nothing new.
    fn of_whole(hir: &Hir) -> Head {
        let HirKind::Concat(parts) = hir.kind() else { return Head::of(hir) };
        let mut parts = parts.as_slice();
        while let [first, others @ ..] = parts
            && matches!(first.kind(), HirKind::Look(Look::Start))
        {
            parts = others;
        }
        while let [others @ .., last] = parts
            && matches!(last.kind(), HirKind::Look(Look::End))
        {
            parts = others;
        }
        Head::concat(parts)
    }

    fn of(hir: &Hir) -> Head {
        match hir.kind() {
            HirKind::Empty => Head::exactly(vec![String::new()]),
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => Head::exactly(vec![text.to_owned()]),
                Err(_) => Head::unknown(),
            },
            HirKind::Class(class) => Head::class(class),
            HirKind::Look(_) => Head::unknown(),
            HirKind::Repetition(repetition) => Head::repetition(repetition),
            HirKind::Capture(capture) => Head::of(&capture.sub),
            HirKind::Concat(parts) => Head::concat(parts),
            HirKind::Alternation(parts) => Head::alternation(parts),
        }
    }

    fn class(class: &Class) -> Head {
        let Class::Unicode(class) = class else {
            // A class of nothing is one of bytes.
            return if class.is_empty() { Head::exactly(Vec::new()) } else { Head::unknown() };
        };
        let chars = class.iter().map(|range| range.len()).sum::<usize>();
        if chars > CLASS_MAX {
            return Head::unknown();
        }
        let texts = class.iter().flat_map(|range| range.start()..=range.end());
        Head::exactly(texts.map(String::from).collect())
    }

    fn repetition(repetition: &Repetition) -> Head {
        let Repetition { min, max, sub, .. } = repetition;
        match (min, max) {
            (0, None) if is_any(sub) => Head { texts: vec![String::new()], rest: Rest::Anything },
            (1, None) if is_any(sub) => Head { texts: vec![String::new()], rest: Rest::Something },
            (min, Some(max)) if *max <= REPETITIONS_MAX => {
                // Taken apart once: repetitions inside of repetitions would multiply.
                let once = Head::of(sub);
                let times = |count: u32| Head::joined((0..count).map(|_| once.clone()));
                Head::union((*min..=*max).map(times))
            }
            (0, _) => Head::unknown(),
            _ => Head { rest: Rest::Tested, ..Head::of(sub) },
        }
    }

    fn concat(parts: &[Hir]) -> Head {
        Head::joined(parts.iter().map(Head::of))
    }

    fn joined(mut parts: impl Iterator<Item = Head>) -> Head {
        let start = Head::exactly(vec![String::new()]);
        let joined = parts.try_fold(start, |head, next| head.then(next));
        match joined {
            ControlFlow::Continue(head) | ControlFlow::Break(head) => head,
        }
    }

    /// This and then `next`; breaks off where more parts cannot tell more.
    fn then(self, next: Head) -> ControlFlow<Head, Head> {
        if self.rest != Rest::Nothing {
            let nothing_more = next.rest == Rest::Anything && next.texts == [""];
            if nothing_more && self.rest != Rest::Tested {
                return ControlFlow::Continue(self);
            }
            return ControlFlow::Break(Head { rest: Rest::Tested, ..self });
        }
        let texts: usize = self.texts.len() * next.texts.len();
        let bytes = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        let sum = bytes(&self.texts) * next.texts.len() + bytes(&next.texts) * self.texts.len();
        if texts > PREFIXES_MAX || sum > PREFIX_BYTES_MAX {
            return ControlFlow::Break(Head { rest: Rest::Tested, ..self });
        }
        let joined =
            self.texts.iter().flat_map(|text| next.texts.iter().map(move |more| format!("{text}{more}")));
        ControlFlow::Continue(Head { texts: joined.collect(), rest: next.rest })
    }

    fn alternation(parts: &[Hir]) -> Head {
        Head::union(parts.iter().map(Head::of))
    }

    fn union(heads: impl Iterator<Item = Head>) -> Head {
        let mut union: Option<Head> = None;
        for head in heads {
            union = Some(match union {
                None => head,
                Some(mut known) => {
                    known.rest = if known.rest == head.rest { known.rest } else { Rest::Tested };
                    known.texts.extend(head.texts);
                    known
                }
            });
            let bytes = |head: &Head| head.texts.iter().map(String::len).sum::<usize>();
            if union
                .as_ref()
                .is_some_and(|head| head.texts.len() > PREFIXES_MAX || bytes(head) > PREFIX_BYTES_MAX)
            {
                return Head::unknown();
            }
        }
        // An alternation of nothing matches nothing.
        union.unwrap_or_else(|| Head::exactly(Vec::new()))
    }

    fn finish(self) -> Pattern {
        let Head { mut texts, rest } = self;
        texts.sort_unstable();
        let covered = |text: &String, kept: &String| {
            if rest == Rest::Nothing { text == kept } else { text.starts_with(kept.as_str()) }
        };
        texts.dedup_by(|text, kept| covered(text, kept));
        Pattern { prefixes: texts, rest }
    }
}

/// `.` where it matches line breaks too.
fn is_any(hir: &Hir) -> bool {
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else { return false };
    matches!(class.ranges(), [all] if all.start() == '\0' && all.end() == char::MAX)
}

#[cfg(test)]
mod tests;
