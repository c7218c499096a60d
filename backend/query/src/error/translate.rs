//! Failures of DataFusion, Arrow, Parquet and the object store come in; [`QueryError`]s go out. What helps
//! nobody outside (plan internals, backtraces, file system paths) is logged and left out.

use std::collections::BTreeSet;
use std::error::Error as StdError;

use arrow::error::ArrowError;
use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use parquet::errors::ParquetError;

use super::{QueryError, QueryErrorKind};
use crate::hint::{bytes, did_you_mean, list};

/// The limits as an error names them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitNames {
    /// Bytes of memory a query may hold.
    pub(crate) memory: usize,
    /// Bytes of temporary files.
    pub(crate) spill: u64,
}

/// Says in plain words what DataFusion found wrong.
pub(crate) fn translate(error: &DataFusionError, limits: LimitNames) -> QueryError {
    if let Some(own) = find::<QueryError>(error) {
        return own.clone();
    }
    let root = error.find_root();
    // This one comes as a resource, an execution or an I/O error, by where the spilling happened.
    let spilled = root.to_string().contains("during the spilling process");
    let mut translated = if spilled { from_exhausted("disk space", limits) } else { classify(root, limits) };
    if let Some(diagnostic) = error.diagnostic() {
        if let Some(span) = diagnostic.span {
            translated = translated.at(span.start.line, span.start.column);
        }
        if translated.hint.is_none() {
            translated.hint = diagnostic.helps.first().map(|help| lower_first(&help.message));
        }
    }
    translated
}

/// The first `T` among the causes of `error`.
fn find<T: StdError + 'static>(error: &DataFusionError) -> Option<&T> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        cause = match current.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)) => {
                Some(inner.as_ref())
            }
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Collection(errors)) => errors.first().map(|first| first as _),
            _ => current.source(),
        };
    }
    None
}

fn classify(error: &DataFusionError, limits: LimitNames) -> QueryError {
    match error {
        DataFusionError::SQL(parser, _) => from_parser(parser),
        DataFusionError::SchemaError(schema, _) => from_schema(schema),
        DataFusionError::Plan(message) | DataFusionError::Configuration(message) => from_plan(message),
        DataFusionError::NotImplemented(message) => {
            QueryError::plan(format!("not supported: {}", tidy(message)))
        }
        DataFusionError::Execution(message) => QueryError::plan(tidy(message)),
        DataFusionError::ArrowError(arrow, _) => from_arrow(arrow, limits),
        DataFusionError::Internal(message) if message.contains("CompiledTooBig") => {
            QueryError::plan("invalid regular expression: it is too large")
        }
        DataFusionError::ResourcesExhausted(message) => from_exhausted(message, limits),
        DataFusionError::ParquetError(parquet) => from_parquet(parquet, limits),
        DataFusionError::ObjectStore(store) => from_object_store(store),
        DataFusionError::External(source) => {
            from_source(source.as_ref(), limits).unwrap_or_else(|| hidden(error))
        }
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => translate(first, limits),
            None => hidden(error),
        },
        other => hidden(other),
    }
}

/// Keeps in the log what nobody outside can act on.
fn hidden(error: &DataFusionError) -> QueryError {
    tracing::error!(%error, "query failed inside the engine");
    QueryError::internal("the query engine failed; the log of the server says why")
}

/// How errors begin that say a file is damaged and not which.
pub(crate) const DAMAGED: &str = "a data file is damaged";

fn from_parquet(error: &ParquetError, limits: LimitNames) -> QueryError {
    if let ParquetError::External(source) = error
        && let Some(translated) = from_source(source.as_ref(), limits)
    {
        return translated;
    }
    damaged(&error.to_string())
}

/// What the Parquet reader says of a file: about its footer with the name in the text, of its pages without.
fn damaged(text: &str) -> QueryError {
    tracing::error!(text, "cannot read a data file");
    let footer = between(text, "Failed to fetch metadata for file ", ": ");
    let message = match footer {
        Some(file) if text.contains("Object Store error") && !text.contains("not found") => {
            format!("the object store did not answer for data file `{file}`")
        }
        Some(file) if text.contains("Object Store error") => format!("data file `{file}` is missing"),
        Some(file) => {
            let reason = text.split(file).nth(1).unwrap_or_default();
            format!("data file `{file}` is damaged{}", tidy(reason))
        }
        None => format!("{DAMAGED}: {}", tidy(text)),
    };
    QueryError::new(QueryErrorKind::BadFile, message)
}

