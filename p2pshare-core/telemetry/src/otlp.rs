//! The export of traces by OTLP over gRPC.

use std::{
    env,
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{
    ExporterBuildError, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, RetryPolicy, SpanExporter as Otlp,
    WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    resource::{EnvResourceDetector, TelemetryResourceDetector},
    trace::{SdkTracerProvider, SpanData, SpanExporter},
};
use tonic::transport::ClientTlsConfig;
use tracing_subscriber::{Layer, filter::filter_fn};

use crate::{Endpoint, Program, TARGET, log::Boxed};

/// Longest that the end of a program is put off for traces that are not sent yet.
const FLUSH: Duration = Duration::from_secs(2);

/// Traces on their way.
#[derive(Debug)]
pub(crate) struct Exporting(SdkTracerProvider);

impl Exporting {
    pub(crate) fn stop(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::debug!(%error, "the last traces were not sent");
        }
    }
}

/// Begins to export, if there is somewhere to. Limits, credentials, sampling and more names of the program come from
/// OpenTelemetry's own variables.
pub(crate) fn open(
    program: Program,
    given: Option<&Endpoint>,
) -> Result<Option<(Exporting, Boxed)>, Box<dyn Error>> {
    if env::var("OTEL_SDK_DISABLED").is_ok_and(|it| it.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    // The variable for traces alone counts before that for everything.
    let own = env::var(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT).ok().filter(|text| !text.is_empty());
    let own = own.map(|text| {
        text.parse::<Endpoint>()
            .map_err(|why| format!("{OTEL_EXPORTER_OTLP_TRACES_ENDPOINT}: {why}"))
    });
    let own = own.transpose()?;
    let Some(url) = own.as_ref().or(given).and_then(Endpoint::url) else { return Ok(None) };

    let exporter = Told { inner: exporter(url)?, failing: AtomicBool::new(false) };
    let provider = SdkTracerProvider::builder()
        .with_resource(resource(program))
        .with_batch_exporter(exporter)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(program.name))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET));
    Ok(Some((Exporting(provider), layer.boxed())))
}

fn exporter(url: &str) -> Result<Otlp, ExporterBuildError> {
    // A batch that is not taken is lost: repeating it would hold up those that follow, and the end of the program.
    let builder =
        Otlp::builder().with_tonic().with_endpoint(url).with_retry_policy(RetryPolicy::disabled());
    if url.starts_with("https:") {
        return builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots()).build();
    }
    builder.build()
}

/// Who makes the traces. What the environment says counts before what the program says of itself.
fn resource(program: Program) -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(program.name)
        .with_attribute(KeyValue::new("service.version", program.version))
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ]);
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

/// Says in the log when traces begin to be lost, and when they arrive again; once each.
#[derive(Debug)]
struct Told<E> {
    inner: E,
    failing: AtomicBool,
}

#[deny(clippy::missing_trait_methods)]
impl<E: SpanExporter> SpanExporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        let failed = result.is_err();
        if self.failing.swap(failed, Ordering::Relaxed) != failed {
            match &result {
                Err(error) => {
                    tracing::warn!(%error, "traces are lost: the collector does not take them");
                }
                Ok(()) => tracing::info!("the collector takes traces again"),
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.inner.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
