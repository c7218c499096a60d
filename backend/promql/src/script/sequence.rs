//! The notation of series: `metric{label="value"} 1 2+3x4 _ stale {{sum:5 count:4 buckets:[1 2 1]}}`.

use std::sync::Arc;

use model::{Labels, METRIC_NAME, MatchOp};

use crate::histogram::{Bucket, CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint};
use crate::parser::parse_selector;

/// One value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SequenceValue {
    /// `_`
    Omitted,
    Float(f64),
    /// The histogram, and whether its reset hint was said.
    Histogram(Arc<Histogram>, bool),
}

/// Longest expansion of one item.
const REPEATS_MAX: usize = 1_000_000;

/// Labels and values of a line.
pub(super) fn series(line: &str) -> Result<(Labels, Vec<SequenceValue>), String> {
    let (labels, rest) = split_labels(line)?;
    Ok((labels, values(rest)?))
}

/// The labels in front of a line, and the rest.
pub(super) fn split_labels(line: &str) -> Result<(Labels, &str), String> {
    let end = end_of_labels(line);
    let (text, rest) = line.split_at(end);
    let text = text.trim();
    if text == "{}" {
        return Ok((Labels::empty(), rest));
    }
    // Labels that are all empty match everything, which no selector may.
    let matchers = parse_selector(text).map_err(|error| format!("{text:?}: {}", error.message))?;
    let mut builder = Labels::empty().to_builder();
    for matcher in &matchers {
        if matcher.op() != MatchOp::Equal {
            return Err(format!("{text:?}: labels take `=` only"));
        }
        builder.set(matcher.name(), matcher.value());
    }
    debug_assert!(builder.get(METRIC_NAME).is_none_or(|name| !name.is_empty()));
    Ok((builder.build(), rest))
}

/// Where the braces end, or the name where there are none.
fn end_of_labels(line: &str) -> usize {
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace() || c == '@').unwrap_or(line.len());
    let after = line[name_end..].trim_start();
    if !after.starts_with('{') || after.starts_with("{{") {
        return name_end;
    }
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in line.char_indices().skip(name_end) {
        match quote {
            Some(open) => {
                if !escaped && c == open {
                    quote = None;
                }
                escaped = !escaped && c == '\\';
            }
            None if c == '"' || c == '\'' || c == '`' => quote = Some(c),
            None if c == '}' => return i + 1,
            None => {}
        }
    }
    line.len()
}

/// A number alone: `5`, `-1e3`, `+Inf`, `NaN`.
pub(super) fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let valid = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || digits.eq_ignore_ascii_case("inf")
        || digits.eq_ignore_ascii_case("nan");
    if valid { text.parse().ok() } else { None }
}

fn values(text: &str) -> Result<Vec<SequenceValue>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = end_of_item(rest);
        item(&rest[..end], &mut out)?;
        rest = rest[end..].trim_start();
    }
    Ok(out)
}

/// Items end at blanks, but not within `{{…}}`.
fn end_of_item(text: &str) -> usize {
    let mut depth = 0_usize;
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if c.is_whitespace() && depth == 0 => return i,
            _ => {}
        }
    }
    text.len()
}

fn item(text: &str, out: &mut Vec<SequenceValue>) -> Result<(), String> {
    let wrong = || format!("not a value: {text:?}");
    if let Some(rest) = text.strip_prefix('_') {
        let times = if rest.is_empty() { 1 } else { repeats(rest).ok_or_else(wrong)? };
        out.extend(std::iter::repeat_n(SequenceValue::Omitted, times));
        return Ok(());
    }
    if text.starts_with("{{") {
        return histogram_item(text, out);
    }
    if let Some(rest) = text.strip_prefix("stale") {
        let times = if rest.is_empty() { 0 } else { repeats(rest).ok_or_else(wrong)? };
        out.extend(std::iter::repeat_n(SequenceValue::Float(model::stale_nan()), times + 1));
        return Ok(());
    }
    let (body, times) = match text.rsplit_once('x') {
        Some((body, _)) => (body, repeats(&text[body.len()..]).ok_or_else(wrong)?),
        None => (text, 0),
    };
    let (start, increment) = start_and_increment(body).ok_or_else(wrong)?;
    let mut value = start;
    for _ in 0..=times {
        out.push(SequenceValue::Float(value));
        value += increment;
    }
    Ok(())
}