fn from_source(source: &(dyn StdError + 'static), limits: LimitNames) -> Option<QueryError> {
    if let Some(store) = source.downcast_ref::<object_store::Error>() {
        return Some(from_object_store(store));
    }
    if let Some(parquet) = source.downcast_ref::<ParquetError>() {
        return Some(from_parquet(parquet, limits));
    }
    if let Some(inner) = source.downcast_ref::<DataFusionError>() {
        return Some(translate(inner, limits));
    }
    let text = source.to_string();
    let reason = text.strip_prefix("regex parse error:")?.rsplit("error: ").next()?;
    Some(QueryError::plan(format!("invalid regular expression: {}", tidy(reason))))
}

fn from_object_store(error: &object_store::Error) -> QueryError {
    let message = match error {
        object_store::Error::NotFound { path, .. } => format!("data file `{path}` is missing"),
        other => {
            tracing::warn!(error = %other, "object store failed during a query");
            "the object store did not answer".to_owned()
        }
    };
    QueryError::new(QueryErrorKind::BadFile, message)
}

fn from_arrow(error: &ArrowError, limits: LimitNames) -> QueryError {
    match error {
        ArrowError::ParquetError(message) => damaged(message),
        ArrowError::DivideByZero => QueryError::plan("division by zero"),
        ArrowError::ExternalError(source) => from_source(source.as_ref(), limits)
            .unwrap_or_else(|| QueryError::plan(tidy(&source.to_string()))),
        other => {
            let text = other.to_string();
            let message = text.split_once(" error: ").map_or(text.as_str(), |(_, rest)| rest);
            QueryError::plan(tidy(message))
        }
    }
}

fn from_exhausted(message: &str, limits: LimitNames) -> QueryError {
    let disk = limits.spill > 0 && (message.contains("disk space") || message.contains("temporary file"));
    let text = if disk {
        format!("query exceeded the limit of {} for temporary files", bytes(limits.spill))
    } else {
        format!("query exceeded the memory limit of {}", bytes(limits.memory as u64))
    };
    QueryError::new(QueryErrorKind::Memory, text)
        .with_hint("read less: a shorter time range, fewer columns, or grouping by fewer columns")
}

fn from_parser(error: &ParserError) -> QueryError {
    match error {
        ParserError::RecursionLimitExceeded => {
            QueryError::new(QueryErrorKind::Sandbox, "query is nested too deeply")
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            let (message, place) = split_place(message);
            let error = QueryError::new(QueryErrorKind::Syntax, lower_first(message.trim()));
            match place {
                Some((line, column)) => error.at(line, column),
                None => error,
            }
        }
    }
}

/// Takes ` at Line: 3, Column: 8` off the end of a parser's message.
fn split_place(message: &str) -> (&str, Option<(u64, u64)>) {
    let Some(at) = message.rfind(" at Line: ") else {
        return (message, None);
    };
    let mut numbers = message[at..]
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse::<u64>().unwrap_or(0));
    match (numbers.next(), numbers.next()) {
        (Some(line), Some(column)) => (&message[..at], Some((line, column))),
        _ => (message, None),
    }
}

fn from_schema(error: &SchemaError) -> QueryError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let relations = valid_fields.iter().filter_map(|valid| valid.relation.as_ref());
            let relations: BTreeSet<&str> = relations.map(|relation| relation.table()).collect();
            let relation = field.relation.as_ref().map(|relation| relation.table());
            if let Some(relation) = relation.filter(|relation| !relations.contains(relation)) {
                let names: Vec<&str> = relations.into_iter().collect();
                return QueryError::plan(format!("no table of this query is called `{relation}`"))
                    .with_hint(format!("tables here: {}", list(&names)));
            }
            let error = QueryError::plan(format!("column `{}` does not exist", field.name));
            match columns_hint(field, valid_fields) {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        }
        SchemaError::AmbiguousReference { field } => {
            QueryError::plan(format!("column `{}` is ambiguous", field.name))
                .with_hint("put the table's name or alias before it")
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            QueryError::plan(format!("column `{name}` occurs twice"))
                .with_hint("give one of them another name with AS")
        }
    }
}

fn columns_hint(field: &Column, valid: &[Column]) -> Option<String> {
    let names: Vec<&str> = valid.iter().map(|column| column.name.as_str()).collect();
    did_you_mean(&field.name, names.iter().copied())
        .or_else(|| (!names.is_empty()).then(|| format!("columns here: {}", list(&names))))
}

fn from_plan(message: &str) -> QueryError {
    let message = message.trim();
    if let Some(name) = message.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        let name = name.strip_prefix("atl.").unwrap_or(name);
        let name = name.strip_prefix("public.").unwrap_or(name);
        return QueryError::plan(format!("table `{name}` does not exist"));
    }
    if let Some(rest) = message.strip_prefix("Invalid function '") {
        let mut parts = rest.split('\'');
        let name = parts.next().unwrap_or_default();
        let error = QueryError::plan(format!("function `{name}` does not exist"));
        return match parts.nth(1) {
            Some(close) if !close.is_empty() => error.with_hint(format!("did you mean `{close}`")),
            _ => error,
        };
    }
    if let Some(function) = mismatched(message) {
        let hint = match function {
            "label" => "write it like label(labels, 'job')",
            _ => "convert them, for example with CAST(x AS double)",
        };
        return QueryError::plan(format!("`{function}` does not take arguments of these types"))
            .with_hint(hint);
    }
    if message.contains("must appear in the GROUP BY clause")
        && let Some(column) = between(message, "column \"", "\"")
    {
        let name = column.rsplit('.').next().unwrap_or(column);
        return QueryError::plan(format!(
            "column `{name}` must be in GROUP BY or inside an aggregate function"
        ))
        .with_hint(format!("add it to GROUP BY, or take max({name}) or the like"));
    }
    QueryError::plan(tidy(message))
}

/// The function whose arguments have the wrong types or number.
fn mismatched(message: &str) -> Option<&str> {
    between(message, "Function '", "' failed to match any signature")
        .or_else(|| between(message, "No function matches the given name and argument types '", "("))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// One line, no backtrace, no final period, first letter lower where it starts a sentence.
fn tidy(message: &str) -> String {
    let message = message.split("\n\nbacktrace:").next().unwrap_or(message);
    let message = message.split("This issue was likely caused by a bug").next().unwrap_or(message);
    let joined = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = joined.as_str();
    while let Some(stripped) = ["Error during planning: ", "Execution error: ", "Arrow error: "]
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix))
    {
        rest = stripped;
    }
    lower_first(without_tree(rest).trim_end_matches('.'))
}

/// The message without the piece of syntax tree some end in: `… is not valid Substring { expr: Ident { …`.
fn without_tree(message: &str) -> &str {
    match message.find(" { ") {
        Some(brace) if message.contains("Ident {") => {
            let before = &message[..brace];
            before.rfind(' ').map_or(before, |word| &before[..word])
        }
        _ => message,
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
