//! The command line: what can be typed, and which module does it.

mod check;
mod promql;
mod query;
mod store;
mod test;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::serve;

/// Exit code of a command that ran and failed.
const FAILED: u8 = 1;

/// Metrics, logs and probes in one program, stored as open Parquet tables.
#[derive(Debug, Parser)]
#[command(name = "atl", version, about, propagate_version = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

/// What `atl` can do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (also without any subcommand)
    Serve(ServeArguments),
    /// Check a configuration file; exits 1 and says where if it is wrong
    Check(CheckArguments),
    /// Ask a question and print the answer
    #[command(subcommand)]
    Query(QueryCommand),
    /// Look after the tables in a bucket or folder
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Run test scripts
    #[command(subcommand)]
    Test(TestCommand),
    /// Print the version
    Version,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArguments {
    /// Configuration file; ./atl.yaml is read if it is there
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on, instead of the configured one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Folder for data, instead of the configured one
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Shape of the log on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// Shape of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
struct CheckArguments {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "atl.yaml")]
    config: PathBuf,
}

/// Languages a question can be asked in.
#[derive(Debug, Subcommand)]
enum QueryCommand {
    /// Ask in SQL
    Sql(SqlArguments),
    /// Ask in PromQL
    Promql(promql::PromqlArguments),
}

/// Arguments of `query sql`.
#[derive(Debug, Args)]
struct SqlArguments {
    /// The statement; `-` reads it from standard input
    statement: String,
    /// Server to ask
    #[arg(long, value_name = "URL", env = "ATL_SERVER", default_value = "http://127.0.0.1:3000")]
    server: String,
    /// Read the tables straight from a bucket or folder instead: s3://bucket/prefix or file:PATH
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Configuration file that holds the store's endpoint and keys, for `--store`
    #[arg(long, value_name = "FILE", requires = "store")]
    config: Option<PathBuf>,
    /// Most rows to print
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Shape of the answer
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Shapes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Columns for people
    Table,
    /// One JSON object
    Json,
    /// One JSON object a row
    Ndjson,
    /// Comma-separated values with a header
    Csv,
    /// Arrow IPC stream
    Arrow,
    /// A Parquet file
    Parquet,
}

/// What can be tested.
#[derive(Debug, Subcommand)]
enum TestCommand {
    /// Run PromQL scripts (load, eval, expect) through the engine
    Promql {
        /// Script files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Where the samples are put before the queries are asked
        #[arg(long, value_enum, default_value_t = test::Through::Memory)]
        through: test::Through,
    },
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        None => serve::command(arguments.serve),
        Some(Command::Serve(serve)) => serve::command(serve),
        Some(Command::Check(check)) => check::command(&check.config),
        Some(Command::Query(QueryCommand::Sql(sql))) => query::command(sql),
        Some(Command::Query(QueryCommand::Promql(promql))) => promql::command(promql),
        Some(Command::Store(command)) => store::command(command),
        Some(Command::Test(TestCommand::Promql { files, through })) => test::promql(&files, through),
        Some(Command::Version) => {
            say(&format!("atl {} ({} UI)", env!("CARGO_PKG_VERSION"), crate::http::UI_KIND));
            ExitCode::SUCCESS
        }
    }
}

/// Prints a line of data.
#[expect(clippy::print_stdout, reason = "data goes to standard output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Prints a line of talk.
#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
pub(crate) fn tell(line: &str) {
    eprintln!("{line}");
}

/// Prints an error with its causes and gives the exit code of a failure.
pub(crate) fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors already repeat their cause; say it once.
        if !text.contains(&cause_text) {
            text.push_str(&format!("\n  because: {cause_text}"));
        }
        source = cause.source();
    }
    tell(&text);
    ExitCode::from(FAILED)
}
