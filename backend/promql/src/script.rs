//! Runs scripts in the format of Prometheus's `promqltest`: `load` data, `eval` queries, compare. Comes in: the
//! text of a script; goes out: how many evaluations passed and what the others got wrong. Every language feature
//! is tested this way, by scripts rather than by code.

use crate::engine::{Answer, Engine, EngineOptions, QueryTime};
use crate::error::Result;
use crate::memory::MemorySource;
use crate::source::SeriesData;

mod check;
mod load;
mod parse;
mod sequence;

use parse::{Command, Eval, Kind};

/// Half the range that instant queries are run over again, as a cross-check; also its step.
const CROSS_CHECK_STEP_MS: i64 = 60_000;

/// What a script works on. [`InMemory`] is the plain one; a storage can stand in, to be tested with the language.
pub trait Target {
    /// Adds series; samples of known series are added to them.
    fn load(&mut self, series: Vec<SeriesData>) -> std::result::Result<(), String>;

    /// Forgets everything.
    fn clear(&mut self);

    /// Evaluates a query over what is loaded.
    fn query(&self, query: &str, time: QueryTime) -> Result<Answer>;
}

/// Evaluates over series in memory.
#[derive(Debug, Default)]
pub struct InMemory {
    engine: Engine,
    source: MemorySource,
}

impl InMemory {
    /// An empty target with this engine.
    pub fn new(engine: Engine) -> InMemory {
        InMemory { engine, source: MemorySource::new() }
    }
}

impl Target for InMemory {
    fn load(&mut self, series: Vec<SeriesData>) -> std::result::Result<(), String> {
        for series in series {
            load::merge(&mut self.source, &series);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.source = MemorySource::new();
    }

    fn query(&self, query: &str, time: QueryTime) -> Result<Answer> {
        self.engine.query(query, time, &self.source)
    }
}

/// The engine settings that Prometheus's own scripts are written for.
pub fn engine_options() -> EngineOptions {
    EngineOptions { type_and_unit_labels: true, ..EngineOptions::default() }
}

/// An evaluation that did not go as the script says, or a line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Line of the script, from one.
    pub line: usize,
    /// What went wrong.
    pub message: String,
}

/// Outcome of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Evaluations that gave what the script says.
    pub passed: usize,
    /// The others.
    pub failures: Vec<Failure>,
}

/// Runs a script over series in memory, with [`engine_options`].
pub fn run(script: &str) -> Report {
    run_on(script, &mut InMemory::new(Engine::new(engine_options())))
}

/// Runs a script on a target. After a line that cannot be read the script goes on with the next command.
pub fn run_on(script: &str, target: &mut dyn Target) -> Report {
    let mut report = Report::default();
    for parsed in parse::commands(script) {
        let (line, outcome) = match parsed {
            Err((line, message)) => (line, Err(message)),
            Ok((line, Command::Clear)) => {
                target.clear();
                (line, Ok(false))
            }
            Ok((line, Command::Load(series))) => (line, target.load(series).map(|()| false)),
            Ok((line, Command::Eval(eval))) => (line, evaluate(&eval, target).map(|()| true)),
        };
        match outcome {
            Ok(counts) => report.passed += usize::from(counts),
            Err(message) => report.failures.push(Failure { line, message }),
        }
    }
    report
}

fn evaluate(eval: &Eval, target: &dyn Target) -> std::result::Result<(), String> {
    let time = match eval.kind {
        Kind::Instant { time_ms } => QueryTime::Instant { time_ms },
        Kind::Range { start_ms, end_ms, step_ms } => QueryTime::Range { start_ms, end_ms, step_ms },
    };
    let context = |message: String| format!("{}: {message}", eval.query);
    check::check(eval, &target.query(&eval.query, time)).map_err(context)?;
    let Kind::Instant { time_ms } = eval.kind else { return Ok(()) };
    if !eval.holds_in_range_queries() {
        return Ok(());
    }
    let around = QueryTime::Range {
        start_ms: time_ms - CROSS_CHECK_STEP_MS,
        end_ms: time_ms + CROSS_CHECK_STEP_MS,
        step_ms: CROSS_CHECK_STEP_MS,
    };
    let answer = target.query(&eval.query, around);
    check::check_middle(eval, time_ms, &answer)
        .map_err(|message| context(format!("as the middle step of a range query: {message}")))
}

#[cfg(test)]
mod tests;
