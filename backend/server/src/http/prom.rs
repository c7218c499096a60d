//! The Prometheus HTTP API under `/api/v1`: what Grafana, alerting tools and scripts speak. Comes in: parameters
//! in the query string or a form. Goes out: Prometheus's JSON, status codes and error types. Knows nothing of
//! how a query is evaluated.

mod admin;
mod envelope;
mod federate;
mod metadata;
mod parameters;
mod push;
mod query;
mod read;
mod select;
mod status;
mod syntax;
mod targets;
mod tree;
mod values;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

use crate::app::App;

pub(crate) use push::Decoders;

/// Largest form: queries can be long, and `match[]` many.
const FORM_BYTES_MAX: usize = 4 << 20;

/// The routes.
pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/query_exemplars", get(query::exemplars).post(query::exemplars))
        .route("/api/v1/format_query", get(syntax::format).post(syntax::format))
        .route("/api/v1/parse_query", get(syntax::parse).post(syntax::parse))
        .route("/api/v1/series", get(select::series).post(select::series))
        .route("/api/v1/labels", get(select::names).post(select::names))
        .route("/api/v1/label/{name}/values", get(select::values))
        .route("/api/v1/metadata", get(metadata::metadata))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/targets/metadata", get(targets::metadata))
        .route("/api/v1/scrape_pools", get(targets::pools))
        .route("/api/v1/rules", get(status::rules))
        .route("/api/v1/alerts", get(status::alerts))
        .route("/api/v1/alertmanagers", get(status::alertmanagers))
        .route("/api/v1/status/buildinfo", get(status::build))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/runtimeinfo", get(status::runtime))
        .route("/api/v1/status/tsdb", get(status::tsdb))
        .route("/api/v1/status/walreplay", get(status::wal_replay))
        .route("/api/v1/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route(
            "/api/v1/admin/tsdb/clean_tombstones",
            post(admin::clean_tombstones).put(admin::clean_tombstones),
        )
        .route("/api/v1/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
        .route("/api/v1/{*path}", any(unknown))
        .route("/federate", get(federate::federate))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .route("/api/v1/read", read::route())
        .route("/api/v1/write", push::route())
}

/// Prometheus answers unknown paths with a plain page, and clients that probe for other systems rely on it.
async fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

/// A result as the `data` of an answer.
pub(crate) fn prom_result(value: &promql::Value) -> String {
    let mut out = String::from("{");
    values::write_result(&mut out, value, 0);
    out.push('}');
    out
}
