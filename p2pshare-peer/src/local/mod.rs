//! The local server: the page of a running node, and its API for the page and for commands of the same user.
//!
//! It listens on loopback alone and answers only whoever shows a key: the control token (in a file that only the owner
//! can read), a cookie that a one-time token was changed for, or the key of one content. Handlers only translate; what
//! is done is the [`Node`]'s.

mod access;
mod api;
mod assets;
pub mod client;
mod control;
mod events;
mod extract;
mod failure;
pub(crate) mod fuzz;
mod gateway;
mod guard;
mod plain;
mod serve;

use std::{io, net::SocketAddr, sync::Arc};

use axum::{Router, http::Uri, middleware::from_fn_with_state};
use http::HeaderMap;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

pub use control::{Control, Token};

use crate::{
    data_dir::{DataDir, DataDirError},
    node::Node,
};
use access::Access;

/// Where the local server listens unless told otherwise.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7402);

/// Pages that follow what happens, at a time.
const LISTENERS: usize = 32;

/// Contents that are read at a time.
const READERS: usize = 64;

/// Why there is no local server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// Others could reach it there.
    #[error(
        "{0} is no loopback address: the page is for this machine's own user, never for the network"
    )]
    NotLoopback(SocketAddr),
    /// It cannot listen there.
    #[error("listening on {address} for the page failed: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The control file cannot be written.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

/// A local server that listens, and is not served yet.
pub struct LocalServer {
    listener: TcpListener,
    access: Arc<Access>,
    address: SocketAddr,
    _control: control::Kept,
}

/// What handlers work with.
#[derive(Clone)]
struct App {
    node: Node,
    access: Arc<Access>,
    address: SocketAddr,
    listeners: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    stop: CancellationToken,
}

impl LocalServer {
    /// Listens on this address, or, if it is `None`, on the default one or any other that is free, and writes the control
    /// file into the data directory, which must be [locked for serving](DataDir::lock_for_serving). The file is removed
    /// when the server is dropped or has ended.
    pub async fn bind(dir: &DataDir, address: Option<SocketAddr>) -> Result<Self, LocalError> {
        Control::clear(dir)?;
        let wanted = address.unwrap_or(DEFAULT_ADDRESS);
        if !wanted.ip().is_loopback() {
            return Err(LocalError::NotLoopback(wanted));
        }
        let failed = |error| LocalError::Listen { address: wanted, error };
        let listener = match TcpListener::bind(wanted).await {
            Err(error) if address.is_none() && error.kind() == io::ErrorKind::AddrInUse => {
                TcpListener::bind((wanted.ip(), 0)).await
            }
            bound => bound,
        };
        let listener = listener.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let access = Arc::new(Access::new(address.port()));
        let control = Control { url: format!("http://{address}"), token: access.control().clone() };
        let control = control.keep(dir)?;
        Ok(Self { listener, access, address, _control: control })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A URL that opens the page in a browser, once.
    pub fn one_time_url(&self) -> String {
        one_time_url(&self.access, self.address)
    }

    /// Serves the node until `stop` is cancelled; requests that run have a moment to end.
    pub async fn run(self, node: Node, stop: CancellationToken) {
        let app = App {
            node,
            access: self.access.clone(),
            address: self.address,
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            readers: Arc::new(Semaphore::new(READERS)),
            stop: stop.clone(),
        };
        serve::serve(&self.listener, router(app), &stop).await;
    }
}

fn one_time_url(access: &Access, address: SocketAddr) -> String {
    format!("http://{address}/?token={}", access.one_time().reveal())
}

fn router(app: App) -> Router {
    let asset = async |uri: Uri, headers: HeaderMap| assets::answer(uri.path(), &headers);
    Router::new()
        .merge(api::routes())
        .merge(gateway::routes())
        .fallback(axum::routing::get(asset))
        .layer(from_fn_with_state(app.clone(), guard::guard))
        .with_state(app)
}
