//! One connection, from the handshake to its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::ServerSecurity;
use super::calls::Calls;
use super::handshake::shake;
use super::usage::Usage;
use crate::net::io::{Counted, Lingering};
use crate::net::limits::{Http2Settings, ServerLimits};
use crate::net::service::TransferService;

/// What all connections of a server share.
pub(super) struct Settings {
    pub(super) routes: Routes,
    pub(super) transfer: Arc<TransferService>,
    pub(super) security: ServerSecurity,
    pub(super) limits: ServerLimits,
}

/// However short the time in which something must be read: how often a connection is looked at.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);

/// Serves one connection until the client leaves, has been idle for too long or breaks the rules, or `stop` and every
/// call on it has ended.
pub(super) async fn run(stream: TcpStream, settings: Arc<Settings>, stop: CancellationToken) {
    // Without it small answers wait; nothing is wrong.
    let _ = stream.set_nodelay(true);
    let (stream, leftover) = Lingering::new(stream);
    talk(stream, settings, stop).await;
    leftover.close().await;
}

async fn talk(stream: Lingering, settings: Arc<Settings>, stop: CancellationToken) {
    let limits = &settings.limits;
    let (stream, traffic) = Counted::new(stream);
    let handshake = timeout(limits.handshake_timeout, shake(stream, &settings.security));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = stop.cancelled() => return,
    };
    let (io, connection) = match shaken {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(error)) => return tracing::debug!(%error, "handshake failed"),
        Err(_) => return tracing::debug!("handshake took too long"),
    };
    let usage = Arc::new(Usage::new());
    let calls = Calls::new(&settings, connection, traffic, Arc::clone(&usage));
    let mut served = pin!(http2_builder(&limits.http2).serve_connection(TokioIo::new(io), calls));
    let mut looks = interval(limits.stall_timeout.max(SHORTEST_LOOK));
    let mut leaving = false;
    let mut grace_end = Instant::now();
    loop {
        let idle_end = usage.idle_since().map(|since| since + limits.idle_timeout);
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection failed");
                }
                return;
            }
            _ = looks.tick() => {
                if usage.unread(limits.stall_timeout) > limits.unread_answers {
                    return tracing::debug!("client reads nothing of what it asked for");
                }
                continue;
            }
            // Told to stop, or idle: no new calls, those that run may end.
            () = stop.cancelled(), if !leaving => leaving = true,
            () = until(idle_end), if !leaving => {
                if usage.idle_since().map(|since| since + limits.idle_timeout) != idle_end {
                    continue;
                }
                leaving = true;
            }
            () = usage.changed(), if !leaving => continue,
            () = sleep_until(grace_end), if leaving => return,
        }
        served.as_mut().graceful_shutdown();
        grace_end = Instant::now() + limits.shutdown_grace;
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

fn http2_builder(settings: &Http2Settings) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_frame_size(settings.max_frame_size)
        .initial_stream_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(settings.max_header_list)
        .max_send_buf_size(settings.send_buffer)
        .keep_alive_interval(settings.ping_interval)
        .keep_alive_timeout(settings.ping_timeout);
    builder
}
