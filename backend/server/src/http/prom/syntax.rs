//! `format_query` and `parse_query`: a query as text for people, and as a tree.

use axum::response::Response;

use super::envelope::{PromError, success};
use super::parameters::{Parameters, invalid};
use super::tree;

/// The query over as many lines as it needs.
pub(super) async fn format(parameters: Parameters) -> Result<Response, PromError> {
    Ok(success(&parsed(&parameters)?.pretty()))
}

/// The query's syntax tree.
pub(super) async fn parse(parameters: Parameters) -> Result<Response, PromError> {
    Ok(success(&tree::of(&parsed(&parameters)?)))
}

fn parsed(parameters: &Parameters) -> Result<promql::ast::Expr, PromError> {
    let text = parameters.get("query").unwrap_or_default();
    promql::parse(text).map_err(|error| invalid("query", error.to_string()))
}
