//! The HTTP API: it turns requests into calls of [`Index`](p2pshare_core::index::Index) and answers into JSON.
//!
//! Nothing here decides who may do what. What is decided here is what a request may cost: how large it is, how long it
//! takes, how many run at once, how often somebody may try a password.

mod answer;
mod audit;
mod body;
mod client;
mod extract;
mod failure;
mod limits;
mod look;
mod metrics;
mod openapi;
mod options;
mod outer;
mod pages;
mod pool;
mod reach;
mod routes;
mod share;
mod state;

pub(crate) use client::ClientAddr;
pub use limits::RateLimits;
pub use metrics::Metrics;
pub use openapi::document;
pub use options::HttpOptions;
pub use pages::{PageOptions, PublicUrl, PublicUrlError, fuzz_public_url};
pub(crate) use share::Shared;

use axum::{Router, middleware::from_fn_with_state};
use p2pshare_core::index::Index;

use state::App;

/// The whole API of an index as an axum router, to be served by [`serve`](crate::serve) or nested in another app.
///
/// *Nested*, not merged: it has a fallback of its own, which says in JSON that there is no such call. `merge` panics when
/// the app has a fallback too, or a route that the index has, and gives the app the index's fallback when it has none. Below
/// a path, as `Router::nest("/files", router(index, options))`, each has its own, and the URL of the index that its users
/// are given ends with that path: `https://example.org/files`.
///
/// It needs the address of the client, for its limits and its log: a
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo) in the request's extensions, as [`serve`](crate::serve) and
/// axum's `into_make_service_with_connect_info` put there. Without it all clients count as one address, and the log warns
/// of it once.
///
/// With [`HttpOptions::pages`] it has pages for people too: `/`, `/docs` and `/operator`. They are for an index at the root
/// of its host: their links and the URL that they tell have no path.
///
/// Somebody must run [`Index::maintain`], or heartbeats are never written. And the index must have the same signing keys
/// at its next start, by which peers know it: [`keys`](crate::keys) keeps them in a file.
pub fn router(index: Index, options: HttpOptions) -> Router {
    let app = App::new(index, options);
    let (mut router, _document) = routes::all().split_for_parts();
    if app.options.pages.is_some() {
        router = router.merge(pages::routes());
    }
    router
        .fallback(outer::no_such_route)
        .method_not_allowed_fallback(outer::no_such_method)
        .layer(from_fn_with_state(app.clone(), outer::observe))
        .with_state(app)
}
