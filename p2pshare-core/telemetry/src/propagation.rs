//! The W3C trace context: which span of another program a span is part of.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes the span a child of the one that the headers name.
pub(crate) fn take_parent(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let context = TraceContextPropagator::new().extract(&Theirs(headers));
    // A header that is wrong names none, as the standard says.
    if context.span().span_context().is_valid() {
        // It fails only where a subscriber without OpenTelemetry has the span.
        let _ = span.set_parent(context);
    }
}

/// Names the span in the headers.
pub(crate) fn give_parent(span: &Span, headers: &mut HeaderMap) {
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut Ours(headers));
    }
}

struct Theirs<'a>(&'a HeaderMap);

impl Extractor for Theirs<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Ours<'a>(&'a mut HeaderMap);

impl Injector for Ours<'_> {
    fn set(&mut self, key: &str, value: String) {
        // No state is kept, so an empty one is not sent.
        if value.is_empty() {
            return;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
