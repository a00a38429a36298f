//! The far end of a race: a process of its own, so that what each side uses can be told apart.
//!
//! It is this program again, and answers each line that it is sent.

use std::io::{self, BufRead, Write};
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use p2pshare_core::content::hash_file;
use p2pshare_core::identity::{PeerId, PeerKey, Reach};
use p2pshare_core::time::Timestamp;
use p2pshare_core::transfer::{
    AccessDenied, AccessRequest, Admission, Committer, Durability, FileSink, FileSource, FileStamp,
    OpenSource, PushOffer, PushReceiver, PushTarget, RateLimit, ReadOptions, SharedFile,
    SinkOptions, TransferError, TransferGuard, UploadSlots,
};
use p2pshare_peer::net::{PeerTls, ServerLimits, ServerSecurity, ServerServices, Uploads, serve};

use crate::congestion;
use crate::copy;
use crate::remote::Remote;
use crate::usage::{Usage, forget_peak};

/// In whose environment variable the file and the folder for pushes are, for the far end.
const FILE: &str = "P2PSHARE_BENCH_FILE";
const INBOX: &str = "P2PSHARE_BENCH_INBOX";

/// Where the far end serves.
#[derive(Clone, Copy, Debug)]
pub struct Doors {
    /// The bare TCP copy.
    pub copy: u16,
    /// The peer in plain text.
    pub plain: u16,
    /// The peer over TLS.
    pub tls: u16,
    /// Who it is.
    pub id: PeerId,
}

/// The far end, seen from here. Dropping it ends it.
pub struct FarEnd {
    remote: Remote,
    /// Where it serves.
    pub doors: Doors,
}

impl FarEnd {
    /// Starts this program again, to serve `file` and to take pushes into `inbox`.
    ///
    /// # Errors
    /// When it cannot be started or says something else than where it serves.
    pub fn start(file: &Path, inbox: &Path) -> io::Result<Self> {
        let mut remote = Remote::start(&[(FILE, file.as_os_str()), (INBOX, inbox.as_os_str())])?;
        let line = remote.ask("doors")?;
        let doors = parse_doors(&line).ok_or_else(|| strange(&line))?;
        Ok(Self { remote, doors })
    }

    /// What it has used since its start; its peak since the last [`forget_peak`](Self::forget_peak).
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&mut self) -> io::Result<Usage> {
        let line = self.remote.ask("usage")?;
        let mut numbers = line.split(' ').filter_map(|word| word.parse().ok());
        let (Some(cpu), Some(peak_memory)) = (numbers.next(), numbers.next()) else {
            return Err(strange(&line));
        };
        Ok(Usage { cpu: Duration::from_micros(cpu), peak_memory })
    }

    /// Lets its peak of memory begin anew.
    ///
    /// # Errors
    /// When it has ended.
    pub fn forget_peak(&mut self) -> io::Result<()> {
        self.remote.ask("forget").map(drop)
    }
}

/// Is the far end if this process was started as one, until it is told no more; says whether it was.
///
/// # Panics
/// When it cannot serve: there is nobody to tell but the one who reads its error output.
pub fn is_far_end() -> bool {
    let (Some(file), Some(inbox)) = (std::env::var_os(FILE), std::env::var_os(INBOX)) else {
        return false;
    };
    run(PathBuf::from(file), PathBuf::from(inbox)).expect("the far end can serve");
    true
}

