//! The HTTP front: routes, limits, headers. Comes in: requests, none of which is trusted. Goes out: what the
//! stages below answer. Knows nothing of how they do it.

mod catalog;
mod edge;
mod error;
mod extract;
mod gate;
mod headers;
mod metrics;
mod objects;
mod ops;
mod prom;
mod sql;
mod status;
mod targets;
mod time;
mod ui;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use probes::wire;
use tower_http::compression::CompressionLayer;

use crate::app::App;

pub(crate) use edge::EdgeKeys;
pub(crate) use gate::Gate;
pub(crate) use prom::{Decoders, prom_result};
pub(crate) use ui::UI_KIND;

/// Largest body of a request that is not a push, in bytes.
const BODY_BYTES_MAX: usize = 256 << 10;

/// Every route of the program.
pub(crate) fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/api/sql", post(sql::run))
        .route("/api/catalog", get(catalog::all))
        .route("/api/catalog/prom/{metric}", get(catalog::prom_metric))
        .route("/api/status", get(status::status))
        .route("/api/targets", get(targets::targets))
        .route("/api/objects", get(objects::list))
        .route("/api/objects/tables", get(objects::tables))
        .route("/api/objects/parquet", get(objects::parquet))
        .route("/api/objects/rows", get(objects::rows))
        .route("/api/objects/text", get(objects::text))
        .route("/api/{*path}", axum::routing::any(error::unknown_api))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let edge = Router::new()
        .route(wire::PUSH_PATH, post(edge::push))
        .route(wire::CONFIG_PATH, get(edge::config))
        .layer(DefaultBodyLimit::max(edge::BODY_BYTES_MAX));
    let operations = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/-/healthy", get(ops::healthy))
        .route("/-/ready", get(ops::ready))
        .route("/-/reload", post(ops::reload));
    Router::new()
        .merge(api)
        .merge(edge)
        .merge(prom::router())
        .merge(operations)
        .fallback(get(ui::asset))
        .layer(CompressionLayer::new())
        .layer(axum::middleware::from_fn(headers::security))
        .with_state(app)
}
