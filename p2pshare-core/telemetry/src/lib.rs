//! What the programs of p2pshare tell of themselves while they run: the log on standard error and, with the feature
//! `otel`, traces for an OpenTelemetry collector.
//!
//! Only spans with the target [`TARGET`] are exported, and no line of the log is: what they say is written where they are
//! made, so nothing secret leaves a program unseen. Whoever embeds the libraries and exports with a subscriber of their
//! own lets the same target pass.

mod endpoint;
mod log;
#[cfg_attr(not(feature = "otel"), path = "no_otlp.rs")]
mod otlp;
#[cfg(feature = "otel")]
mod propagation;
mod span;
#[cfg(feature = "testing")]
pub mod testing;

pub use endpoint::{Endpoint, EndpointError};
pub use log::{Log, Program, Style, Telemetry, start};
pub use span::{TARGET, answered, asking, failed, propagate, serving};
pub use tracing_subscriber::EnvFilter;
