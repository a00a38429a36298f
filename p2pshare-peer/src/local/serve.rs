//! Connections of the local server, few and short-lived unless they are let in.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 512;

/// A request's head must come within this time, and a connection waits no longer for its next request.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// Longest head in bytes, and most headers in it.
const MAX_HEAD: usize = 32 * 1024;
const MAX_HEADERS: usize = 64;

/// Requests that run when the server stops have this long to end.
const GRACE: Duration = Duration::from_secs(2);

/// Time for others to free what the system ran out of.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is cancelled.
pub(super) async fn serve(listener: &TcpListener, router: Router, stop: &CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    let killed = CancellationToken::new();
    let _kill_when_dropped = killed.clone().drop_guard();
    let accept = async {
        loop {
            // It is never closed.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((socket, _)) => {
                    let (router, stop, killed) = (router.clone(), stop.clone(), killed.clone());
                    connections.spawn(async move {
                        let _place = place;
                        killed.run_until_cancelled(connection(socket, router, &stop)).await;
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection to the local server was not accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accept).await;
    connections.close();
    if timeout(GRACE, connections.wait()).await.is_err() {
        killed.cancel();
        connections.wait().await;
    }
}

async fn connection(socket: TcpStream, router: Router, stop: &CancellationToken) {
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection to the local server broke");
    }
}
