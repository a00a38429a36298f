//! An index in this process, and peers that are known there.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use p2pshare_core::{
    api::{Login, Register},
    auth::{Argon2Authenticator, Argon2Params, GrantSigner, Password, SigningKeys},
    backend::memory::MemoryStore,
    identity::PeerKey,
    index::{Index, IndexConfig},
    time::SystemClock,
};
use p2pshare_index::{HttpOptions, ServerOptions, router};
use p2pshare_peer::{
    account::SavedSession,
    catalog::{Catalog, PartialSources},
    daemon::{Daemon, DaemonEvent, DaemonEvents, FolderShares, ServeOptions, Shared, upload_slots},
    data_dir::DataDir,
    index_client::{IndexClient, IndexUrl},
    index_keys::IndexKeys,
    publish::OwnPeer,
    share::Sharer,
};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::CancellationToken;

/// An index in this process, for as long as the test runs.
pub(crate) async fn start_index() -> IndexUrl {
    start_index_with(IndexConfig::default(), |routes| routes).await
}

/// An index whose answers may be changed on the way.
pub(crate) async fn start_index_with(
    config: IndexConfig,
    change: impl FnOnce(Router) -> Router,
) -> IndexUrl {
    let index = Index::new(
        Arc::new(MemoryStore::new()),
        Arc::new(Argon2Authenticator::new(Argon2Params::new(8, 1, 1).unwrap())),
        SigningKeys::new(GrantSigner::generate().unwrap()),
        Arc::new(SystemClock),
        config,
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let routes = change(router(index, HttpOptions::default()));
    tokio::spawn(p2pshare_index::serve(
        listener,
        routes,
        ServerOptions::default(),
        std::future::pending(),
    ));
    url
}

/// A peer of a new user.
pub(crate) async fn join(name: &str, index: &IndexUrl) -> OwnPeer {
    let urls = [index.clone()];
    let client = IndexClient::new(&urls, Duration::from_secs(60)).unwrap();
    let password = || Password::new("correct horse battery staple".to_owned()).unwrap();
    let username = || name.parse().unwrap();
    let register = Register { username: username(), password: password(), invite: None };
    client.register(&register).await.unwrap();
    let login = Login { username: username(), password: password() };
    let opened = client.log_in(&login).await.unwrap();
    let keys = opened.index.public_keys.clone();
    let session = SavedSession::new(&urls, opened, keys);
    let client = client.with_session(session.token.clone());
    let key = Arc::new(PeerKey::generate().unwrap());
    OwnPeer::new(client, username(), IndexKeys::new(&session, None), key)
}

/// Serves what is in the catalog of a data directory, and downloads, in the background until `stop`; gives where, once
/// the peer is announced and all is published. Options may be changed.
pub(crate) async fn serve(
    me: &OwnPeer,
    dir: &DataDir,
    partial: &PartialSources,
    stop: &CancellationToken,
    change: impl FnOnce(&mut ServeOptions),
) -> SocketAddr {
    let (ready, is_ready) = oneshot::channel();
    let ready = Mutex::new(Some(ready));
    let events = Arc::new(move |event: DaemonEvent| {
        if let DaemonEvent::Ready { listen, .. } = event {
            let _ = ready.lock().unwrap().take().unwrap().send(listen);
        }
    });
    start(me, dir, partial, stop, events, change);
    is_ready.await.unwrap()
}

/// The same, without waiting until it is ready: that and all else is told.
pub(crate) fn start(
    me: &OwnPeer,
    dir: &DataDir,
    partial: &PartialSources,
    stop: &CancellationToken,
    events: DaemonEvents,
    change: impl FnOnce(&mut ServeOptions),
) {
    let catalog = Catalog::open(&dir.catalog()).unwrap();
    let sharer = Sharer::new(catalog.clone(), dir);
    start_sharing(me, Arc::new(FolderShares::new(catalog, sharer)), partial, stop, events, change);
}

/// The same with something else to share.
pub(crate) fn start_sharing(
    me: &OwnPeer,
    shared: Arc<dyn Shared>,
    partial: &PartialSources,
    stop: &CancellationToken,
    events: DaemonEvents,
    change: impl FnOnce(&mut ServeOptions),
) {
    let daemon = Daemon { peer: me.clone(), shared, partial: partial.clone() };
    let mut options = ServeOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        upload_slots: upload_slots(NonZeroUsize::MIN),
        ..ServeOptions::default()
    };
    change(&mut options);
    tokio::spawn(daemon.run(options, events, stop.clone()));
}
