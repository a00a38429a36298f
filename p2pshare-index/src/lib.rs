//! The index of p2pshare as a library.

pub mod http;
pub mod server;

pub use http::{HttpOptions, Metrics, RateLimits, document, router};
pub use server::{ServerOptions, serve};
