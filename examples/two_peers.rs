//! The whole thing in one process, over real sockets: an index on SQLite and two peers, each with a user.
//!
//! ```text
//! cargo run --release --example two_peers              # with a file of 256 MiB that it makes
//! cargo run --release --example two_peers -- FILE      # with a file of yours
//! ```

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use indicatif::HumanBytes;
use p2pshare_core::{api::SearchQuery, identity::Username, transfer::RateLimit};
use p2pshare_examples::{Done, Peer, bar, content_of, get, make_file, start_index};
use p2pshare_peer::{download::Target, net::PushProgress, push};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        "   {} {}, {} hashed {}",
        report.0,
        if report.0 == 1 { "file" } else { "files" },
        HumanBytes(report.1),
        speed(report.1, begun.elapsed())
    );

    step("Both serve over TLS; bob takes files that others push");
    let inbox = place.join("bob's inbox");
    alice.serve(None, RateLimit::unlimited(), &stop, &mut running).await?;
    bob.serve(Some(inbox.clone()), RateLimit::unlimited(), &stop, &mut running).await?;

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
    let got = get(&bob, Target::Content(hit.content), &place.join("Downloads")).await?;
    println!("   {} {}", HumanBytes(hit.size), speed(hit.size, begun.elapsed()));

    step("Alice pushes a file to bob");
    let begun = Instant::now();
    let kept = push_to(&alice, &file, &bob.user).await?;
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

/// Pushes a file to a user; says under which name it is kept.
async fn push_to(peer: &Peer, file: &Path, to: &Username) -> Done<String> {
    let parcel = push::pack(file, |_| ()).await?;
    let bar = bar("", parcel.manifest.len());
    let progress = |progress| {
        if let PushProgress::Sent { bytes } = progress {
            bar.inc(bytes);
        }
    };
    let pace = push::Pace::default();
    let pushed = push::push(&peer.me, &peer.pool, &parcel, to, &pace, &progress).await?;
    bar.finish_and_clear();
    Ok(pushed.name.to_string())
}

/// Puts a copy of the user's file, or one that is made, where it will be shared.
fn prepare(given: Option<PathBuf>, folder: &Path) -> Done<PathBuf> {
    let Some(given) = given else {
        let path = folder.join("a generated file.bin");
        make_file(&path, 256)?;
        return Ok(path);
    };
    let path = folder.join(given.file_name().ok_or("this is not a file")?);
    fs::copy(&given, &path)?;
    Ok(path)
}

fn step(what: &str) {
    println!("→ {what}");
}

fn speed(bytes: u64, took: Duration) -> String {
    let rate = bytes as f64 / took.as_secs_f64();
    format!("in {:.2} s, {}/s", took.as_secs_f64(), HumanBytes(rate as u64))
}
