//! An index, a peer that shares what is in memory, and a peer that downloads.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use p2pshare_core::{
    api::{CatalogChange, Entry, PublishRequest, Visibility},
    content::{ContentId, hash_bytes},
    testing::FaultySource,
    time::SystemClock,
    transfer::{Durability, MemorySource, OpenSource, RateLimit, UploadSlots},
};
use p2pshare_peer::{
    downloads::{
        Connection, DownloadId, DownloadManager, DownloadState, DownloadView, ManagerOptions,
        NewDownload,
    },
    guard::GrantGuard,
    index_client::IndexUrl,
    net::{
        ClientLimits, ClientSecurity, PeerConnector, PeerPool, PeerTls, PoolLimits, ServerLimits,
        ServerSecurity, ServerServices, Uploads, serve,
    },
    publish::OwnPeer,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::with_index::join;
pub(crate) use crate::with_index::start_index;

pub(crate) const MIB: u64 = 1 << 20;

/// Longest that any step of a test may take before the test is taken for hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// A peer that shares what is in memory.
pub(crate) struct Seeder {
    pub(crate) me: OwnPeer,
    pub(crate) files: MemorySource,
    /// What it does wrong.
    pub(crate) faults: FaultySource,
    pub(crate) rate: RateLimit,
    uploads: Uploads,
    address: std::net::SocketAddr,
    _stop: DropGuard,
}

impl Seeder {
    pub(crate) async fn start(name: &str, index: &IndexUrl) -> Self {
        let me = join(name, index).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let files = MemorySource::new();
        let faults = FaultySource::new(Arc::new(files.clone()), []);
        let (rate, uploads) = (RateLimit::unlimited(), Uploads::default());
        let keys = me.index_keys().current();
        let services = ServerServices {
            source: Arc::new(OpenSource::new(Arc::new(faults.clone()))),
            guard: Arc::new(GrantGuard::new(keys, me.id(), Arc::new(SystemClock))),
            receiver: None,
            slots: UploadSlots::new(NonZeroUsize::new(64).unwrap(), 1024),
            upload_rate: rate.clone(),
            uploads: uploads.clone(),
        };
        let security = ServerSecurity::Tls(PeerTls::new(me.key()).unwrap());
        let stop = CancellationToken::new();
        let shutdown = stop.clone().cancelled_owned();
        tokio::spawn(serve(listener, services, security, ServerLimits::default(), shutdown));
        let seeder = Self { me, files, faults, rate, uploads, address, _stop: stop.drop_guard() };
        seeder.come().await;
        seeder
    }

    /// It is online from now on.
    pub(crate) async fn come(&self) {
        self.me.announce(vec![format!("tcp://{}", self.address).parse().unwrap()]).await.unwrap();
    }

    /// It is not.
    pub(crate) async fn go(&self) {
        self.me.leave().await.unwrap();
    }

    pub(crate) fn limit(&self, mib_per_second: u64) {
        self.rate.set(NonZeroU64::new(mib_per_second * MIB));
    }

    /// Bytes that it has sent to those to whom it sends at the moment.
    pub(crate) fn sent(&self) -> u64 {
        self.uploads.list().iter().map(|upload| upload.bytes).sum()
    }

    pub(crate) async fn share(&self, path: &str, data: &Bytes) -> ContentId {
        let id = self.files.insert(data.clone()).id();
        self.publish(&[(path.to_owned(), data.clone())]).await;
        id
    }

    pub(crate) async fn share_all(&self, files: &[(String, Bytes)]) {
        for (_, data) in files {
            self.files.insert(data.clone());
        }
        self.publish(files).await;
    }

    async fn publish(&self, files: &[(String, Bytes)]) {
        for batch in files.chunks(500) {
            let entries = batch.iter().map(|(path, data)| {
                CatalogChange::Publish(Entry {
                    path: path.parse().unwrap(),
                    content: hash_bytes(data).id(),
                    size: data.len() as u64,
                    visibility: Visibility::Public,
                })
            });
            let request = PublishRequest::new(entries.collect());
            self.me.client().publish(&self.me.id(), &request).await.unwrap();
        }
    }

    pub(crate) async fn withdraw(&self, path: &str) {
        let changes = vec![CatalogChange::Withdraw(path.parse().unwrap())];
        self.me.client().publish(&self.me.id(), &PublishRequest::new(changes)).await.unwrap();
    }
}

/// A peer that downloads.
pub(crate) struct Peer {
    pub(crate) me: OwnPeer,
    dir: TempDir,
    pool: Arc<PeerPool>,
}

impl Peer {
    pub(crate) async fn start(name: &str, index: &IndexUrl) -> Self {
        let me = join(name, index).await;
        let tls = PeerTls::new(me.key()).unwrap();
        let connector = PeerConnector::new(ClientSecurity::Tls(tls), ClientLimits::default());
        let pool = Arc::new(PeerPool::new(connector, PoolLimits::default()));
        Self { me, dir: tempfile::tempdir().unwrap(), pool }
    }

    pub(crate) fn options(&self) -> ManagerOptions {
        ManagerOptions {
            durability: Durability::None,
            first_retry: Duration::from_millis(50),
            longest_retry: Duration::from_millis(400),
            read_patience: Duration::from_secs(60),
            ..ManagerOptions::new(self.dir.path().join("cache"))
        }
    }

    /// The queue, with nobody logged in.
    pub(crate) fn queue(&self, options: ManagerOptions) -> DownloadManager {
        DownloadManager::open(&self.dir.path().join("downloads.sqlite"), options).unwrap()
    }

    /// The queue of this peer's user.
    pub(crate) async fn open(&self) -> DownloadManager {
        self.open_with(self.options()).await
    }

    pub(crate) async fn open_with(&self, options: ManagerOptions) -> DownloadManager {
        let manager = self.queue(options);
        manager.connect(Some(self.connection())).await.unwrap();
        manager
    }

    pub(crate) fn connection(&self) -> Connection {
        Connection { me: self.me.clone(), pool: self.pool.clone(), serving: None }
    }

    /// A folder to download to.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn new_download(&self, folder: &str, what: &str) -> NewDownload {
        NewDownload {
            targets: vec![what.parse().unwrap()],
            folder: self.folder(folder),
            overwrite: false,
        }
    }

    pub(crate) async fn add(
        &self,
        manager: &DownloadManager,
        folder: &str,
        what: &str,
    ) -> DownloadId {
        manager.add(self.new_download(folder, what)).await.unwrap().id
    }
}

/// Waits until a download looks like this.
pub(crate) async fn wait_for(
    manager: &DownloadManager,
    id: DownloadId,
    is: impl Fn(&DownloadView) -> bool,
) -> DownloadView {
    let mut changes = manager.changes();
    let mut last = None;
    let waited = timeout(PATIENCE, async {
        loop {
            let view = manager.view(id).await.unwrap();
            if is(&view) {
                return view;
            }
            last = Some(view);
            changes.next().await.unwrap();
        }
    });
    waited.await.unwrap_or_else(|_| panic!("still {last:?}"))
}

pub(crate) async fn wait_for_state(
    manager: &DownloadManager,
    id: DownloadId,
    state: DownloadState,
) -> DownloadView {
    wait_for(manager, id, |view| view.state == state).await
}

/// Every file below a folder, by its name relative to it. What gets another name or goes meanwhile is not there.
pub(crate) fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            match std::fs::read(&path) {
                Ok(bytes) => drop(found.insert(name, bytes)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{name}: {error}"),
            }
        }
    }
    found
}

/// What is left of downloads that are not finished.
pub(crate) fn parts_below(folder: &Path) -> Vec<String> {
    files_below(folder).into_keys().filter(|name| name.contains(".part")).collect()
}
