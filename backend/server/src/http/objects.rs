//! The objects pages: what lies in the bucket, and what is inside a Parquet file.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use query::{Format, QueryOptions, formats};
use serde::Deserialize;
use store::inspect::{self, ParquetDescription};

use super::error::ApiError;
use super::extract::Parameters;
use crate::app::App;

/// Most rows of a file shown at once.
const ROWS_MAX: usize = 10_000;

/// `?prefix=`
#[derive(Debug, Deserialize)]
pub(super) struct PrefixParameter {
    #[serde(default)]
    prefix: String,
}

/// `?key=`
#[derive(Debug, Deserialize)]
pub(super) struct KeyParameter {
    key: String,
}

/// `?key=&limit=`
#[derive(Debug, Deserialize)]
pub(super) struct RowsParameters {
    key: String,
    limit: Option<usize>,
}

/// One level of the bucket.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Parameters(parameters): Parameters<PrefixParameter>,
) -> Result<Json<inspect::ObjectListing>, ApiError> {
    let objects = app.objects();
    Ok(Json(inspect::list(&objects.store, &objects.prefix, &parameters.prefix).await.map_err(bad_key)?))
}

/// Files, rows and bytes of every table, by day.
pub(super) async fn tables(State(app): State<Arc<App>>) -> Json<inspect::TablesSummary> {
    Json(inspect::tables(&app.store().catalog().files()))
}

/// The footer of a Parquet file.
pub(super) async fn parquet(
    State(app): State<Arc<App>>,
    Parameters(parameters): Parameters<KeyParameter>,
) -> Result<Json<ParquetDescription>, ApiError> {
    let objects = app.objects();
    Ok(Json(
        ParquetDescription::read(&objects.store, &objects.prefix, &parameters.key).await.map_err(bad_key)?,
    ))
}

/// The first rows of a Parquet file.
pub(super) async fn rows(
    State(app): State<Arc<App>>,
    Parameters(parameters): Parameters<RowsParameters>,
) -> Result<Response, ApiError> {
    let limit = parameters.limit.unwrap_or(100).min(ROWS_MAX);
    let literal = parameters.key.replace('\'', "''");
    let statement = format!("SELECT * FROM read_file('{literal}') LIMIT {limit}");
    let answer = app.query().sql(&statement, QueryOptions::default()).await?;
    let body = formats::collect(formats::encode(answer, Format::Json)).await?;
    Ok(([(header::CONTENT_TYPE, Format::Json.content_type())], body).into_response())
}

/// A small text object, such as an entry of a table's log.
pub(super) async fn text(
    State(app): State<Arc<App>>,
    Parameters(parameters): Parameters<KeyParameter>,
) -> Result<Response, ApiError> {
    let objects = app.objects();
    let text = inspect::text(&objects.store, &objects.prefix, &parameters.key).await.map_err(bad_key)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Most failures here are a wrong key; the store's own text says what it is.
fn bad_key(error: store::Error) -> ApiError {
    ApiError::bad_request(error.to_string())
}
