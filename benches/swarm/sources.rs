//! One download from four sources, each behind a line of its own.

use std::{
    fs::{self, File},
    num::{NonZeroU64, NonZeroUsize},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use p2pshare_benches::far::{quick, read_options};
use p2pshare_core::{
    content::{Manifest, PIECE_LEN, hash_file},
    identity::{PeerAddr, PeerKey, Reach},
    swarm::{Candidate, DownloadOptions, Downloader, Report, SwarmEvents},
    testing::{Fault, FaultySource},
    time::Timestamp,
    transfer::{
        AccessDenied, AccessRequest, Admission, FileSink, FileSource, FileStamp, OpenSource,
        PieceSource, RateLimit, SharedFile, TransferError, TransferGuard, UploadSlots,
    },
};
use p2pshare_peer::net::{
    ClientLimits, ClientSecurity, GrantProvider, GrantRequest, PeerConnector, PeerTls,
    ServerLimits, ServerSecurity, ServerServices, Uploads, serve,
};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{LINE, Outcome, report, say, seconds};

/// Four honest ones.
pub(crate) fn honest(file: &Path, folder: &Path) -> Outcome<()> {
    let shared = Shared::of(file)?;
    let (took, _) = block_on(async {
        let mut sources = Vec::new();
        for number in 0..4 {
            sources.push(Source::start(&format!("honest {number}"), shared.source()).await?);
        }
        download(&shared, &folder.join("four"), &sources, |_| ()).await
    })?;
    say(&format!("four sources: {}", seconds(took)))?;
    let speed = shared.manifest.len() as f64 / 1e6 / took.as_secs_f64();
    report("MB/s", speed, "at least 150")?;
    Ok(())
}

/// An honest one, one that lies from the start, one that dies half way, one that stalls.
pub(crate) fn faulty(file: &Path, folder: &Path) -> Outcome<()> {
    let shared = Shared::of(file)?;
    let pieces = u64::from(shared.manifest.layout().piece_count());
    let lies = (0..pieces).map(|piece| Fault::CorruptByte(piece * PIECE_LEN + 77));
    let liar = FaultySource::new(shared.source(), lies);
    let staller = FaultySource::new(shared.source(), [Fault::Stall(3_000_000)]);
    let (took, gathered) = block_on(async {
        let sources = vec![
            Source::start("honest", shared.source()).await?,
            Source::start("dies", shared.source()).await?,
            Source::start("lies", Arc::new(liar)).await?,
            Source::start("stalls", Arc::new(staller)).await?,
        ];
        let deserter = &sources[1];
        let half = shared.manifest.len() / 2;
        download(&shared, &folder.join("faults"), &sources, |verified| {
            if verified >= half {
                deserter.server.abort();
            }
        })
        .await
    })?;
    say(&format!("one honest, one that dies, one that lies, one that stalls: {}", seconds(took)))?;
    for source in &gathered.sources {
        let failure = source.failure.as_ref().map(ToString::to_string).unwrap_or_default();
        say(&format!("  {:<8} {:>4} pieces  {failure}", source.label, source.pieces))?;
    }
    let alone = shared.manifest.len() as f64 / LINE as f64;
    report("times what the honest one would need", took.as_secs_f64() / alone, "less than 1.5")?;
    Ok(())
}

fn block_on<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// What is downloaded.
struct Shared {
    file: SharedFile,
    manifest: Manifest,
}

impl Shared {
    fn of(path: &Path) -> Outcome<Self> {
        let opened = File::open(path)?;
        let manifest = hash_file(&opened, None, &|_| (), &false.into())?;
        let stamp = FileStamp::of(&opened.metadata()?);
        let file = SharedFile { path: path.to_owned(), manifest: manifest.clone(), stamp };
        Ok(Self { file, manifest })
    }

    fn source(&self) -> Arc<dyn PieceSource> {
        let source = FileSource::new(read_options());
        source.insert(self.file.clone());
        Arc::new(source)
    }
}

/// A peer that serves.
struct Source {
    candidate: Candidate,
    server: JoinHandle<std::io::Result<()>>,
}

impl Source {
    async fn start(name: &str, source: Arc<dyn PieceSource>) -> Outcome<Self> {
        let key = PeerKey::generate()?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = PeerAddr::from_socket(listener.local_addr()?).ok_or("no address")?;
        let services = ServerServices {
            source: Arc::new(OpenSource::new(source)),
            guard: Arc::new(Anybody),
            receiver: None,
            slots: UploadSlots::new(NonZeroUsize::MIN.saturating_add(7), 64),
            upload_rate: RateLimit::new(NonZeroU64::new(LINE)),
            uploads: Uploads::default(),
        };
        let security = ServerSecurity::Tls(PeerTls::new(&key)?);
        let never = std::future::pending();
        let server =
            tokio::spawn(serve(listener, services, security, ServerLimits::default(), never));
        let security = ClientSecurity::Tls(PeerTls::new(&PeerKey::generate()?)?);
        let id = key.peer_id();
        let peer = PeerConnector::new(security, ClientLimits::default()).peer(id, vec![address]);
        let source = Arc::new(peer.source(Arc::new(Anybody)));
        let candidate = Candidate { id, label: name.to_owned(), source };
        Ok(Self { candidate, server })
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Downloads, telling how much is verified, and compares.
async fn download(
    shared: &Shared,
    target: &Path,
    sources: &[Source],
    progress: impl Fn(u64),
) -> Outcome<(Duration, Report)> {
    let candidates: Vec<_> = sources.iter().map(|source| source.candidate.clone()).collect();
    let begun = Instant::now();
    let sink = Arc::new(FileSink::open(target, shared.manifest.clone(), quick()).await?);
    let (events, never) = (SwarmEvents::default(), CancellationToken::new());
    let downloader = Downloader::default();
    let options = DownloadOptions::default();
    let work = downloader.download(sink, Arc::new(candidates), options, events.clone(), &never);
    let watch = async {
        loop {
            progress(events.progress().verified);
            sleep(Duration::from_millis(10)).await;
        }
    };
    let report = tokio::select! {
        report = Box::pin(work) => report?,
        () = watch => return Err("the watch has an end".into()),
    };
    let took = begun.elapsed();
    let got = hash_file(&File::open(target)?, None, &|_| (), &false.into())?;
    if got.id() != shared.manifest.id() {
        return Err("the file is wrong".into());
    }
    fs::remove_file(target)?;
    Ok((took, report))
}

/// Lets everybody in, and gives everybody a grant.
struct Anybody;

impl TransferGuard for Anybody {
    fn admit(&self, _: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        let user = "racer".parse().map_err(|_| AccessDenied::Forbidden(String::new()))?;
        let expires_at = Timestamp::from_millis(i64::MAX);
        Ok(Admission { user, expires_at, reach: Reach::Everyone })
    }
}

#[async_trait]
impl GrantProvider for Anybody {
    async fn grant(&self, _: &GrantRequest) -> Result<String, TransferError> {
        Ok("any".to_owned())
    }
}
