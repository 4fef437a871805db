//! The page's files, built into the program.

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::RustEmbed;

/// In a development build the files are read from the source tree at each request.
#[derive(RustEmbed)]
#[folder = "src/search/page/"]
struct Files;

/// The page at `/`, what it loads at `/page/…`.
pub(super) fn router() -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { file("index.html", &headers) }))
        .route("/page/{name}", get(|Path(name): Path<String>, headers: HeaderMap| async move { file(&name, &headers) }))
}

fn file(name: &str, request: &HeaderMap) -> Response {
    let Some(file) = Files::get(name) else { return StatusCode::NOT_FOUND.into_response() };
    let hash: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{hash}\"");
    // Weak or strong, compressed or not: the hash alone says whether the browser has this file.
    let known = request.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let fresh = known.is_some_and(|known| known.contains(&tag));
    let kind = file.metadata.mimetype().to_owned();
    let kind = if kind.starts_with("text/") { kind + "; charset=utf-8" } else { kind };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache".to_owned()), (header::ETAG, tag)];
    if fresh {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.data.into_owned()).into_response()
}
