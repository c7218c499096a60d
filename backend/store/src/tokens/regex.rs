//! Regular expressions to the tokens every match has.
//!
//! The parsed expression is spread out into a few sequences of pieces, one of which every match is made of.
//! What would make too many sequences becomes a gap, and what is inside of it a needle of its own.

use std::sync::LazyLock;

use regex_syntax::hir::{Class as HirClass, ClassUnicode, Hir, HirKind, Look, Repetition};

use super::fold::fold;
use super::needle::Needle;
use super::pattern::{Piece, tokens};

/// Longest expression looked at, in bytes.
const PATTERN_BYTES_MAX: usize = 4 << 10;
/// Most sequences an expression is spread out into.
const SEQUENCES_MAX: usize = 32;
/// Most pieces of all sequences.
const PIECES_MAX: usize = 16 << 10;
/// Largest class whose characters are looked at one by one.
const CLASS_CHARS_MAX: u32 = 8;

/// Needles that hold together for every text `pattern` matches; see [`Needle::regex`].
pub(super) fn needles(pattern: &str) -> Vec<Needle> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Vec::new();
    }
    let Ok(hir) = regex_syntax::parse(pattern) else { return Vec::new() };
    let spread = Spread::of(&hir);
    let mut needles = spread.inner;
    needles.extend(Needle::any_of(spread.sequences.into_iter().map(tokens)));
    needles
}

/// What is known of the matches of an expression.
struct Spread {
    /// Every match is one of these.
    sequences: Vec<Vec<Piece>>,
    /// Every match holds these too.
    inner: Vec<Needle>,
}

impl Spread {
    fn one(pieces: Vec<Piece>) -> Spread {
        Spread { sequences: vec![pieces], inner: Vec::new() }
    }

    fn gap() -> Spread {
        Spread::one(vec![Piece::Gap])
    }

    fn of(hir: &Hir) -> Spread {
        match hir.kind() {
            HirKind::Empty => Spread::one(Vec::new()),
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => Spread::one(text.chars().map(Piece::Char).collect()),
                Err(_) => Spread::gap(),
            },
            HirKind::Class(class) => Spread::one(vec![class_piece(class)]),
            HirKind::Look(look) => Spread::one(vec![look_piece(*look)]),
            HirKind::Repetition(repetition) => Spread::repeated(repetition),
            HirKind::Capture(capture) => Spread::of(&capture.sub),
            HirKind::Concat(parts) => {
                parts.iter().map(Spread::of).fold(Spread::one(Vec::new()), Spread::then)
            }
            HirKind::Alternation(branches) => Spread::either(branches.iter().map(Spread::of).collect()),
        }
    }

    fn repeated(repetition: &Repetition) -> Spread {
        let inside = Spread::of(&repetition.sub);
        match (repetition.min, repetition.max) {
            (0, Some(1)) => Spread::either(vec![Spread::one(Vec::new()), inside]),
            (0, _) => Spread::gap(),
            // Separators however often are a break. Of anything else the first time is what comes next.
            _ if inside.sequences == [[Piece::Break]] => inside,
            _ => inside.then(Spread::gap()),
        }
    }

    /// Matches of `self` directly followed by matches of `next`.
    fn then(self, next: Spread) -> Spread {
        let (mut left, right) = if self.sequences.len() * next.sequences.len() > SEQUENCES_MAX {
            (self.collapsed(), next.collapsed())
        } else {
            (self, next)
        };
        if let [after] = right.sequences.as_slice() {
            left.sequences.iter_mut().for_each(|before| before.extend_from_slice(after));
        } else {
            let follow = |before: Vec<Piece>| {
                right.sequences.iter().map(move |after| [before.as_slice(), after].concat())
            };
            left.sequences = left.sequences.into_iter().flat_map(follow).collect();
        }
        left.inner.extend(right.inner);
        left.bounded()
    }

    fn either(branches: Vec<Spread>) -> Spread {
        if branches.iter().all(|branch| branch.inner.is_empty()) {
            let sequences = branches.into_iter().flat_map(|branch| branch.sequences).collect();
            return Spread { sequences, inner: Vec::new() }.bounded();
        }
        let needle = Needle::any(branches.into_iter().map(|branch| branch.collapsed().inner));
        Spread { sequences: vec![vec![Piece::Gap]], inner: needle.into_iter().collect() }
    }

    fn bounded(self) -> Spread {
        let pieces: usize = self.sequences.iter().map(Vec::len).sum();
        let fits = self.sequences.len() <= SEQUENCES_MAX && pieces <= PIECES_MAX;
        if fits { self } else { self.collapsed() }
    }

    /// A gap in the place of the sequences, and a needle for what they had in common.
    fn collapsed(self) -> Spread {
        if self.sequences.len() == 1 && self.sequences[0].len() <= PIECES_MAX / SEQUENCES_MAX {
            // A single short sequence costs nothing and keeps what stands at its edges.
            let mut kept = self;
            kept.inner.extend(Needle::any_of(kept.sequences.iter().cloned().map(tokens)));
            return kept;
        }
        let mut inner = self.inner;
        inner.extend(Needle::any_of(self.sequences.into_iter().map(tokens)));
        Spread { sequences: vec![vec![Piece::Gap]], inner }
    }
}

/// The characters of `\w`.
static WORD_CHARACTERS: LazyLock<ClassUnicode> =
    LazyLock::new(|| match regex_syntax::parse(r"\w").map(Hir::into_kind) {
        Ok(HirKind::Class(HirClass::Unicode(class))) => class,
        _ => ClassUnicode::new([regex_syntax::hir::ClassUnicodeRange::new('\0', char::MAX)]),
    });

fn class_piece(class: &HirClass) -> Piece {
    let HirClass::Unicode(class) = class else { return Piece::Gap };
    let chars = || class.ranges().iter().flat_map(|range| range.start()..=range.end());
    let count: u32 = class.ranges().iter().map(|range| range.len() as u32).sum();
    if (1..=CLASS_CHARS_MAX).contains(&count) {
        // `(?i)k` is the class of k, K and the Kelvin sign.
        let mut folds = chars().map(fold);
        let first = folds.next();
        if let Some(first) = first.filter(|first| folds.all(|fold| fold == *first)) {
            return Piece::Char(first);
        }
    }
    let mut words = WORD_CHARACTERS.clone();
    words.intersect(class);
    if count > 0 && words.ranges().is_empty() { Piece::Break } else { Piece::Gap }
}

fn look_piece(look: Look) -> Piece {
    match look {
        Look::Start
        | Look::End
        | Look::StartLF
        | Look::EndLF
        | Look::StartCRLF
        | Look::EndCRLF
        | Look::WordUnicode
        | Look::WordStartUnicode
        | Look::WordEndUnicode
        | Look::WordStartHalfUnicode
        | Look::WordEndHalfUnicode => Piece::Break,
        // ASCII boundaries also lie between two letters of one of our words, as in `caf` and `é`.
        _ => Piece::Gap,
    }
}