/// `x5`
fn repeats(text: &str) -> Option<usize> {
    text.strip_prefix('x')?.parse().ok().filter(|times| *times <= REPEATS_MAX)
}

/// `1`, `1+2`, `1-2`
fn start_and_increment(text: &str) -> Option<(f64, f64)> {
    if let Some(value) = number(text) {
        return Some((value, 0.0));
    }
    text.char_indices()
        .skip(1)
        .filter(|(_, c)| matches!(c, '+' | '-'))
        .find_map(|(i, _)| Some((number(&text[..i])?, number(&text[i..])?)))
}

fn histogram_item(text: &str, out: &mut Vec<SequenceValue>) -> Result<(), String> {
    let wrong = || format!("not a histogram: {text:?}");
    let end = text.find("}}").ok_or_else(wrong)? + 2;
    let (first, hinted) = histogram(&text[..end])?;
    let rest = &text[end..];
    let mut increment = None;
    let mut times_text = rest;
    if let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-')) {
        let end = rest.find("}}").ok_or_else(wrong)? + 2;
        increment = Some((sign, histogram(&rest[1..end])?.0));
        times_text = &rest[end..];
    }
    let times = if times_text.is_empty() { 0 } else { repeats(times_text).ok_or_else(wrong)? };
    let mut current = first;
    for i in 0..=times {
        out.push(SequenceValue::Histogram(Arc::new(current.clone()), hinted));
        if let Some((sign, increment)) = increment.as_ref().filter(|_| i < times) {
            let changed = if *sign == '+' { current.add(increment) } else { current.subtract(increment) };
            changed.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// `{{schema:0 sum:5 count:4 buckets:[1 2 1] counter_reset_hint:gauge}}`, and whether a hint was said.
fn histogram(text: &str) -> Result<(Histogram, bool), String> {
    let wrong = |what: &str| format!("{what} in histogram {text:?}");
    let mut rest = text.trim_start_matches("{{").trim_end_matches("}}").trim();
    let mut out = Histogram::default();
    let mut hinted = false;
    let (mut offset, mut negative_offset) = (0, 0);
    let (mut counts, mut negative_counts) = (Vec::new(), Vec::new());
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or_else(|| wrong("no `:`"))?;
        let (value, after) = if let Some(list) = after.strip_prefix('[') {
            list.split_once(']').ok_or_else(|| wrong("no `]`"))?
        } else {
            after.split_once(char::is_whitespace).unwrap_or((after, ""))
        };
        rest = after.trim_start();
        let float = || number(value).ok_or_else(|| wrong("bad number"));
        let integer = || value.parse::<i32>().map_err(|_| wrong("bad integer"));
        let list = || {
            let items = value.split_whitespace().map(|item| number(item).ok_or_else(|| wrong("bad number")));
            items.collect::<Result<Vec<f64>, String>>()
        };
        match key {
            "schema" => out.schema = integer()?,
            "sum" => out.sum = float()?,
            "count" => out.count = float()?,
            "z_bucket" => out.zero_count = float()?,
            "z_bucket_w" => out.zero_threshold = float()?,
            "custom_values" => out.custom_bounds = list()?.into(),
            "buckets" => counts = list()?,
            "n_buckets" => negative_counts = list()?,
            "offset" => offset = integer()?,
            "n_offset" => negative_offset = integer()?,
            "counter_reset_hint" => {
                hinted = true;
                out.reset_hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    _ => return Err(wrong("unknown hint")),
                };
            }
            _ => return Err(wrong("unknown key")),
        }
    }
    let buckets = |offset: i32, counts: Vec<f64>| {
        (offset..).zip(counts).map(|(index, count)| Bucket { index, count }).collect()
    };
    out.positive = buckets(offset, counts);
    out.negative = buckets(negative_offset, negative_counts);
    if out.schema != CUSTOM_BUCKETS_SCHEMA && !(-4..=8).contains(&out.schema) {
        return Err(wrong("unknown schema"));
    }
    Ok((out, hinted))
}
