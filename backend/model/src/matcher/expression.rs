//! Regular expressions of matchers, compiled; those used again and again are kept. Comes in: a pattern; goes out:
//! what tells whether a value matches all of it. Knows nothing of labels.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use regex::{Regex, RegexBuilder};

use super::{MatcherError, Pattern};

/// Largest compiled size of a regular expression, in bytes; keeps hostile patterns small.
const SIZE_MAX: usize = 1 << 20;
/// The same of those that are kept: compiling takes longer than many a question. All together take little.
const KEPT_SIZE_MAX: usize = 64 << 10;
/// Longest pattern that is kept, in bytes.
const KEPT_PATTERN_MAX: usize = 1 << 10;
/// How many are kept. When there are more, all go, and those in use come back.
const KEPT_MAX: usize = 128;

static KEPT: LazyLock<Kept> = LazyLock::new(Kept::default);

/// What was compiled before, by pattern.
#[derive(Default)]
struct Kept(Mutex<HashMap<String, Expression>>);

/// A compiled pattern, anchored at both ends.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    regex: Regex,
    pub(super) pattern: Arc<Pattern>,
}

impl Expression {
    /// Compiles `pattern`, or takes what was compiled before. Fails where it is no regular expression or too large.
    pub(super) fn of(pattern: &str) -> Result<Expression, MatcherError> {
        KEPT.expression(pattern)
    }

    /// Whether all of `value` matches.
    pub(super) fn matches(&self, value: &str) -> bool {
        self.pattern.decides(value).unwrap_or_else(|| self.regex.is_match(value))
    }
}

impl Kept {
    fn expression(&self, pattern: &str) -> Result<Expression, MatcherError> {
        if let Some(kept) = self.lock().get(pattern) {
            return Ok(kept.clone());
        }
        let small =
            if pattern.len() <= KEPT_PATTERN_MAX { anchored(pattern, KEPT_SIZE_MAX).ok() } else { None };
        let is_kept = small.is_some();
        let failed = |source| MatcherError { pattern: pattern.to_owned(), source: Box::new(source) };
        let regex = small.map_or_else(|| anchored(pattern, SIZE_MAX), Ok).map_err(failed)?;
        let expression = Expression { regex, pattern: Arc::new(Pattern::of(pattern)) };
        if !is_kept {
            return Ok(expression);
        }
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(pattern.to_owned(), expression.clone());
        Ok(expression)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Expression>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `^(?s:pattern)$`, as Prometheus anchors it. What matching remembers for each thread is bounded as well.
fn anchored(pattern: &str, size_max: usize) -> Result<Regex, regex::Error> {
    let remembered_max = size_max.saturating_mul(2);
    RegexBuilder::new(&format!("^(?s:{pattern})$"))
        .size_limit(size_max)
        .dfa_size_limit(remembered_max)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compiled_before_is_taken_and_little_is_kept() {
        let kept = Kept::default();
        let first = kept.expression("kept-(a|b)[0-9]+").unwrap();
        assert!(first.matches("kept-a1") && !first.matches("kept-a1 ") && !first.matches("kept-c1"));
        for number in 0..3 * KEPT_MAX {
            let expression = kept.expression(&format!("many-{number}-.+")).unwrap();
            assert!(expression.matches(&format!("many-{number}-x")) && !expression.matches("many-"));
            let again = kept.expression(&format!("many-{number}-.+")).unwrap();
            assert!(Arc::ptr_eq(&again.pattern, &expression.pattern));
            assert!(kept.lock().len() <= KEPT_MAX);
        }
        // Large ones work and are compiled anew each time; what is wrong or too large is refused each time.
        for large in [r"\w{12}", &"a".repeat(KEPT_PATTERN_MAX + 1)] {
            let (one, other) = (kept.expression(large).unwrap(), kept.expression(large).unwrap());
            assert!(!Arc::ptr_eq(&one.pattern, &other.pattern));
            assert!(one.matches(&"a".repeat(12)) != one.matches(&"a".repeat(KEPT_PATTERN_MAX + 1)));
        }
        for _ in 0..2 {
            assert!(kept.expression("a(").is_err() && kept.expression(r"\w{1000}").is_err());
        }
    }
}
