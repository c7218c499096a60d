//! `GET /api/catalog`: what can be asked, for the schema tree and for completion.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use query::{CatalogInfo, TableColumns};

use super::error::ApiError;
use crate::app::App;

/// All tables; the columns of the metric tables are asked for one by one.
pub(super) async fn all(State(app): State<Arc<App>>) -> Result<Json<CatalogInfo>, ApiError> {
    Ok(Json(app.query().catalog_info().await?))
}

/// The columns of one metric's table.
pub(super) async fn prom_metric(
    State(app): State<Arc<App>>,
    Path(metric): Path<String>,
) -> Result<Json<TableColumns>, ApiError> {
    Ok(Json(app.query().metric_info(&metric).await?))
}
