//! Serving a router over TCP or TLS to clients that may be slow, many, or up to no good.

mod activity;
mod connection;
mod options;
mod tls;

pub use options::ServerOptions;
pub use tls::{SelfSigned, TlsError, TlsIdentity};

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::http::{ClientAddr, Shared};

use connection::Server;

/// How long to wait before accepting again when the system has no file handles or memory left.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Serves `router` on `listener` until `shutdown` is done; then takes no more connections, lets requests that run come
/// to their end for at most [`ServerOptions::shutdown_timeout`], and closes what is left.
///
/// Speaks HTTP/1.1 and HTTP/2. Each request has the client's address in its extensions, as
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo). Dropping the future closes all connections at once.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServerOptions,
    shutdown: impl Future<Output = ()>,
) {
    let closing = CancellationToken::new();
    let killed = CancellationToken::new();
    let _kill_when_dropped = killed.clone().drop_guard();
    let connections = TaskTracker::new();
    let crowd = Shared::new(options.max_connections, options.max_connections_per_address);
    let shutdown_timeout = options.shutdown_timeout;
    let server = Arc::new(Server::new(router, options, closing.clone()));

    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                not_accepted(&error).await;
                continue;
            }
        };
        let Ok(place) = crowd.take(ClientAddr(Some(address.ip())), 1) else {
            server.metrics().connection_refused();
            tracing::debug!(%address, "connection refused: too many are open");
            close_at_once(&socket);
            continue;
        };
        let server = Arc::clone(&server);
        let killed = killed.clone();
        connections.spawn(async move {
            let _place = place;
            tokio::select! {
                () = killed.cancelled() => {}
                () = server.connection(socket, address) => {}
            }
        });
    }

    drop(listener);
    closing.cancel();
    connections.close();
    if tokio::time::timeout(shutdown_timeout, connections.wait()).await.is_err() {
        tracing::warn!(
            open = connections.len(),
            "connections are closed before their requests ended"
        );
        killed.cancel();
        connections.wait().await;
    }
}

/// A client that is gone already concerns nobody; when the system is short of something, a pause lets it recover.
async fn not_accepted(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};

    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "no connection can be accepted");
    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
}

/// Resets instead of closing, so that nothing of a refused connection lingers in the system.
fn close_at_once(socket: &TcpStream) {
    let _ = socket.set_zero_linger();
}
