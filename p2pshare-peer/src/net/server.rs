//! The server of a peer: it takes connections, and hands calls to the services.

mod calls;
mod connection;
mod gate;
mod handshake;
mod requests;
mod usage;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use p2pshare_proto::v1::transfer_server::TransferServer;
use p2pshare_proto::{FILE_DESCRIPTOR_SET, SERVICE_NAME};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::limits::{MAX_REQUEST, ServerLimits};
use super::service::{ServerServices, TransferService};
use super::tls::PeerTls;
use connection::Settings;
use gate::Gate;

/// Whether a server speaks TLS. It speaks either TLS or plain text, never both.
#[derive(Clone, Debug)]
pub enum ServerSecurity {
    /// Plain text: for loopback, or where somebody chose to be insecure.
    Plain,
    /// TLS 1.3 with the peer's key.
    Tls(PeerTls),
}

/// Serves the gRPC services of a peer until `shutdown` is ready: the transfer service, `grpc.health.v1` and reflection.
///
/// After `shutdown` no connection and no call is taken; calls that run have [`ServerLimits::shutdown_grace`] to end,
/// then they are cut off. Dropping the future cuts everything off at once.
///
/// # Errors
/// When the services cannot be set up. A connection that cannot be accepted is not an error: it is logged, and the
/// server goes on.
pub async fn serve(
    listener: TcpListener,
    services: ServerServices,
    security: ServerSecurity,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let health = HealthReporter::new();
    health.set_service_status(SERVICE_NAME, ServingStatus::Serving).await;
    let transfer = Arc::new(TransferService::new(services, &limits));
    let routes = routes(transfer.clone(), health.clone())?;
    let settings = Arc::new(Settings { routes, transfer, security, limits });
    let stop = CancellationToken::new();
    let mut connections = JoinSet::new();
    tokio::select! {
        () = shutdown => {}
        () = accept_all(&listener, &settings, &stop, &mut connections) => {}
    }
    drop(listener);
    health.set_service_status(SERVICE_NAME, ServingStatus::NotServing).await;
    stop.cancel();
    drain(connections, settings.limits.shutdown_grace).await;
    Ok(())
}

fn routes(transfer: Arc<TransferService>, health: HealthReporter) -> io::Result<Routes> {
    let transfer = TransferServer::from_arc(transfer).max_decoding_message_size(MAX_REQUEST);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let health = tonic_health::server::HealthService::from_health_reporter(health);
    let routes = Routes::new(transfer)
        .add_service(tonic_health::pb::health_server::HealthServer::new(health))
        .add_service(reflection().build_v1().map_err(io::Error::other)?)
        .add_service(reflection().build_v1alpha().map_err(io::Error::other)?);
    Ok(routes.prepare())
}

async fn accept_all(
    listener: &TcpListener,
    settings: &Arc<Settings>,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
) {
    /// Time for others to free what the system ran out of, most often file descriptors.
    const PAUSE: Duration = Duration::from_millis(100);

    let gate = Arc::new(Gate::new(&settings.limits));
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_of_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted; going on in a moment");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        match gate.enter(address.ip()) {
            Ok(place) => {
                let run = connection::run(stream, Arc::clone(settings), stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    run.await;
                });
            }
            Err(refusal) => {
                tracing::debug!(%address, %refusal, "connection refused");
                refuse(&stream);
            }
        }
    }
}

/// Makes the socket close without being left in the state TIME_WAIT, of which a flood would leave many.
fn refuse(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::trace!(%error, "a refused connection is closed slowly");
    }
}

/// Errors of the connection that was to be accepted, which went away, not of the listener.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn drain(mut connections: JoinSet<()>, grace: Duration) {
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, all_done).await.is_err() {
        tracing::info!(connections = connections.len(), "connections still at work are cut off");
    }
    connections.shutdown().await;
}
