//! Many more downloaders than upload slots.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use p2pshare_core::content::{Manifest, PieceIndex, PieceSet, hash_bytes, verify_piece};
use p2pshare_core::identity::Username;
use p2pshare_core::swarm::{Candidate, DownloadOptions, Downloader, SwarmEvents};
use p2pshare_core::transfer::{MemorySource, PieceSink, SinkError};
use tokio_util::sync::CancellationToken;

use crate::support::{PIECE, Setup, bytes, source_of, until};

const DOWNLOADERS: usize = 100;
const SLOTS: usize = 8;
const PIECES: usize = 12;

/// Verifies pieces and forgets them.
struct Discarding {
    manifest: Manifest,
    held: Mutex<PieceSet>,
}

#[async_trait]
impl PieceSink for Discarding {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn held(&self) -> PieceSet {
        self.held.lock().unwrap().clone()
    }

    async fn put(&self, piece: PieceIndex, data: Vec<Bytes>) -> Result<(), SinkError> {
        verify_piece(&self.manifest, piece, data.iter().map(|slice| &slice[..]))?;
        self.held.lock().unwrap().insert(piece);
        Ok(())
    }

    async fn finish(&self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The most memory that this process had, in MiB.
#[cfg(target_os = "linux")]
fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    Some(line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10)
}

#[cfg(not(target_os = "linux"))]
fn peak_memory() -> Option<usize> {
    None
}

/// Pieces that each has.
fn pieces(sinks: &[Arc<Discarding>]) -> Vec<u32> {
    sinks.iter().map(|sink| sink.held().len()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_eight_slots_take_turns_and_none_starves() {
    let memory = MemorySource::new();
    let data = bytes(PIECES * PIECE);
    let manifest = hash_bytes(&data);
    memory.insert(data);
    let mut setup = Setup::tls(&memory);
    setup.slots = SLOTS;
    setup.limits.connections_per_address = 2 * DOWNLOADERS;
    setup.limits.handshake_timeout = Duration::from_secs(120);
    let server = setup.start().await;

    // Nothing is sent before all of them wait.
    let user = |name: String| -> Username { name.parse().unwrap() };
    let blockers = (0..SLOTS).map(|number| server.slots.acquire(user(format!("blocker{number}"))));
    let blockers = join_all(blockers.map(|blocker| blocker.unwrap().granted())).await;

    let sinks: Vec<_> = (0..DOWNLOADERS)
        .map(|_| {
            let held = Mutex::new(PieceSet::empty(PIECES as u32));
            Arc::new(Discarding { manifest: manifest.clone(), held })
        })
        .collect();
    let seen_at_first_end = Mutex::new(None);
    let downloads = sinks.iter().enumerate().map(async |(number, sink)| {
        let source = Arc::new(source_of(&server.tls(), &format!("user{number}")));
        let id = server.key.peer_id();
        let candidates = vec![Candidate { id, label: "server".into(), source }];
        let downloader = Downloader::default();
        let never = CancellationToken::new();
        let (options, events) = (DownloadOptions::default(), SwarmEvents::default());
        let report = downloader
            .download(sink.clone(), Arc::new(candidates), options, events, &never)
            .await
            .unwrap();
        seen_at_first_end.lock().unwrap().get_or_insert_with(|| pieces(&sinks));
        assert!(report.sources[0].failure.is_none(), "{:?}", report.sources[0].failure);
    });
    let unblock = async {
        until(|| server.slots.usage() == (SLOTS, DOWNLOADERS)).await;
        drop(blockers);
    };
    let all = async { tokio::join!(join_all(downloads), unblock) };
    tokio::time::timeout(Duration::from_secs(300), all).await.expect("somebody starves");
    until(|| server.slots.usage() == (0, 0)).await;

    assert!(pieces(&sinks).iter().all(|held| *held as usize == PIECES));
    // When the first had everything the others had had their turns too, but for those whose turn it was just then.
    let seen = seen_at_first_end.into_inner().unwrap().unwrap();
    let without = seen.iter().filter(|held| **held == 0).count();
    assert!(without <= 2 * SLOTS, "{without} had nothing yet: {seen:?}");
    // Much less than the 1200 MiB that were sent: both ends, all connections.
    if let Some(peak) = peak_memory() {
        assert!(peak < 500, "{peak} MiB");
    }
}
