//! Matchers to series of a segment.
//!
//! Comes in: matchers. Goes out: a bitmap of numbers. Semantics are Prometheus': every matcher must hold, a
//! label that is not set compares as the empty text. A matcher the empty text does not satisfy picks series
//! by postings; one it satisfies (`!=`, `!~`, `=""`) takes series away from what the others picked. Matchers
//! run in order of what they pick, and where few series are left they look at those, not at the values.

use std::ops::Range;

use model::{Labels, MatchOp, Matcher, Rest};
use roaring::RoaringBitmap;

use super::segment::{Name, Segment};

/// What running an expression on a value costs, in looks at a posting.
const TEST_COST: u64 = 8;
/// Pairs up to which postings are counted exactly to order matchers.
const COUNTED_PAIRS_MAX: u64 = 256;
/// Series that are looked at in well below a millisecond.
const QUICK_MAX: u64 = 1_024;

/// Whether a label set satisfies all matchers.
pub(crate) fn matches_all(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or("")))
}

/// One matcher on a label the segment has.
#[derive(Debug)]
struct Step<'a> {
    matcher: &'a Matcher,
    name: &'a Name,
    /// Whether series with the pairs are kept, or dropped.
    keeps: bool,
    /// The pairs, or those among which an expression picks.
    ranges: Vec<Range<u32>>,
    /// Whether the expression must be run on the values of the pairs.
    tested: bool,
    /// Whether the pairs are those outside of `ranges`, and those in it the expression does not pick.
    inverted: bool,
    /// Looks needed to find the series by their pairs.
    cost: u64,
    /// Series it picks, about, at most.
    picks: u64,
}

impl Segment {
    /// Whether [`Segment::select`] has but few series to look at: one of the matchers names a pair that few have.
    pub(crate) fn is_quick(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().any(|matcher| {
            let names_one = matcher.op() == MatchOp::Equal && !matcher.value().is_empty();
            names_one
                && self.name(matcher.name()).is_none_or(|name| {
                    self.pair(name, matcher.value())
                        .is_none_or(|pair| self.postings.get(pair).len() <= QUICK_MAX)
                })
        })
    }

    /// Numbers of the series that satisfy all matchers and are in `within`, if that is given.
    pub(crate) fn select(&self, matchers: &[Matcher], within: Option<&RoaringBitmap>) -> RoaringBitmap {
        let mut steps = Vec::with_capacity(matchers.len());
        for matcher in matchers {
            match self.name(matcher.name()) {
                Some(name) => steps.push(Step::new(self, matcher, name)),
                None if matcher.matches("") => {}
                None => return RoaringBitmap::new(),
            }
        }
        steps.sort_by_key(|step| (!step.keeps, step.tested, step.picks));
        let mut found: Option<RoaringBitmap> = None;
        let first_drop = steps.iter().position(|step| !step.keeps).unwrap_or(steps.len());
        for step in &steps[..first_drop] {
            found = Some(match found {
                None => step.series(self),
                Some(found) => step.narrow(self, found),
            });
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return RoaringBitmap::new();
            }
        }
        let mut found = match (found, within) {
            (Some(found), Some(within)) => found & within,
            (Some(found), None) => found,
            (None, Some(within)) => within.clone(),
            (None, None) => self.all(),
        };
        for step in &steps[first_drop..] {
            found = step.narrow(self, found);
        }
        found
    }
}

