//! The index of p2pshare as a library.

pub mod http;

pub use http::{HttpOptions, Metrics, RateLimits, document, router};
