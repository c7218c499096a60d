//! `atl query promql`: one evaluation or a range of them, from a running server or straight from a bucket, as a
//! table, a small chart, JSON or CSV.

mod chart;
mod time;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use model::{Clock, SystemClock};
use promql::Value as PromValue;
use query::prom::{PromAnswer, PromOptions};
use serde_json::Value;

use super::query::{CliError, engine_on, run_async};
use super::tell;
use crate::http::prom_result;

/// Steps a range is split into where no step is given.
const DEFAULT_STEPS: i64 = 60;

/// Arguments of `query promql`.
#[derive(Debug, Args)]
pub(super) struct PromqlArguments {
    /// The expression
    expression: String,
    /// Evaluate at this time: Unix seconds, RFC 3339, `now` or `now-1h` (default: now)
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "to", "step"])]
    at: Option<String>,
    /// Evaluate over a range that starts here
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// End of the range (default: now)
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<String>,
    /// Distance of the steps: `30s`, `5m` (default: a sixtieth of the range)
    #[arg(long, value_name = "DURATION", requires = "from")]
    step: Option<String>,
    /// Server to ask
    #[arg(long, value_name = "URL", env = "ATL_SERVER", default_value = "http://127.0.0.1:3000")]
    server: String,
    /// Read the tables straight from a bucket or folder instead: s3://bucket/prefix or file:PATH
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Configuration file that holds the store's endpoint and keys, for `--store`
    #[arg(long, value_name = "FILE", requires = "store")]
    config: Option<std::path::PathBuf>,
    /// Shape of the answer
    #[arg(long, short, value_enum, default_value_t = Shape::Table)]
    output: Shape,
}

/// Shapes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Columns for people; of a range a small chart and a summary for each series
    Table,
    /// The data as in the Prometheus API
    Json,
    /// A line a sample: timestamp, value, then a column a label
    Csv,
}

/// When to evaluate, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    At(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

/// Runs the query and prints the answer.
pub(super) fn command(arguments: PromqlArguments) -> ExitCode {
    run_async(run(arguments))
}

async fn run(arguments: PromqlArguments) -> Result<(), CliError> {
    let when = when(&arguments, SystemClock.now_ms())?;
    let (data, notes) = match &arguments.store {
        Some(url) => ask_store(url, arguments.config.as_deref(), &arguments.expression, when).await?,
        None => ask_server(&arguments.server, &arguments.expression, when).await?,
    };
    for note in notes {
        tell(&note);
    }
    let text = match arguments.output {
        Shape::Json => format!("{data}\n"),
        Shape::Csv => chart::csv(&data),
        Shape::Table => chart::table(&data),
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn when(arguments: &PromqlArguments, now_ms: i64) -> Result<When, CliError> {
    let Some(from) = &arguments.from else {
        let at = arguments.at.as_deref().unwrap_or("now");
        return Ok(When::At(time::parse(at, now_ms)?));
    };
    let start_ms = time::parse(from, now_ms)?;
    let end_ms = time::parse(arguments.to.as_deref().unwrap_or("now"), now_ms)?;
    if end_ms < start_ms {
        return Err("the range ends before it starts: exchange `--from` and `--to`".into());
    }
    let step_ms = match &arguments.step {
        Some(text) => promql::parse_duration(text)
            .filter(|step| *step > 0)
            .ok_or_else(|| format!("`{text}` is no step: write a positive duration such as `30s`"))?,
        None => ((end_ms - start_ms) / DEFAULT_STEPS / 1_000 * 1_000).max(1_000),
    };
    Ok(When::Range { start_ms, end_ms, step_ms })
}

async fn ask_store(
    url: &str,
    config: Option<&std::path::Path>,
    expression: &str,
    when: When,
) -> Result<(Value, Vec<String>), CliError> {
    let (engine, snapshot) = engine_on(url, config).await?;
    let options = PromOptions::default();
    let snapshot = Arc::clone(&snapshot);
    let answer = match when {
        When::At(time_ms) => engine.prom().instant(snapshot, expression, time_ms, &options).await,
        When::Range { start_ms, end_ms, step_ms } => {
            engine.prom().range(snapshot, expression, start_ms, end_ms, step_ms, &options).await
        }
    };
    let PromAnswer { value, annotations, .. } = answer?;
    let notes = annotations.warnings(expression).into_iter().chain(annotations.infos(expression));
    Ok((data_of(&value)?, notes.collect()))
}

fn data_of(value: &PromValue) -> Result<Value, CliError> {
    Ok(serde_json::from_str(&prom_result(value))?)
}

async fn ask_server(server: &str, expression: &str, when: When) -> Result<(Value, Vec<String>), CliError> {
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000));
    let mut form = vec![("query", expression.to_owned())];
    let path = match when {
        When::At(time_ms) => {
            form.push(("time", seconds(time_ms)));
            "query"
        }
        When::Range { start_ms, end_ms, step_ms } => {
            form.extend([("start", seconds(start_ms)), ("end", seconds(end_ms)), ("step", seconds(step_ms))]);
            "query_range"
        }
    };
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let response = reqwest::Client::builder()
        .no_proxy()
        .build()?
        .post(format!("{}/api/v1/{path}", server.trim_end_matches('/')))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .map_err(|error| {
            format!("cannot reach `{server}`: {error}; is the server running? (or use --store URL)")
        })?;
    let (status, text) = (response.status(), response.text().await?);
    let mut answer: Value =
        serde_json::from_str(&text).map_err(|_| format!("the server answered {status}, and no JSON"))?;
    if answer["status"] != "success" {
        return Err(answer["error"].as_str().unwrap_or("the server gives no reason").to_owned().into());
    }
    let notes = ["warnings", "infos"].into_iter().filter_map(|name| answer[name].as_array());
    let notes = notes.flatten().filter_map(|note| note.as_str().map(str::to_owned)).collect();
    Ok((answer["data"].take(), notes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_get_a_step() {
        let arguments = |from: &str, to: Option<&str>, step: Option<&str>| PromqlArguments {
            expression: "up".to_owned(),
            at: None,
            from: Some(from.to_owned()),
            to: to.map(str::to_owned),
            step: step.map(str::to_owned),
            server: String::new(),
            store: None,
            config: None,
            output: Shape::Table,
        };
        let now_ms = 10_000_000;
        let range = |start_ms, end_ms, step_ms| When::Range { start_ms, end_ms, step_ms };
        let of = |from, to, step| when(&arguments(from, to, step), now_ms).map_err(|error| error.to_string());
        assert_eq!(of("now-1h", None, None), Ok(range(6_400_000, now_ms, 60_000)));
        assert_eq!(of("now-30s", Some("now-10s"), Some("5s")), Ok(range(9_970_000, 9_990_000, 5_000)));
        assert!(of("now", Some("now-1h"), None).is_err());
        assert!(of("now-1h", None, Some("0s")).is_err());
    }
}