impl<'a> Step<'a> {
    fn new(segment: &Segment, matcher: &'a Matcher, name: &'a Name) -> Step<'a> {
        // `hits`: pairs whose value equals the literal or matches the expression, the operator aside.
        let (mut ranges, tested) = hits(segment, matcher, name);
        ranges.retain(|range| !range.is_empty());
        let keeps = !matcher.matches("");
        // Kept are the pairs that satisfy the matcher, dropped those that do not.
        let inverted = matcher.is_negative() == keeps;
        let mut step =
            Step { matcher, name, keeps, ranges, tested, inverted, cost: 0, picks: name.present.len() };
        if step.inverted && !step.tested {
            step.ranges = complement(&name.pairs, &step.ranges);
            step.inverted = false;
        }
        let looks = |range: &Range<u32>| u64::from(range.end - range.start);
        let pairs: u64 = step.ranges.iter().map(looks).sum();
        step.cost = match (step.tested, step.inverted) {
            (true, false) => pairs * TEST_COST,
            (true, true) => pairs * TEST_COST + looks(&name.pairs),
            (false, _) => pairs,
        };
        if !step.tested && !step.is_whole() && pairs <= COUNTED_PAIRS_MAX {
            step.picks = segment.postings.count(&step.ranges);
        }
        step
    }

    /// Whether the pairs are all of the name's.
    fn is_whole(&self) -> bool {
        !self.tested && self.ranges.len() == 1 && self.ranges[0] == self.name.pairs
    }

    /// Series with one of the pairs.
    fn series(&self, segment: &Segment) -> RoaringBitmap {
        if self.is_whole() {
            return self.name.present.clone();
        }
        if !self.tested {
            return segment.postings.union(&self.ranges);
        }
        let wanted = |pair: &u32| {
            let value = segment.value(*pair);
            self.matcher.matches(value) == self.keeps
        };
        let candidates = if self.inverted { vec![self.name.pairs.clone()] } else { self.ranges.clone() };
        let mut ranges: Vec<Range<u32>> = Vec::new();
        for pair in candidates.into_iter().flatten().filter(wanted) {
            match ranges.last_mut() {
                Some(last) if last.end == pair => last.end += 1,
                _ => ranges.push(pair..pair + 1),
            }
        }
        segment.postings.union(&ranges)
    }

    /// Those of `found` that satisfy the matcher.
    fn narrow(&self, segment: &Segment, mut found: RoaringBitmap) -> RoaringBitmap {
        if !self.is_whole() && found.len() < self.cost {
            let holds = |number: &u32| self.matcher.matches(segment.value_of(*number, self.name));
            let kept: Vec<u32> = found.iter().filter(holds).collect();
            return super::postings::of_sorted(&kept);
        }
        if self.is_whole() {
            if self.keeps { found &= &self.name.present } else { found -= &self.name.present }
        } else if self.keeps {
            found &= self.series(segment);
        } else {
            found -= self.series(segment);
        }
        found
    }
}

/// Pairs that may match, ascending and disjoint, and whether the expression must be run on them.
fn hits(segment: &Segment, matcher: &Matcher, name: &Name) -> (Vec<Range<u32>>, bool) {
    let exactly = |value: &str| segment.pair(name, value).map_or(0..0, |pair| pair..pair + 1);
    let Some(pattern) = matcher.pattern() else {
        debug_assert!(matches!(matcher.op(), MatchOp::Equal | MatchOp::NotEqual));
        return (vec![exactly(matcher.value())], false);
    };
    let prefixes = pattern.prefixes().iter().map(String::as_str);
    match pattern.rest() {
        Rest::Nothing => (prefixes.map(exactly).collect(), false),
        Rest::Anything => (prefixes.map(|prefix| segment.pairs_with_prefix(name, prefix)).collect(), false),
        Rest::Something => {
            // The beginning itself, if it is a value, is the first of those that begin with it.
            let longer = |prefix: &str| {
                let range = segment.pairs_with_prefix(name, prefix);
                let is_first = !range.is_empty() && segment.value(range.start) == prefix;
                range.start + u32::from(is_first)..range.end
            };
            (prefixes.map(longer).collect(), false)
        }
        Rest::Tested => (prefixes.map(|prefix| segment.pairs_with_prefix(name, prefix)).collect(), true),
    }
}

/// What is in `whole` and in none of `ranges`, which ascend.
fn complement(whole: &Range<u32>, ranges: &[Range<u32>]) -> Vec<Range<u32>> {
    let mut start = whole.start;
    let mut outside = Vec::with_capacity(ranges.len() + 1);
    for range in ranges {
        if start < range.start {
            outside.push(start..range.start);
        }
        start = range.end;
    }
    if start < whole.end {
        outside.push(start..whole.end);
    }
    outside
}