fn run(file: PathBuf, inbox: PathBuf) -> io::Result<()> {
    let key = PeerKey::generate().map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let services = services(&file, inbox)?;
    let listeners = [listener()?, listener()?, listener()?];
    let [copy, plain, tls] = [port(&listeners[0])?, port(&listeners[1])?, port(&listeners[2])?];
    let [copy_listener, plain_listener, tls_listener] = listeners;
    std::thread::spawn(move || copy::serve(&copy_listener, &file));
    let peer_tls = PeerTls::new(&key).map_err(io::Error::other)?;
    for (listener, security) in
        [(plain_listener, ServerSecurity::Plain), (tls_listener, ServerSecurity::Tls(peer_tls))]
    {
        listener.set_nonblocking(true)?;
        let services = services.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let never = std::future::pending();
            serve(listener, services, security, ServerLimits::default(), never).await
        });
    }
    let mut answers = io::stdout().lock();
    for order in io::stdin().lock().lines() {
        match order?.as_str() {
            "doors" => writeln!(answers, "{copy} {plain} {tls} {}", key.peer_id())?,
            "forget" => {
                forget_peak();
                writeln!(answers, "done")?;
            }
            _ => {
                let usage = Usage::of_this_process();
                writeln!(answers, "{} {}", usage.cpu.as_micros(), usage.peak_memory)?;
            }
        }
    }
    Ok(())
}

fn services(file: &Path, inbox: PathBuf) -> io::Result<ServerServices> {
    let opened = std::fs::File::open(file)?;
    let never = AtomicBool::new(false);
    let manifest = hash_file(&opened, None, &|_| (), &never).map_err(io::Error::other)?;
    let source = FileSource::new(read_options());
    let stamp = FileStamp::of(&opened.metadata()?);
    source.insert(SharedFile { path: file.to_owned(), manifest, stamp });
    Ok(ServerServices {
        source: Arc::new(OpenSource::new(Arc::new(source))),
        guard: Arc::new(Anybody),
        receiver: Some(Arc::new(Inbox { folder: inbox })),
        slots: UploadSlots::new(NonZeroUsize::new(8).unwrap_or(NonZeroUsize::MIN), 64),
        upload_rate: RateLimit::unlimited(),
        uploads: Uploads::default(),
    })
}

/// Lets everybody in.
struct Anybody;

impl TransferGuard for Anybody {
    fn admit(&self, _: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        let user = "racer".parse().map_err(|_| AccessDenied::Forbidden(String::new()))?;
        let expires_at = Timestamp::from_millis(i64::MAX);
        Ok(Admission { user, expires_at, reach: Reach::Everyone })
    }
}

/// Takes everything under the name that is proposed.
struct Inbox {
    folder: PathBuf,
}

#[async_trait]
impl PushReceiver for Inbox {
    fn check_length(&self, _: u64) -> Result<(), TransferError> {
        Ok(())
    }

    async fn accept(&self, offer: &PushOffer) -> Result<PushTarget, TransferError> {
        let target = self.folder.join(offer.name.as_str());
        let options = quick();
        let sink = FileSink::open(&target, offer.manifest.clone(), options).await;
        let sink = sink.map_err(|error| TransferError::Unavailable(error.to_string()))?;
        Ok(PushTarget { name: offer.name.clone(), sink: Arc::new(sink) })
    }
}

/// How files are read; in two environment variables other lengths can be tried, in KiB.
pub fn read_options() -> ReadOptions {
    let bytes = |name: &str| Some(std::env::var(name).ok()?.parse::<usize>().ok()? << 10);
    let usual = ReadOptions::default();
    ReadOptions {
        segment_len: bytes("P2PSHARE_BENCH_SEGMENT").unwrap_or(usual.segment_len),
        read_ahead: bytes("P2PSHARE_BENCH_READ_AHEAD").unwrap_or(usual.read_ahead),
        ..usual
    }
}

/// Without a sync at the end, like all racers.
pub fn quick() -> SinkOptions {
    SinkOptions { committer: Committer::new(Durability::None), ..SinkOptions::default() }
}

fn listener() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    congestion::prepare(&listener);
    Ok(listener)
}

fn port(listener: &TcpListener) -> io::Result<u16> {
    Ok(listener.local_addr()?.port())
}

fn parse_doors(line: &str) -> Option<Doors> {
    let mut words = line.split(' ');
    let mut port = || words.next()?.parse().ok();
    let (copy, plain, tls) = (port()?, port()?, port()?);
    Some(Doors { copy, plain, tls, id: words.next()?.parse().ok()? })
}

fn strange(line: &str) -> io::Error {
    io::Error::other(format!("the far end said `{line}`"))
}
