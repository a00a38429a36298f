//! The whole thing in one process, over real sockets: an index on SQLite and two peers, each with a user.
//!
//! ```text
//! cargo run --release --example two_peers              # with a file of 256 MiB that it makes
//! cargo run --release --example two_peers -- FILE      # with a file of yours
//! ```

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{
    error::Error,
    fs::{self, File},
    io::Write,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use p2pshare_core::{
    api::{Login, Register, SearchQuery},
    auth::{Argon2Authenticator, Argon2Params, GrantSigner, Password, SigningKeys},
    backend::sqlite::SqliteStore,
    content::hash_file,
    identity::Username,
    index::{Index, IndexConfig},
    time::SystemClock,
    transfer::{Durability, RateLimit},
};
use p2pshare_index::{HttpOptions, ServerOptions, router};
use p2pshare_peer::{
    account::SavedSession,
    catalog::{Catalog, PartialSources},
    daemon::{Daemon, DaemonEvent, ServeOptions},
    data_dir::DataDir,
    download::{self, DownloadOptions, JobProgress, Locator, Target, Wanted, resolve},
    index_client::{IndexClient, IndexUrl},
    index_keys::IndexKeys,
    net::{
        ClientLimits, ClientSecurity, PeerConnector, PeerPool, PeerTls, PoolLimits, PushProgress,
        ServerLimits,
    },
    publish::OwnPeer,
    push,
    share::{ShareOptions, Sharer},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Done<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Done {
    let folder = tempfile::tempdir()?;
    let place = folder.path();
    let shared = place.join("Shared");
    fs::create_dir(&shared)?;
    let file = prepare(std::env::args_os().nth(1).map(PathBuf::from), &shared)?;
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();

    step("An index, its store an SQLite file");
    let url = start_index(place, &stop, &mut running).await?;
    println!("   at {url}");

    step("Two users register and log in, each with a peer of their own");
    let alice = Peer::join(place, "alice", &url).await?;
    let bob = Peer::join(place, "bob", &url).await?;
    println!("   alice's peer is {}, bob's is {}", alice.me.id().short(), bob.me.id().short());

    step("Alice shares a folder");
    let begun = Instant::now();
    let report = alice.share(&shared).await?;
    println!(
        "   {} files, {} hashed {}",
        report.0,
        HumanBytes(report.1),
        speed(report.1, begun.elapsed())
    );

    step("Both serve over TLS; bob takes files that others push");
    let inbox = place.join("bob's inbox");
    alice.serve(None, &stop, &mut running).await?;
    bob.serve(Some(inbox.clone()), &stop, &mut running).await?;

    step("Bob searches");
    let words = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let hits = bob
        .me
        .client()
        .search(&SearchQuery { q: words.clone(), ..SearchQuery::default() })
        .await?
        .hits;
    let hit = hits.first().ok_or("the file was not found")?;
    println!("   {words:?} finds {}, {}", hit.content, HumanBytes(hit.size));

    step("Bob downloads it, every piece verified against that id");
    let begun = Instant::now();
    let got = bob.get(Target::Content(hit.content), &place.join("Downloads")).await?;
    println!("   {} {}", HumanBytes(hit.size), speed(hit.size, begun.elapsed()));

    step("Alice pushes a file to bob");
    let begun = Instant::now();
    let kept = alice.push(&file, &bob.user).await?;
    println!("   {} {}", HumanBytes(hit.size), speed(hit.size, begun.elapsed()));

    step("Both copies are compared with the original");
    let original = content_of(&file)?;
    for copy in [got, inbox.join("alice").join(kept)] {
        if content_of(&copy)? != original {
            return Err(format!("{} is not what was sent", copy.display()).into());
        }
    }
    println!("   the same: {original}");

    step("Both log out");
    alice.me.client().log_out().await?;
    bob.me.client().log_out().await?;
    match bob.me.client().me().await {
        Ok(_) => return Err("the token was accepted after logout".into()),
        Err(refused) => println!("   bob's token now: {refused}"),
    }
    stop.cancel();
    while let Some(ended) = running.join_next().await {
        ended?;
    }
    Ok(())
}

/// One user with a peer.
struct Peer {
    user: Username,
    dir: DataDir,
    me: OwnPeer,
    catalog: Catalog,
    pool: Arc<PeerPool>,
}

impl Peer {
    /// Registers a user, logs in, and makes a peer in a data directory of its own.
    async fn join(place: &Path, name: &str, index: &IndexUrl) -> Done<Self> {
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
    async fn share(&self, folder: &Path) -> Done<(u64, u64)> {
        let sharer = Sharer::new(self.catalog.clone(), &self.dir);
        let options = ShareOptions::default();
        let report = sharer
            .share(folder, &options, &(Arc::new(|_| ()) as _), &CancellationToken::new())
            .await?;
        self.me.make_known().await?;
        self.me.publisher(self.catalog.clone()).publish(&|_| ()).await?;
        Ok((report.files, report.hashed_bytes))
    }

    /// Serves in the background until stopped; returns once others can find the peer.
    async fn serve(
        &self,
        inbox: Option<PathBuf>,
        stop: &CancellationToken,
        running: &mut JoinSet<()>,
    ) -> Done {
        let daemon = Daemon {
            peer: self.me.clone(),
            catalog: self.catalog.clone(),
            sharer: Sharer::new(self.catalog.clone(), &self.dir),
            partial: PartialSources::new(),
        };
        let options = ServeOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            advertise: Vec::new(),
            inbox,
            upload_slots: NonZeroUsize::MIN.saturating_add(7),
            upload_limit: RateLimit::unlimited(),
            insecure: false,
            limits: ServerLimits::default(),
        };
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

    /// Downloads what a target means into a folder.
    async fn get(&self, target: Target, folder: &Path) -> Done<PathBuf> {
        fs::create_dir_all(folder)?;
        let wanted = resolve(self.me.client(), &[target], Some(folder)).await?;
        let Wanted { target: path, size, .. } =
            wanted.first().cloned().ok_or("there is nothing to download")?;
        let locator = Locator::new(self.me.clone(), self.pool.clone(), RateLimit::unlimited());
        let options =
            DownloadOptions { durability: Durability::Sync, ..DownloadOptions::default() };
        let progress = JobProgress::default();
        let never = CancellationToken::new();
        let job = download::run(locator, wanted, options, &progress, &|_| (), &never);
        let bar = bar(size);
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

    /// Pushes a file to a user; says under which name it is kept.
    async fn push(&self, file: &Path, to: &Username) -> Done<String> {
        let parcel = push::pack(file, |_| ()).await?;
        let bar = bar(parcel.manifest.len());
        let progress = |progress| {
            if let PushProgress::Sent { bytes } = progress {
                bar.inc(bytes);
            }
        };
        let pushed = push::push(&self.me, &self.pool, &parcel, to, &progress).await?;
        bar.finish_and_clear();
        Ok(pushed.name.to_string())
    }
}

/// Starts an index in the background and gives its URL.
async fn start_index(
    place: &Path,
    stop: &CancellationToken,
    running: &mut JoinSet<()>,
) -> Done<IndexUrl> {
    let index = Index::new(
        Arc::new(SqliteStore::open(&place.join("index.sqlite"))?),
        Arc::new(Argon2Authenticator::new(Argon2Params::default())),
        SigningKeys::new(GrantSigner::generate()?),
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

/// Puts a copy of the user's file, or one that is made, where it will be shared.
fn prepare(given: Option<PathBuf>, folder: &Path) -> Done<PathBuf> {
    if let Some(given) = given {
        let name = given.file_name().ok_or("this is not a file")?;
        let path = folder.join(name);
        fs::copy(&given, &path)?;
        return Ok(path);
    }
    const MIB: usize = 1 << 20;
    let path = folder.join("a generated file.bin");
    let mut file = File::create(&path)?;
    let mut part = vec![0; MIB];
    for _ in 0..256 {
        rand::fill(&mut part[..]);
        file.write_all(&part)?;
    }
    Ok(path)
}

fn content_of(path: &Path) -> Done<String> {
    let never = std::sync::atomic::AtomicBool::new(false);
    Ok(hash_file(&File::open(path)?, None, &|_| (), &never)?.id().to_string())
}

fn step(what: &str) {
    println!("→ {what}");
}

fn speed(bytes: u64, took: Duration) -> String {
    let rate = bytes as f64 / took.as_secs_f64();
    format!("in {:.2} s, {}/s", took.as_secs_f64(), HumanBytes(rate as u64))
}

fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "   {wide_bar:.green} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
    );
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
