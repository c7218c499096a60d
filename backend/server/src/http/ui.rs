//! The web UI, embedded in the binary. Every path that is not an asset answers with the page itself, since
//! the UI routes by path.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

/// The files `build.rs` picked.
#[derive(Embed)]
#[folder = "$ATL_EMBEDDED_UI"]
struct Assets;

/// `full`, or `fallback` where the binary was built without Node.
pub(crate) const UI_KIND: &str = env!("ATL_EMBEDDED_UI_KIND");

/// Answers with the asset at the request's path.
pub(super) async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    match Assets::get(path) {
        Some(file) if !path.is_empty() => serve(path, &file, &headers),
        // A name with an extension is a file that is not there; anything else is a page of the UI.
        _ if path.starts_with("assets/") => StatusCode::NOT_FOUND.into_response(),
        _ => match Assets::get("index.html") {
            Some(page) => serve("index.html", &page, &headers),
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

fn serve(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash: String = file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("W/\"{hash}\"");
    // Built assets carry a hash in their name; everything else is asked for again each time.
    let caching =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let unchanged =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.metadata.mimetype())], file.data.clone()).into_response()
    };
    let response_headers = response.headers_mut();
    response_headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response_headers.insert(header::ETAG, etag);
    }
    response
}
