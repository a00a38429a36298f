//! The address where Prometheus reads them.

use std::{io, net::SocketAddr};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::PeerMetrics;

const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why the metrics cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be served on {address}: {error}")]
pub struct MetricsError {
    address: SocketAddr,
    #[source]
    error: io::Error,
}

/// A server of `/metrics`, to whoever can connect to it.
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsServer {
    /// Listens on this address; port 0: any free port.
    pub async fn bind(address: SocketAddr) -> Result<Self, MetricsError> {
        let fail = |error| MetricsError { address, error };
        let listener = TcpListener::bind(address).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled.
    pub async fn run(self, metrics: PeerMetrics, stop: CancellationToken) {
        let router = Router::new().route("/metrics", get(move || answer(metrics.clone())));
        let served =
            axum::serve(self.listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::warn!(%error, "the metrics are no longer served");
        }
    }
}

async fn answer(metrics: PeerMetrics) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
