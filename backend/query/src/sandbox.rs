//! The first fence: query text comes in, one parsed read-only statement goes out, or a refusal with its
//! place. What passes reads only our relations, calls only known table functions, and is small enough to be
//! planned without running out of stack or memory.
//!
//! The second fence stands in `engine`: DataFusion itself is told to refuse DDL, DML and statements, and its
//! session holds nothing but our catalog and our object store.

mod tokens;
mod walk;

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{ShowStatementFilter, Statement as SqlStatement, Visit};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{LimitNames, QueryError, QueryErrorKind, Result, translate};
use walk::Walk;

/// Longest query text, in bytes.
const TEXT_MAX: usize = 64 << 10;
/// Deepest recursion of the parser.
const PARSER_DEPTH_MAX: usize = 128;

/// A statement that may be planned.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The statement.
    pub(crate) statement: Statement,
    /// Whether it asks for names (`SHOW`, `information_schema`), so that the catalog must list all metrics.
    pub(crate) lists_names: bool,
    /// Keys given to `read_file`, in order of appearance, each once.
    pub(crate) files: Vec<String>,
    /// Whether it is a plain query, whose rows may be cut off by a limit in the plan.
    pub(crate) is_query: bool,
}

/// Parses `query` and refuses everything that is not one harmless query.
///
/// Runs on a thread with a large stack: both the parser and the destructors of its trees recurse.
pub(crate) fn check(query: &str, limits: LimitNames) -> Result<Checked> {
    if query.len() > TEXT_MAX {
        return Err(QueryError::sandbox(format!(
            "query has {} bytes, more than the limit of {TEXT_MAX}",
            query.len()
        )));
    }
    let statement = parse(query, limits)?;
    let is_query = check_kind(&statement)?;
    let mut walk = Walk::default();
    walk_statement(&statement, &mut walk)?;
    Ok(Checked { statement, lists_names: walk.lists_names, files: walk.files, is_query })
}

fn parse(query: &str, limits: LimitNames) -> Result<Statement> {
    let parser_error = |error: DataFusionError| translate(&error, limits);
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, query).tokenize_with_location().map_err(|error| {
        parser_error(DataFusionError::from(datafusion::sql::sqlparser::parser::ParserError::from(error)))
    })?;
    tokens::check(&tokens)?;
    let last =
        tokens.iter().rev().find(|token| !matches!(token.token, Token::Whitespace(_))).map(|t| t.span.end);
    let mut statements = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(PARSER_DEPTH_MAX)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(parser_error)
        .map_err(|error| match (error.line, last) {
            (None, Some(end)) if error.message.ends_with("EOF") => error.at(end.line, end.column),
            _ => error,
        })?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (Some(_), false) => {
            Err(QueryError::sandbox("more than one statement").with_hint("send one query at a time"))
        }
        (None, _) => Err(QueryError::new(QueryErrorKind::Syntax, "query is empty")),
    }
}

/// Refuses statements that are not reads; true for a plain query.
fn check_kind(statement: &Statement) -> Result<bool> {
    match statement {
        Statement::Statement(inner) => check_sql_kind(inner),
        Statement::Explain(explain) => match explain.statement.as_ref() {
            Statement::Statement(inner) if matches!(inner.as_ref(), SqlStatement::Query(_)) => Ok(false),
            _ => Err(QueryError::sandbox("EXPLAIN takes a query")),
        },
        Statement::CopyTo(_) => Err(refused("COPY")),
        Statement::CreateExternalTable(_) => Err(refused("CREATE EXTERNAL TABLE")),
        Statement::Reset(_) => Err(refused("RESET")),
    }
}

fn check_sql_kind(statement: &SqlStatement) -> Result<bool> {
    match statement {
        SqlStatement::Query(_) => Ok(true),
        SqlStatement::ShowTables { .. } | SqlStatement::ExplainTable { .. } => Ok(false),
        SqlStatement::ShowColumns { show_options, .. } if show_options.filter_position.is_none() => Ok(false),
        // The filter's text becomes part of another query inside the planner, unescaped.
        SqlStatement::ShowFunctions { filter: None } => Ok(false),
        SqlStatement::ShowFunctions { filter: Some(ShowStatementFilter::Like(pattern)) }
            if !pattern.contains(['\'', '\\']) =>
        {
            Ok(false)
        }
        other => Err(refused(&first_words(other))),
    }
}

/// The statement's name: its leading capitalised words.
fn first_words(statement: &SqlStatement) -> String {
    let text = statement.to_string();
    let words: Vec<&str> = text
        .split_whitespace()
        .take_while(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .take(2)
        .collect();
    if words.is_empty() { "this statement".to_owned() } else { words.join(" ") }
}

fn refused(what: &str) -> QueryError {
    QueryError::sandbox(format!("{what} is not allowed here"))
        .with_hint("only SELECT, EXPLAIN, SHOW TABLES, SHOW COLUMNS, SHOW FUNCTIONS and DESCRIBE are")
}

fn walk_statement(statement: &Statement, walk: &mut Walk) -> Result<()> {
    match statement {
        Statement::Statement(inner) => walk.statement(inner),
        Statement::Explain(explain) => walk_statement(&explain.statement, walk),
        _ => Err(QueryError::sandbox("this statement is not allowed here")),
    }
}

impl Walk {
    fn statement(&mut self, statement: &SqlStatement) -> Result<()> {
        match statement.visit(self) {
            std::ops::ControlFlow::Break(error) => Err(error),
            std::ops::ControlFlow::Continue(()) => self.show(statement),
        }
    }
}

#[cfg(test)]
mod tests;
