//! One connection.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use axum::{Router, extract::ConnectInfo};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{activity::Activity, options::ServerOptions};
use crate::http::Metrics;

/// Bytes that a client may send ahead of what is read, for one request and for one connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;

/// What all connections share.
pub(super) struct Server {
    router: Router,
    builder: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    options: ServerOptions,
    closing: CancellationToken,
}

impl Server {
    /// Connections finish what they do and close when `closing` is cancelled.
    pub(super) fn new(router: Router, options: ServerOptions, closing: CancellationToken) -> Self {
        Self {
            router,
            builder: builder(&options),
            tls: options.tls.clone().map(TlsAcceptor::from),
            options,
            closing,
        }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.options.metrics
    }

    /// Serves one connection to its end.
    pub(super) async fn connection(&self, socket: TcpStream, address: SocketAddr) {
        let _counted = self.options.metrics.connection();
        let _ = socket.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.speak(socket, address).await;
        };
        match timeout(self.options.handshake_timeout, tls.accept(socket)).await {
            Ok(Ok(stream)) => self.speak(stream, address).await,
            Ok(Err(error)) => tracing::debug!(%address, %error, "the TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "the TLS handshake took too long"),
        }
    }

    async fn speak(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: SocketAddr,
    ) {
        let activity = Activity::new(self.options.header_timeout, self.options.idle_timeout);
        let service = service_fn(|mut request: Request<Incoming>| {
            let running = Arc::clone(&activity).begin();
            request.extensions_mut().insert(ConnectInfo(address));
            let answer = self.router.clone().oneshot(request);
            async move {
                let answer = answer.await;
                drop(running);
                answer
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(io), service));
        let grace = tokio::select! {
            ended = connection.as_mut() => return note_end(address, ended),
            // Requests come to their end, for as long as the whole server waits.
            () = self.closing.cancelled() => None,
            // No request runs, but an answer may still be on its way to a slow client.
            () = activity.idle() => Some(self.options.header_timeout),
        };
        connection.as_mut().graceful_shutdown();
        match grace {
            None => note_end(address, connection.await),
            Some(grace) => match timeout(grace, connection).await {
                Ok(ended) => note_end(address, ended),
                Err(_) => tracing::debug!(%address, "an idle connection was cut off"),
            },
        }
    }
}

fn note_end(address: SocketAddr, ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%address, error, "the connection broke");
    }
}

fn builder(options: &ServerOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It also runs while a connection waits for its next request. The first request's limit is kept elsewhere.
        .header_read_timeout(options.idle_timeout.max(options.header_timeout))
        .max_headers(options.max_headers)
        .max_buf_size(usize::try_from(options.max_header_bytes).unwrap_or(usize::MAX).max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(options.idle_timeout / 3)
        .keep_alive_timeout(options.header_timeout)
        .max_concurrent_streams(options.max_streams)
        .max_header_list_size(options.max_header_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}
