//! Settings of serving.

use std::{sync::Arc, time::Duration};

use crate::http::Metrics;

/// Settings of [`serve`](super::serve).
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// TLS settings; none: plain TCP. [`TlsIdentity`](super::TlsIdentity) makes some.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Most open connections.
    pub max_connections: usize,
    /// Most open connections of one IPv4 address or one /64 network of IPv6 addresses.
    pub max_connections_per_address: usize,
    /// A TLS handshake that takes longer ends the connection.
    pub handshake_timeout: Duration,
    /// The whole head of a connection's first request must arrive within this time, or the connection is closed. It also
    /// bounds how long a connection that is to be closed may take to send its last answer.
    pub header_timeout: Duration,
    /// A connection is closed when after a request the whole head of the next has not arrived within this time.
    pub idle_timeout: Duration,
    /// After the shutdown began, requests have so long to come to their end.
    pub shutdown_timeout: Duration,
    /// Most bytes of a request's head.
    pub max_header_bytes: u32,
    /// Most header fields of an HTTP/1 request.
    pub max_headers: usize,
    /// Most requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// Where connections are counted. The same one goes into [`HttpOptions`](crate::HttpOptions).
    pub metrics: Metrics,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            tls: None,
            max_connections: 16_384,
            max_connections_per_address: 512,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            shutdown_timeout: Duration::from_secs(10),
            max_header_bytes: 64 << 10,
            max_headers: 64,
            max_streams: 128,
            metrics: Metrics::default(),
        }
    }
}
