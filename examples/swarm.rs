//! One seed, many downloaders that serve each other, each with a line of its own: who gets how much from whom.
//!
//! ```text
//! cargo run --release --example swarm                                # 6 downloaders of 128 MiB, lines of 40 MB/s
//! cargo run --release --example swarm -- --downloaders 12 --line 20 FILE
//! ```
//!
//! All are in one process, over real sockets and TLS.

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Parser;
use futures::future::try_join_all;
use indicatif::{HumanBytes, MultiProgress, ProgressBar};
use p2pshare_core::{
    content::ContentId,
    identity::PeerKey,
    transfer::{Durability, RateLimit},
};
use p2pshare_examples::{Done, Peer, bar, content_of, make_file, start_index};
use p2pshare_peer::{
    catalog::PartialSources,
    daemon::{DownloadServeOptions, DownloadServer, UPLOADS},
    download::{
        DownloadOptions, Fetched, JobEvent, JobProgress, Locator, Serving, Target, resolve, run,
    },
};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Options {
    /// How many download.
    #[arg(long, default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    downloaders: u8,
    /// How much each peer can send, in MB a second.
    #[arg(long, default_value = "40")]
    line: NonZeroU64,
    /// What to download; a file of 128 MiB is made unless told.
    file: Option<PathBuf>,
}

/// Bytes by who sent them.
type Got = BTreeMap<String, u64>;

#[tokio::main]
async fn main() -> Done {
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    let place = folder.path();
    let file = match options.file {
        Some(file) => file.canonicalize()?,
        None => {
            let file = place.join("film.mkv");
            make_file(&file, 128)?;
            file
        }
    };
    let size = fs::metadata(&file)?.len();
    let line = || RateLimit::new(Some(options.line.saturating_mul(MEGA)));
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    let index = start_index(place, &stop, &mut running).await?;

    let seed = Peer::join(place, "seed", &index).await?;
    seed.share(&file).await?;
    seed.serve(None, line(), &stop, &mut running).await?;
    let content: ContentId = content_of(&file)?.parse()?;
    let index = &index;
    let join = |number| async move { Peer::join(place, &format!("peer{number:02}"), index).await };
    let peers = try_join_all((1..=options.downloaders).map(join)).await?;

    println!("→ {} peers download {} at once", peers.len(), HumanBytes(size));
    let bars = MultiProgress::new();
    let begun = Instant::now();
    let downloads = peers.iter().map(async |peer| {
        let bar = bars.add(bar(peer.user.as_str(), size));
        let got = download(peer, content, place, line(), &bar).await?;
        bar.finish();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((peer.user.to_string(), got))
    });
    let all = try_join_all(downloads).await?;
    let took = begun.elapsed();
    for peer in &peers {
        let copy = folder_of(place, peer).join(file.file_name().unwrap_or_default());
        if content_of(&copy)? != content.to_string() {
            return Err(format!("{} is not what was shared", copy.display()).into());
        }
    }
    print_table(&all);
    let sent: u64 = all.iter().filter_map(|(_, got)| got.get("seed")).sum();
    let alone = size as f64 / options.line.saturating_mul(MEGA).get() as f64;
    println!(
        "   {:.2} s; the seed has sent {:.2} copies. To all one after the other it would send for {:.1} s.",
        took.as_secs_f64(),
        sent as f64 / size.max(1) as f64,
        alone * all.len() as f64,
    );
    stop.cancel();
    while let Some(ended) = running.join_next().await {
        ended?;
    }
    Ok(())
}

const MEGA: NonZeroU64 = NonZeroU64::MIN.saturating_add(999_999);

fn folder_of(place: &Path, peer: &Peer) -> PathBuf {
    place.join("downloads").join(peer.user.as_str())
}

/// Downloads as `p2pshare-peer get` does, and serves meanwhile what has come.
async fn download(
    peer: &Peer,
    content: ContentId,
    place: &Path,
    line: RateLimit,
    bar: &ProgressBar,
) -> Done<Got> {
    let folder = folder_of(place, peer);
    fs::create_dir_all(&folder)?;
    let wanted = resolve(peer.me.client(), &[Target::Content(content)], Some(&folder)).await?;

    let sources = PartialSources::new();
    let me = peer.me.with_key(Arc::new(PeerKey::generate()?));
    let server = DownloadServer::new(me, sources.clone());
    let serving = Serving { sources, peer: server.peer() };
    let options = DownloadServeOptions {
        listen: None,
        upload_slots: UPLOADS,
        upload_limit: line,
        insecure: false,
    };
    let stop = CancellationToken::new();
    let served = Box::pin(server.run(options, stop.clone()));

    let locator = Locator::new(peer.me.clone(), peer.pool.clone(), RateLimit::unlimited());
    let options = DownloadOptions {
        durability: Durability::None,
        serving: Some(serving),
        ..DownloadOptions::default()
    };
    let got = Mutex::new(Got::new());
    let events = |event: JobEvent<'_>| {
        if let JobEvent::Done(_, Fetched::Pieces(report)) = event {
            let mut got = got.lock().unwrap_or_else(PoisonError::into_inner);
            for source in &report.sources {
                // "peer03 (abcdef)"
                let name = source.label.split(' ').next().unwrap_or_default();
                *got.entry(name.to_owned()).or_default() += source.bytes;
            }
        }
    };
    let progress = JobProgress::default();
    let never = CancellationToken::new();
    let job = async {
        let report = Box::pin(run(locator, wanted, options, &progress, &events, &never)).await;
        stop.cancel();
        report
    };
    let show = async {
        while !stop.is_cancelled() {
            bar.set_position(progress.done());
            sleep(Duration::from_millis(50)).await;
        }
    };
    let (report, served, ()) = tokio::join!(job, served, show);
    served?;
    match report.failed.into_iter().next() {
        Some((_, error)) => Err(error.into()),
        None => Ok(got.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// A line for each who got, a column for each who gave, in MiB.
fn print_table(all: &[(String, Got)]) {
    let givers: Vec<_> =
        std::iter::once("seed").chain(all.iter().map(|(name, _)| name.as_str())).collect();
    print!("   {:<8}", "MiB from");
    givers.iter().for_each(|giver| print!("{giver:>8}"));
    println!();
    for (name, got) in all {
        print!("   {name:<8}");
        for giver in &givers {
            print!("{:>8}", got.get(*giver).copied().unwrap_or(0) >> 20);
        }
        println!();
    }
}
