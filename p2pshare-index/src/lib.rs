//! The index of p2pshare: accounts, catalog and search for a community, over HTTP.
//!
//! A thin shell around [`Index`](p2pshare_core::index::Index): [`router`] is its HTTP API as an axum router, to be used
//! in any axum app; [`serve`] serves a router to clients that nobody trusts; [`keys`] keeps what peers know the index by;
//! [`cli`] is the program `p2pshare-index`.

pub mod cli;
#[doc(hidden)]
pub mod fuzz;
pub mod keys;

mod http;
mod server;

pub use http::{
    HttpOptions, Metrics, PageOptions, PublicUrl, PublicUrlError, RateLimits, document, router,
};
pub use server::{SelfSigned, ServerOptions, TlsError, TlsIdentity, serve};
