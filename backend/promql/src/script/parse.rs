//! Cuts a script into commands.

use model::Labels;
use regex::Regex;

use super::{load, sequence};
use crate::duration::parse_duration;
use crate::source::SeriesData;
use sequence::SequenceValue;

/// A command of a script.
pub(super) enum Command {
    Clear,
    Load(Vec<SeriesData>),
    Eval(Box<Eval>),
}

/// When to evaluate.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Instant { time_ms: i64 },
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// What a message must look like.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Any,
    Text(String),
    Regex(Regex),
}

impl Pattern {
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Text(expected) => expected == text,
            Pattern::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Expected values of one series.
#[derive(Clone, Debug)]
pub(super) struct ExpectedSeries {
    pub(super) labels: Labels,
    pub(super) values: Vec<SequenceValue>,
}

/// An evaluation with all that is expected of it.
#[derive(Clone, Debug)]
pub(super) struct Eval {
    pub(super) kind: Kind,
    pub(super) query: String,
    pub(super) ordered: bool,
    pub(super) fail: Option<Pattern>,
    pub(super) warnings: Vec<Pattern>,
    pub(super) infos: Vec<Pattern>,
    pub(super) no_warnings: bool,
    pub(super) no_infos: bool,
    pub(super) string: Option<String>,
    pub(super) scalar: Option<f64>,
    /// Grid of a range vector that an instant query returns.
    pub(super) range_vector: Option<Kind>,
    pub(super) series: Vec<ExpectedSeries>,
}

impl Eval {
    /// True where a range query around the time must give the same at that time.
    pub(super) fn holds_in_range_queries(&self) -> bool {
        let own_times = ["step()", "range()", "start()", "end()", "STEP()"];
        self.fail.is_none()
            && !self.ordered
            && self.string.is_none()
            && self.range_vector.is_none()
            && !own_times.iter().any(|call| self.query.contains(call))
    }
}

type Problem = (usize, String);

/// All commands with their line numbers. Comments count as blank lines, which end blocks.
pub(super) fn commands(script: &str) -> Vec<Result<(usize, Command), Problem>> {
    let lines: Vec<&str> = script
        .lines()
        .map(|line| {
            let line = line.trim();
            if line.starts_with('#') { "" } else { line }
        })
        .collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let number = at + 1;
        let first = lines[at];
        at += 1;
        if first.is_empty() {
            continue;
        }
        let block_end = lines[at..].iter().position(|line| line.is_empty()).map_or(lines.len(), |n| at + n);
        let block = &lines[at..block_end];
        let command = if first == "clear" {
            Ok(Command::Clear)
        } else if first.starts_with("load") {
            at = block_end;
            load::parse(first, block).map(Command::Load)
        } else if first.starts_with("eval") {
            at = block_end;
            eval(first, block).map(|eval| Command::Eval(Box::new(eval)))
        } else {
            Err(format!("unknown command {first:?}"))
        };
        out.push(command.map(|command| (number, command)).map_err(|message| (number, message)));
    }
    out
}

/// A time or a duration: `5m`, `-1m30s`, or seconds.
pub(super) fn time_ms(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    if let Some(ms) = parse_duration(digits) {
        return Ok(sign * ms);
    }
    let seconds: f64 = digits.parse().map_err(|_| format!("not a time: {text:?}"))?;
    #[expect(clippy::cast_possible_truncation, reason = "times of scripts are small")]
    Ok(sign * (seconds * 1000.0).round() as i64)
}

/// Takes the next word; the rest starts without blanks.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn eval(line: &str, block: &[&str]) -> Result<Eval, String> {
    let (command, rest) = word(line);
    let (kind, rest) = word(rest);
    let (kind, query) = match kind {
        "instant" => match word(rest) {
            ("at", rest) => {
                let (time, query) = word(rest);
                (Kind::Instant { time_ms: time_ms(time)? }, query)
            }
            _ => (Kind::Instant { time_ms: 0 }, rest),
        },
        "range" => range(rest)?,
        other => return Err(format!("unknown kind of evaluation {other:?}")),
    };
    let mut eval = Eval {
        kind,
        query: query.to_owned(),
        ordered: command == "eval_ordered",
        fail: (command == "eval_fail").then_some(Pattern::Any),
        warnings: if command == "eval_warn" { vec![Pattern::Any] } else { Vec::new() },
        infos: if command == "eval_info" { vec![Pattern::Any] } else { Vec::new() },
        no_warnings: false,
        no_infos: false,
        string: None,
        scalar: None,
        range_vector: None,
        series: Vec::new(),
    };
    if !["eval", "eval_ordered", "eval_fail", "eval_warn", "eval_info"].contains(&command) {
        return Err(format!("unknown command {command:?}"));
    }
    for line in block {
        expectation(&mut eval, line)?;
    }
    Ok(eval)
}

/// `from A to B step C REST`
fn range(text: &str) -> Result<(Kind, &str), String> {
    let mut rest = text;
    let mut times = [0; 3];
    for (keyword, slot) in ["from", "to", "step"].into_iter().zip(&mut times) {
        let (found, after) = word(rest);
        if found != keyword {
            return Err(format!("expected {keyword:?}, got {found:?}"));
        }
        let (time, after) = word(after);
        *slot = time_ms(time)?;
        rest = after;
    }
    let [start_ms, end_ms, step_ms] = times;
    Ok((Kind::Range { start_ms, end_ms, step_ms }, rest))
}

fn expectation(eval: &mut Eval, line: &str) -> Result<(), String> {
    if let Some(message) = line.strip_prefix("expected_fail_message") {
        eval.fail = Some(Pattern::Text(message.trim().to_owned()));
        return Ok(());
    }
    if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
        eval.fail = Some(regex(pattern)?);
        return Ok(());
    }
    if let ("expect", rest) = word(line) {
        let (what, rest) = word(rest);
        match what {
            "ordered" => eval.ordered = true,
            "fail" => eval.fail = Some(pattern(rest)?),
            "warn" => eval.warnings.push(pattern(rest)?),
            "info" => eval.infos.push(pattern(rest)?),
            "no_warn" => eval.no_warnings = true,
            "no_info" => eval.no_infos = true,
            "string" => eval.string = Some(unquoted(rest)?),
            "range" => match word(rest) {
                ("vector", rest) => eval.range_vector = Some(range(rest)?.0),
                _ => return Err(format!("unknown expectation {line:?}")),
            },
            _ => return Err(format!("unknown expectation {line:?}")),
        }
        return Ok(());
    }
    if let Some(value) = sequence::number(line) {
        eval.scalar = Some(value);
        return Ok(());
    }
    let (labels, values) = sequence::series(line)?;
    eval.series.push(ExpectedSeries { labels, values });
    Ok(())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    if text.is_empty() {
        Ok(Pattern::Any)
    } else if let Some(message) = text.strip_prefix("msg:") {
        Ok(Pattern::Text(message.trim().to_owned()))
    } else if let Some(pattern) = text.strip_prefix("regex:") {
        regex(pattern)
    } else {
        Err(format!("expected `msg:` or `regex:`, got {text:?}"))
    }
}

fn regex(pattern: &str) -> Result<Pattern, String> {
    Regex::new(pattern.trim()).map(Pattern::Regex).map_err(|error| error.to_string())
}

fn unquoted(text: &str) -> Result<String, String> {
    match crate::lexer::tokens(text).map_err(|error| error.to_string())?.into_iter().next() {
        Some(crate::lexer::Token { kind: crate::lexer::TokenKind::String(text), .. }) => Ok(text),
        _ => Err(format!("not a string: {text}")),
    }
}
