//! `atl query sql`: the same answer from a running server or straight from a bucket, in the shape asked for.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use model::SystemClock;
use query::{Engine, Format, QueryOptions, formats};
use serde_json::Value;

use super::{Output, SqlArguments, fail, tell};
use crate::config::Config;
use crate::serve;

/// Largest statement read from standard input, in bytes.
const STATEMENT_BYTES_MAX: u64 = 64 << 10;

/// Widest cell printed in a table, in characters.
const CELL_WIDTH_MAX: usize = 80;

pub(super) type CliError = Box<dyn std::error::Error + Send + Sync>;

/// Runs the statement and prints the answer.
pub(super) fn command(arguments: SqlArguments) -> ExitCode {
    run_async(run(arguments))
}

/// Runs a command that waits for the network; prints its error.
pub(super) fn run_async(command: impl Future<Output = Result<(), CliError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

async fn run(arguments: SqlArguments) -> Result<(), CliError> {
    let statement = statement(&arguments.statement)?;
    let format = match arguments.output {
        Output::Table | Output::Json => Format::Json,
        Output::Ndjson => Format::Ndjson,
        Output::Csv => Format::Csv,
        Output::Arrow => Format::Arrow,
        Output::Parquet => Format::Parquet,
    };
    match &arguments.store {
        Some(url) => {
            let (engine, _) = engine_on(url, arguments.config.as_deref()).await?;
            let options = QueryOptions { limit: arguments.limit, ..QueryOptions::default() };
            let answer = engine.sql(&statement, options).await?;
            print(formats::encode(answer, format), arguments.output).await
        }
        None => {
            let response = ask(&arguments.server, &statement, format, arguments.limit).await?;
            print(response.bytes_stream(), arguments.output).await
        }
    }
}

fn statement(argument: &str) -> Result<String, CliError> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    let mut input = std::io::Read::take(std::io::stdin().lock(), STATEMENT_BYTES_MAX);
    std::io::Read::read_to_string(&mut input, &mut text)?;
    Ok(text)
}

/// An engine over the committed files of a bucket; rows still in a server's memory are not there.
pub(super) async fn engine_on(
    url: &str,
    config: Option<&std::path::Path>,
) -> Result<(Engine, Arc<store::Snapshot>), CliError> {
    let mut config = match config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    config.store.url = Some(url.to_owned());
    let objects = serve::open_objects(&config, serve::Missing::Refuse)?;
    let catalog =
        store::Catalog::open_read_only(objects.store, objects.prefix, Arc::new(SystemClock)).await?;
    let snapshot = Arc::new(store::Snapshot::read_only(&catalog).await?);
    let source = Arc::clone(&snapshot);
    let engine = Engine::new(serve::query_config(&config), Arc::new(move || Arc::clone(&source)))?;
    Ok((engine, snapshot))
}

async fn ask(
    server: &str,
    statement: &str,
    format: Format,
    limit: Option<usize>,
) -> Result<reqwest::Response, CliError> {
    let url = format!("{}/api/sql", server.trim_end_matches('/'));
    let mut body = serde_json::json!({ "query": statement });
    if let Some(limit) = limit {
        body["limit"] = limit.into();
    }
    let response = reqwest::Client::builder()
        .no_proxy()
        .build()?
        .post(&url)
        .header("accept", format.content_type())
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .map_err(|error| {
            format!("cannot reach `{server}`: {error}; is the server running? (or use --store URL)")
        })?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    Err(server_error(status.as_u16(), &text).into())
}

/// The server's error answer as one text.
fn server_error(status: u16, text: &str) -> String {
    let Ok(error) = serde_json::from_str::<Value>(text) else {
        return format!("the server answered {status}: {}", text.chars().take(400).collect::<String>());
    };
    let mut message = error["error"].as_str().unwrap_or("unknown error").to_owned();
    if let (Some(line), Some(column)) = (error["line"].as_u64(), error["column"].as_u64()) {
        message.push_str(&format!(" (line {line}, column {column})"));
    }
    if let Some(hint) = error["hint"].as_str() {
        message.push_str(&format!("\n  hint: {hint}"));
    }
    message
}

