//! One file from peer to peer over loopback, beside a bare TCP copy that does the same with the bytes.
//!
//! `cargo bench --bench transfer [-- --test] [-- --mib N] [-- NAME ...]`. Both ends of each racer are processes of their own. All racers
//! hash with BLAKE3, write to a file and do not sync it; a file that was received is removed before the next run. Files
//! are where `TMPDIR` says.

use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use p2pshare_benches::far::{FarEnd, is_far_end, quick, read_options};
use p2pshare_benches::remote::Remote;
use p2pshare_benches::usage::{Usage, forget_peak};
use p2pshare_benches::{congestion, copy, is_smoke_run, median};
use p2pshare_core::content::{ContentId, Manifest, PIECE_LEN, PieceIndex, hash_file};
use p2pshare_core::identity::{PeerAddr, PeerKey};
use p2pshare_core::swarm::{
    Candidate, DownloadOptions, Downloader, ManifestOptions, SwarmEvents, manifest_from,
};
use p2pshare_core::transfer::{
    FileSink, FileSource, FileStamp, PieceSource, SharedFile, TransferError,
};
use p2pshare_peer::net::{
    ClientLimits, ClientSecurity, GrantProvider, GrantRequest, PeerConnector, PeerTls,
    PushProposal, RemotePeer,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MIB: u64 = 1 << 20;
const RUNS: usize = 5;
/// In which environment variables a near end finds who it is and what is sent.
const RACER: &str = "P2PSHARE_BENCH_RACER";
const FILE: &str = "P2PSHARE_BENCH_ORIGINAL";

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Racer {
    TcpCopy,
    FetchPlain,
    FetchTls,
    PushPlain,
    PushTls,
}

impl Racer {
    const ALL: [Self; 5] =
        [Self::TcpCopy, Self::FetchPlain, Self::FetchTls, Self::PushPlain, Self::PushTls];

    fn name(self) -> &'static str {
        match self {
            Self::TcpCopy => "tcp-copy",
            Self::FetchPlain => "fetch-plain",
            Self::FetchTls => "fetch-tls",
            Self::PushPlain => "push-plain",
            Self::PushTls => "push-tls",
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    wall: Duration,
    near: Usage,
    far: Usage,
}

fn main() -> Outcome<()> {
    if is_far_end() {
        return Ok(());
    }
    if let Some(racer) = team_member() {
        return race_when_told(racer);
    }
    let (len, runs) = match is_smoke_run() {
        true => (8 * MIB, 1),
        false => (number_after("--mib").unwrap_or(1024) * MIB, RUNS),
    };
    let racers = chosen();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("original");
    write_noise(&file, len)?;
    let teams = racers.iter().map(|racer| Team::start(racer.name(), &file));
    let mut teams = teams.collect::<Result<Vec<_>, _>>()?;
    if !is_smoke_run() {
        // The first touch of memory, of the processor's clock, of the file system.
        for team in &mut teams {
            team.run()?;
        }
    }
    let mut results = vec![Vec::new(); racers.len()];
    for _ in 0..runs {
        for (team, results) in teams.iter_mut().zip(&mut results) {
            results.push(team.run()?);
        }
    }
    print_table(len, &racers, &results)
}

/// Whether this process is the near end of a team, and of which.
fn team_member() -> Option<Racer> {
    let name = std::env::var(RACER).ok()?;
    Racer::ALL.into_iter().find(|racer| racer.name() == name)
}

fn race_when_told(racer: Racer) -> Outcome<()> {
    let file = PathBuf::from(std::env::var_os(FILE).ok_or("no file")?);
    let mut race = Race::new(file)?;
    let mut answers = std::io::stdout().lock();
    for _ in std::io::stdin().lock().lines() {
        let Run { wall, near, far } = race.run(racer)?;
        let [wall, near_cpu, far_cpu] = [wall, near.cpu, far.cpu].map(|time| time.as_micros());
        let (near, far) = (near.peak_memory, far.peak_memory);
        writeln!(answers, "{wall} {near_cpu} {near} {far_cpu} {far}")?;
    }
    Ok(())
}

/// The two processes of one racer: this program again, which starts its far end. So nobody's memory is another's.
struct Team(Remote);

impl Team {
    fn start(racer: &str, file: &Path) -> Outcome<Self> {
        let file = file.as_os_str();
        Ok(Self(Remote::start(&[(RACER, OsStr::new(racer)), (FILE, file)])?))
    }

    fn run(&mut self) -> Outcome<Run> {
        let line = self.0.ask("run")?;
        let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
        let [wall, near_cpu, near, far_cpu, far] = numbers?[..] else {
            return Err(format!("a racer said `{line}`").into());
        };
        let usage = |cpu, peak_memory| Usage { cpu: Duration::from_micros(cpu), peak_memory };
        Ok(Run {
            wall: Duration::from_micros(wall),
            near: usage(near_cpu, near),
            far: usage(far_cpu, far),
        })
    }
}

fn number_after(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

fn chosen() -> Vec<Racer> {
    let named = |racer: &Racer| std::env::args().any(|argument| argument == racer.name());
    let chosen: Vec<_> = Racer::ALL.into_iter().filter(named).collect();
    if chosen.is_empty() { Racer::ALL.to_vec() } else { chosen }
}

struct Race {
    runtime: Runtime,
    far: FarEnd,
    folder: tempfile::TempDir,
    file: PathBuf,
    manifest: Manifest,
    hash: blake3::Hash,
}

impl Race {
    fn new(file: PathBuf) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let opened = fs::File::open(&file)?;
        let manifest = hash_file(&opened, None, &|_| (), &false.into())?;
        let far = FarEnd::start(&file, folder.path())?;
        Ok(Self {
            runtime: tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
            far,
            file,
            hash: blake3::Hash::from_bytes(*manifest.id().as_bytes()),
            manifest,
            folder,
        })
    }

    fn run(&mut self, racer: Racer) -> Outcome<Run> {
        let received = self.folder.path().join("received");
        let run = match racer {
            Racer::TcpCopy => self.measure(|race| {
                let stream = congestion::connect(race.far.doors.copy)?;
                let hash = copy::receive(stream, &received)?;
                (hash == race.hash).then_some(()).ok_or_else(|| "the copy is wrong".into())
            }),
            Racer::FetchPlain | Racer::FetchTls => {
                let peer = self.peer(racer == Racer::FetchTls)?;
                self.measure(|race| {
                    let content = race.manifest.id();
                    race.runtime.block_on(fetch(peer, content, &received))
                })
            }
            Racer::PushPlain | Racer::PushTls => {
                let peer = self.peer(racer == Racer::PushTls)?;
                // The connection is there already, so that its congestion control could be set.
                self.runtime.block_on(connect(&peer, self.manifest.id()))?;
                congestion::prepare_all();
                self.measure(|race| {
                    race.runtime.block_on(push(peer, race.file.clone(), race.manifest.clone()))
                })
            }
        }?;
        assert_eq!(
            fs::metadata(&received)?.len(),
            self.manifest.len(),
            "a whole file was received"
        );
        fs::remove_file(received)?;
        Ok(run)
    }

    fn measure(&mut self, work: impl FnOnce(&Self) -> Outcome<()>) -> Outcome<Run> {
        forget_peak();
        self.far.forget_peak()?;
        let (near, far) = (Usage::of_this_process(), self.far.usage()?);
        let started = Instant::now();
        work(self)?;
        let wall = started.elapsed();
        Ok(Run {
            wall,
            near: Usage::of_this_process().since(near),
            far: self.far.usage()?.since(far),
        })
    }

    fn peer(&self, tls: bool) -> Outcome<RemotePeer> {
        let doors = self.far.doors;
        let (port, security) = match tls {
            true => (doors.tls, ClientSecurity::Tls(PeerTls::new(&PeerKey::generate()?)?)),
            false => (doors.plain, ClientSecurity::Plain),
        };
        let addr = PeerAddr::from_socket(([127, 0, 0, 1], port).into()).ok_or("no address")?;
        Ok(PeerConnector::new(security, ClientLimits::default()).peer(doors.id, vec![addr]))
    }
}

/// As `get` does it: manifest, sink, swarm.
async fn fetch(peer: RemotePeer, content: ContentId, target: &Path) -> Outcome<()> {
    let source = Arc::new(peer.source(Arc::new(AnyGrant)));
    let candidates = vec![Candidate { id: peer.id(), label: "far end".to_owned(), source }];
    let cancel = CancellationToken::new();
    let found = manifest_from(&content, &candidates, ManifestOptions::default(), &cancel).await?;
    let sink = Arc::new(FileSink::open(target, found.manifest, quick()).await?);
    let (options, events) = (DownloadOptions::default(), SwarmEvents::default());
    let discovery = Arc::new(candidates);
    Downloader::default().download(sink, discovery, options, events, &cancel).await?;
    Ok(())
}

/// Fetches a piece, so that there is a connection for bytes.
async fn connect(peer: &RemotePeer, content: ContentId) -> Outcome<()> {
    use futures::TryStreamExt;

    let source = peer.source(Arc::new(AnyGrant));
    let segments = source.fetch(&content, &[PieceIndex(0).into()]).await?;
    segments.try_for_each(|_| async { Ok(()) }).await?;
    Ok(())
}

async fn push(peer: RemotePeer, path: PathBuf, manifest: Manifest) -> Outcome<()> {
    let stamp = FileStamp::of(&fs::metadata(&path)?);
    let source = FileSource::new(read_options());
    source.insert(SharedFile { path, manifest: manifest.clone(), stamp });
    let proposal = PushProposal { name: "received".parse()?, manifest };
    peer.push(&proposal, &source, &AnyGrant, &|_| ()).await?;
    Ok(())
}

struct AnyGrant;

#[async_trait]
impl GrantProvider for AnyGrant {
    async fn grant(&self, _: &GrantRequest) -> Result<String, TransferError> {
        Ok("any".to_owned())
    }

    fn refused(&self, _: &GrantRequest, _: &str) {}
}

/// Bytes that do not repeat.
fn write_noise(path: &Path, len: u64) -> std::io::Result<()> {
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut file = fs::File::create(path)?;
    let mut piece = vec![0; usize::try_from(PIECE_LEN).unwrap_or(1 << 20)];
    for _ in 0..len / PIECE_LEN {
        noise.fill(&mut piece);
        file.write_all(&piece)?;
    }
    Ok(())
}

fn print_table(len: u64, racers: &[Racer], results: &[Vec<Run>]) -> Outcome<()> {
    let gib = len as f64 / (1024 * MIB) as f64;
    let base = racers.iter().zip(results).find(|(racer, _)| **racer == Racer::TcpCopy);
    let base = base.map(|(_, runs)| middle(runs, |run| run.wall).as_secs_f64());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} MiB, median of {} runs; congestion control: {}",
        len / MIB,
        results.first().map_or(0, Vec::len),
        congestion::name(),
    )?;
    writeln!(
        out,
        "{:<12} {:>8} {:>8} {:>10} {:>10} {:>10} {:>9} {:>9} {:>9}",
        "", "s", "MB/s", "CPU s/GiB", "near", "far", "x copy", "near MiB", "far MiB"
    )?;
    for (racer, runs) in racers.iter().zip(results) {
        let wall = middle(runs, |run| run.wall).as_secs_f64();
        let near = middle(runs, |run| run.near.cpu).as_secs_f64() / gib;
        let far = middle(runs, |run| run.far.cpu).as_secs_f64() / gib;
        let cpu = middle(runs, |run| run.near.cpu + run.far.cpu).as_secs_f64() / gib;
        let peak = |of: fn(&Run) -> Usage| {
            runs.iter().map(|run| of(run).peak_memory).max().unwrap_or(0) / MIB
        };
        writeln!(
            out,
            "{:<12} {wall:>8.3} {:>8.0} {cpu:>10.2} {near:>10.2} {far:>10.2} {:>9} {:>9} {:>9}",
            racer.name(),
            len as f64 / 1e6 / wall,
            base.map_or_else(String::new, |base| format!("{:.2}", wall / base)),
            peak(|run| run.near),
            peak(|run| run.far),
        )?;
    }
    Ok(())
}

fn middle(runs: &[Run], of: impl Fn(&Run) -> Duration) -> Duration {
    median(&mut runs.iter().map(of).collect::<Vec<_>>())
}
