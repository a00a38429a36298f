//! The log, on standard error.

use clap::ValueEnum;
use p2pshare_telemetry::{Endpoint, EnvFilter, Log, Program, Style, Telemetry};
use serde::{Deserialize, Serialize};

use super::error::CliError;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// Lines of text.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl From<LogFormat> for Style {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Plain,
            LogFormat::Json => Self::Json,
        }
    }
}

/// Checks a filter without using it.
pub(super) fn parse_filter(text: &str) -> Result<EnvFilter, CliError> {
    EnvFilter::builder().parse(text).map_err(|error| {
        CliError::Usage(format!(
            "--log {text:?} is not a filter: {error}; write a level such as info, or TARGET=LEVEL,…"
        ))
    })
}

/// Sends the log of the whole process to standard error.
pub(super) fn start(log: Log) {
    // Without traces there is nothing to stop.
    let _ = start_with(log, None);
}

/// The same, and traces to a collector; within the runtime.
pub(super) fn start_with(log: Log, traces: Option<&Endpoint>) -> Telemetry {
    let program = Program { name: "p2pshare-index", version: env!("CARGO_PKG_VERSION") };
    p2pshare_telemetry::start(log, program, traces)
}
