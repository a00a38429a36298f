//! The log on standard error, and beside it the export of traces.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{Endpoint, TARGET, otlp};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Lines of text.
    Plain,
    /// Lines of text, in colours unless `NO_COLOR` is set.
    Coloured,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug)]
pub struct Log {
    /// Which lines.
    pub filter: EnvFilter,
    /// How they look.
    pub style: Style,
}

/// Who tells.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// What was started, to be ended before the program is.
#[derive(Debug)]
#[must_use = "traces that are not sent yet are lost unless it is stopped"]
pub struct Telemetry {
    exporting: Option<otlp::Exporting>,
}

/// Sends the log of the whole process to standard error and, with the feature `otel`, traces to a collector. A second call
/// changes nothing.
///
/// Traces are sent in batches by a thread of their own, from a queue of bounded length. What a collector that is away or
/// slow does not take is lost; nothing waits for it but [`Telemetry::stop`].
///
/// # Panics
/// Outside of a Tokio runtime, if there is an endpoint.
pub fn start(log: Log, program: Program, traces: Option<&Endpoint>) -> Telemetry {
    let mut layers = vec![lines(log)];
    let exporting = otlp::open(program, traces).map(|opened| {
        let (exporting, layer) = opened?;
        layers.push(layer);
        Some(exporting)
    });
    if let Err(error) = tracing_subscriber::registry().with(layers).try_init() {
        tracing::debug!(%error, "the log was started before");
    }
    let exporting = exporting.unwrap_or_else(|error| {
        tracing::warn!(%error, "no traces are exported");
        None
    });
    Telemetry { exporting }
}

impl Telemetry {
    /// Sends what is left of the traces, for at most two seconds. Blocks; the runtime must still run.
    pub fn stop(self) {
        if let Some(exporting) = self.exporting {
            exporting.stop();
        }
    }
}

/// A layer over the registry.
pub(crate) type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

fn lines(log: Log) -> Boxed {
    // Spans that are made for traces would only say again what the lines say.
    let shown = log.filter.and(filter_fn(|metadata| metadata.target() != TARGET));
    styled(log.style).with_filter(shown).boxed()
}

fn styled<S>(style: Style) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(io::stderr);
    match style {
        Style::Plain => lines.with_ansi(false).boxed(),
        Style::Coloured => lines.boxed(),
        Style::Json => lines.json().flatten_event(true).boxed(),
    }
}
