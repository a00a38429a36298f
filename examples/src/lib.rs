//! What the examples have in common: a community on this machine, with an index and peers.

#![allow(clippy::print_stdout, reason = "examples print")]

use std::{
    error::Error,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use p2pshare_core::{
    api::{Login, Register},
    auth::{Argon2Authenticator, Argon2Params, Password},
    backend::sqlite::SqliteStore,
    content::hash_file,
    identity::Username,
    index::{Index, IndexConfig},
    time::SystemClock,
    transfer::{Durability, PushReceiver, RateLimit},
};
use p2pshare_index::{HttpOptions, ServerOptions, keys, router};
use p2pshare_peer::{
    account::SavedSession,
    catalog::{Catalog, PartialSources},
    daemon::{Daemon, DaemonEvent, FolderShares, ServeOptions, Shared},
    data_dir::DataDir,
    download::{self, DownloadOptions, JobProgress, Locator, Target, Wanted, resolve},
    inbox::{Inbox, InboxOptions},
    index_client::{IndexClient, IndexUrl},
    index_keys::IndexKeys,
    net::{ClientLimits, ClientSecurity, PeerConnector, PeerPool, PeerTls, PoolLimits},
    publish::OwnPeer,
    share::{ShareOptions, Sharer},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// What comes of a step, or what went wrong.
pub type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// One user with a peer.
pub struct Peer {
    /// The user.
    pub user: Username,
    /// Where the peer keeps its data.
    pub dir: DataDir,
    /// The peer at the index.
    pub me: OwnPeer,
    /// What it shares.
    pub catalog: Catalog,
    /// Its connections to others.
    pub pool: Arc<PeerPool>,
}

impl Peer {
    /// Registers a user, logs in, and makes a peer in a data directory of its own.
    pub async fn join(place: &Path, name: &str, index: &IndexUrl) -> Done<Self> {
        let urls = [index.clone()];
        let client = IndexClient::new(&urls, Duration::from_secs(10))?;
        let username: Username = name.parse()?;
        let password = Password::new("correct horse battery staple".to_owned())?;
        let register =
            Register { username: username.clone(), password: password.clone(), invite: None };
        client.register(&register).await?;
        let opened = client.log_in(&Login { username: username.clone(), password }).await?;

        let dir = DataDir::open(&place.join(format!("{name}'s data")))?;
        let keys = opened.index.public_keys.clone();
        let session = SavedSession::new(&urls, opened, keys);
        let key = dir.peer_key()?;
        let tls = PeerTls::new(&key)?;
        let client = client.with_session(session.token.clone());
        let connector = PeerConnector::new(ClientSecurity::Tls(tls), ClientLimits::default());
        Ok(Self {
            me: OwnPeer::new(
                client,
                username.clone(),
                IndexKeys::new(&session, None),
                Arc::new(key),
            ),
            catalog: Catalog::open(&dir.catalog())?,
            pool: Arc::new(PeerPool::new(connector, PoolLimits::default())),
            user: username,
            dir,
        })
    }

    /// Hashes a folder and publishes it; says how many files and bytes were hashed.
    pub async fn share(&self, folder: &Path) -> Done<(u64, u64)> {
        let sharer = Sharer::new(self.catalog.clone(), &self.dir);
        let options = ShareOptions::default();
        let report = sharer
            .share(folder, &options, &(Arc::new(|_| ()) as _), &CancellationToken::new())
            .await?;
        self.me.make_known().await?;
        self.me.publisher(self.catalog.clone()).publish(&|_| ()).await?;
        Ok((report.files, report.hashed_bytes))
    }

    /// Serves in the background until stopped, and sends no faster than `upload_limit`; returns once others can find the
    /// peer.
    pub async fn serve(
        &self,
        inbox: Option<PathBuf>,
        upload_limit: RateLimit,
        stop: &CancellationToken,
        running: &mut JoinSet<()>,
    ) -> Done {
        let receiver = match inbox {
            Some(folder) => {
                let inbox = Inbox::open(&folder, InboxOptions::default())?;
                Some(Arc::new(inbox) as Arc<dyn PushReceiver>)
            }
            None => None,
        };
        let options = ServeOptions { receiver, upload_limit, ..ServeOptions::default() };
        let sharer = Sharer::new(self.catalog.clone(), &self.dir);
        let shared = Arc::new(FolderShares::new(self.catalog.clone(), sharer));
        self.serve_sharing(shared, options, stop, running).await
    }

    /// The same for whatever is shared, on loopback.
    pub async fn serve_sharing(
        &self,
        shared: Arc<dyn Shared>,
        options: ServeOptions,
        stop: &CancellationToken,
        running: &mut JoinSet<()>,
    ) -> Done {
        let daemon = Daemon { peer: self.me.clone(), shared, partial: PartialSources::new() };
        let options = ServeOptions { listen: ([127, 0, 0, 1], 0).into(), ..options };
        let (ready, is_ready) = oneshot::channel();
        let ready = Mutex::new(Some(ready));
        let events = Arc::new(move |event: DaemonEvent| {
            if let DaemonEvent::Ready { listen, .. } = event
                && let Ok(mut ready) = ready.lock()
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(listen);
            }
        });
        let (stop, user) = (stop.clone(), self.user.clone());
        running.spawn(async move {
            if let Err(error) = daemon.run(options, events, stop).await {
                println!("   {user}'s peer: {error}");
            }
        });
        println!("   {}'s peer listens on {}", self.user, is_ready.await?);
        Ok(())
    }
}

/// Starts an index in the background and gives its URL.
pub async fn start_index(
    place: &Path,
    stop: &CancellationToken,
    running: &mut JoinSet<()>,
) -> Done<IndexUrl> {
    let index = Index::new(
        Arc::new(SqliteStore::open(&place.join("index.sqlite"))?),
        Arc::new(Argon2Authenticator::new(Argon2Params::default())),
        keys::load_or_make(&place.join("keys.json"))?,
        Arc::new(SystemClock),
        IndexConfig::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    let routes = router(index.clone(), HttpOptions::default());
    let shutdown = stop.clone().cancelled_owned();
    running.spawn(async move {
        p2pshare_index::serve(listener, routes, ServerOptions::default(), shutdown).await;
    });
    let stop = stop.clone();
    running.spawn(async move { index.maintain(stop).await });
    Ok(url)
}

/// Downloads what a target means into a folder.
pub async fn get(peer: &Peer, target: Target, folder: &Path) -> Done<PathBuf> {
    fs::create_dir_all(folder)?;
    let wanted = resolve(peer.me.client(), &[target], Some(folder)).await?;
    let Wanted { target: path, size, .. } =
        wanted.first().cloned().ok_or("there is nothing to download")?;
    let locator = Locator::new(peer.me.clone(), peer.pool.clone(), RateLimit::unlimited());
    let options = DownloadOptions { durability: Durability::Sync, ..DownloadOptions::default() };
    let progress = JobProgress::default();
    let never = CancellationToken::new();
    let job = download::run(locator, wanted, options, &progress, &|_| (), &never);
    let bar = bar("", size);
    let show = async {
        loop {
            bar.set_position(progress.done());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let report = tokio::select! {
        report = Box::pin(job) => report,
        () = show => return Err("unreachable: the bar never ends".into()),
    };
    bar.finish_and_clear();
    match report.failed.into_iter().next() {
        Some((_, error)) => Err(error.into()),
        None => Ok(path),
    }
}

/// Makes a file of so many MiB that do not compress.
pub fn make_file(path: &Path, mib: u64) -> Done {
    let mut file = File::create(path)?;
    let mut part = vec![0; 1 << 20];
    for _ in 0..mib {
        rand::fill(&mut part[..]);
        file.write_all(&part)?;
    }
    Ok(())
}

/// The content id of a file.
pub fn content_of(path: &Path) -> Done<String> {
    let never = AtomicBool::new(false);
    Ok(hash_file(&File::open(path)?, None, &|_| (), &never)?.id().to_string())
}

/// A bar for so many bytes, after this name.
pub fn bar(name: &str, bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "   {prefix}{wide_bar:.green} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
    );
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let prefix = if name.is_empty() { String::new() } else { format!("{name} ") };
    ProgressBar::new(bytes).with_style(style).with_prefix(prefix)
}
