//! The log, on standard error.

use std::io;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

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

/// What is logged, and how.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) filter: EnvFilter,
    pub(super) format: LogFormat,
}

/// Checks a filter without using it.
pub(super) fn parse_filter(text: &str) -> Result<EnvFilter, CliError> {
    EnvFilter::builder().parse(text).map_err(|error| {
        CliError::Usage(format!(
            "--log {text:?} is not a filter: {error}; write a level such as info, or TARGET=LEVEL,…"
        ))
    })
}

/// Sends the log of the whole process to standard error. A second call changes nothing.
pub(super) fn start(log: Log) {
    let builder = tracing_subscriber::fmt().with_env_filter(log.filter).with_writer(io::stderr);
    let started = match log.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(error, "the log was started before");
    }
}