async fn print<E: std::error::Error + Send + Sync + 'static>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    output: Output,
) -> Result<(), CliError> {
    let mut stream = std::pin::pin!(stream);
    let mut out = std::io::stdout().lock();
    if output != Output::Table {
        while let Some(chunk) = stream.next().await {
            out.write_all(&chunk?)?;
        }
        if output == Output::Json {
            out.write_all(b"\n")?;
        }
        return Ok(out.flush()?);
    }
    let mut text = Vec::new();
    while let Some(chunk) = stream.next().await {
        text.extend_from_slice(&chunk?);
    }
    let answer: Value = serde_json::from_slice(&text)?;
    out.write_all(table(&answer).as_bytes())?;
    out.flush()?;
    let truncated = if answer["truncated"] == true { ", truncated" } else { "" };
    tell(&format!("{} rows in {} ms{truncated}", answer["row_count"], answer["elapsed_ms"]));
    Ok(())
}

/// The JSON answer as aligned columns; numbers stand right.
fn table(answer: &Value) -> String {
    let empty = Vec::new();
    let described = answer["columns"].as_array().unwrap_or(&empty);
    let rows = answer["rows"].as_array().unwrap_or(&empty);
    let header: Vec<String> = described.iter().map(|column| cell(&column["name"])).collect();
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| row.as_array().unwrap_or(&empty).iter().map(cell).collect()).collect();
    let numeric: Vec<bool> = (0..header.len()).map(|i| rows.iter().any(|row| row[i].is_number())).collect();
    columns(&header, &cells, &numeric)
}

/// Aligned columns under their names; those in `right` stand right.
pub(super) fn columns<N: AsRef<str>>(names: &[N], rows: &[Vec<String>], right: &[bool]) -> String {
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let widest = rows.iter().filter_map(|row| row.get(i)).map(|text| text.chars().count()).max();
            widest.unwrap_or(0).max(name.as_ref().chars().count())
        })
        .collect();
    let mut out = String::new();
    let mut line = |row: &[&str]| {
        let parts: Vec<String> = row
            .iter()
            .zip(&widths)
            .zip(right)
            .map(
                |((text, width), right)| {
                    if *right { format!("{text:>width$}") } else { format!("{text:<width$}") }
                },
            )
            .collect();
        out.push_str(parts.join("  ").trim_end());
        out.push('\n');
    };
    line(&names.iter().map(AsRef::as_ref).collect::<Vec<_>>());
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    line(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    out
}

/// One cell: control characters shown, not obeyed, and long text cut.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let visible: String =
        text.chars().map(|c| if c.is_control() { '·' } else { c }).take(CELL_WIDTH_MAX + 1).collect();
    if visible.chars().count() <= CELL_WIDTH_MAX {
        return visible;
    }
    visible.chars().take(CELL_WIDTH_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_escape() {
        let answer = serde_json::json!({
            "columns": [{"name": "metric", "type": "Utf8"}, {"name": "n", "type": "Int64"}],
            "rows": [["up\u{1b}[31m", 5], ["node_load1", 12345]],
        });
        assert_eq!(
            table(&answer),
            "metric          n\n──────────  ─────\nup·[31m         5\nnode_load1  12345\n"
        );
    }

    #[test]
    fn long_cells_are_cut() {
        assert_eq!(cell(&Value::String("x".repeat(500))).chars().count(), CELL_WIDTH_MAX);
    }

    #[test]
    fn server_errors_keep_their_place() {
        let text = r#"{"error":"no such column","line":2,"column":7,"hint":"did you mean `ts`?"}"#;
        assert_eq!(server_error(400, text), "no such column (line 2, column 7)\n  hint: did you mean `ts`?");
        assert_eq!(server_error(502, "bad gateway"), "the server answered 502: bad gateway");
    }
}
