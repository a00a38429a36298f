//! Downloads from peers behind faulty wires.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;
use p2pshare_core::content::Manifest;
use p2pshare_core::swarm::{
    Candidate, DownloadError, DownloadOptions, Downloader, ManifestOptions, SwarmEvents,
    manifest_from,
};
use p2pshare_core::testing::proxy::{Direction, WireFault, WireFaults};
use p2pshare_core::transfer::{MemorySink, MemorySource};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, PIECE, bytes, source_of, within};
use crate::wires::{STALL, Wired};

/// A download that nothing slows down ends in this time, one way or the other.
const BOUND: Duration = Duration::from_secs(45);

/// Settings of a download that goes on for about so long when all that it knows have failed.
fn options(patience: Duration) -> DownloadOptions {
    DownloadOptions {
        answer: STALL,
        stall: STALL,
        queue_stall: STALL,
        patience: 5 * patience,
        rest: Duration::from_millis(20),
        starving_patience: 4 * patience,
        max_failures: 3,
        ..DownloadOptions::default()
    }
}

/// One content, some peers that have it, and what was downloaded of it.
struct Scene {
    data: Bytes,
    memory: MemorySource,
    manifest: Manifest,
    wires: Vec<Wired>,
    patience: Duration,
    sink: Option<MemorySink>,
}

impl Scene {
    async fn new(len: usize, sources: usize, tls: bool) -> Self {
        let memory = MemorySource::new();
        let data = bytes(len);
        let manifest = memory.insert(data.clone());
        let wires = (0..sources).map(|_| Wired::start(&memory, None, tls, STALL));
        let wires = join_all(wires).await;
        Self { data, memory, manifest, wires, patience: STALL, sink: None }
    }

    /// One more peer, which is not given up although the machine is slow.
    async fn add_patient(&mut self, tls: bool) {
        self.wires.push(Wired::start(&self.memory, None, tls, PATIENCE).await);
        self.patience = PATIENCE;
    }

    fn candidates(&self) -> Vec<Candidate> {
        let label = |number| format!("source-{number}");
        let numbered = self.wires.iter().enumerate();
        let candidates = numbered.map(|(number, wire)| Candidate {
            id: wire.remote.id(),
            label: label(number),
            source: Arc::new(source_of(&wire.remote, "anna")),
        });
        candidates.collect()
    }

    /// Downloads as `get` does, going on from what is there.
    async fn download(&mut self) -> Result<Vec<u8>, DownloadError> {
        let (cancel, sources) = (CancellationToken::new(), self.candidates());
        let sink = match &self.sink {
            Some(sink) => sink.clone(),
            None => {
                let patience = 2 * self.patience;
                let asking = ManifestOptions { patience, ..ManifestOptions::default() };
                let id = self.manifest.id();
                let found = manifest_from(&id, &sources, asking, &cancel).boxed().await?;
                if let Some(data) = found.data {
                    return Ok(data.concat());
                }
                assert_eq!(found.manifest, self.manifest, "the manifest is wrong");
                self.sink.insert(MemorySink::new(found.manifest)).clone()
            }
        };
        let (to, events) = (Arc::new(sink.clone()), SwarmEvents::default());
        let (downloader, options) = (Downloader::default(), options(self.patience));
        downloader.download(to, Arc::new(sources), options, events, &cancel).boxed().await?;
        Ok(sink.finished().expect("a finished download").to_vec())
    }

    /// Downloads while things go wrong, and checks how it ends.
    async fn suffer(&mut self, story: &str) -> Option<Vec<u8>> {
        let Ok(result) = timeout(BOUND, self.download()).await else {
            let slow = self.wires.iter().any(Wired::was_slow);
            assert!(slow, "{story}: it hangs");
            return None;
        };
        match result {
            Ok(got) => {
                assert!(got == self.data, "{story}: wrong bytes");
                Some(got)
            }
            Err(DownloadError::AllFailed { causes }) => {
                for candidate in self.candidates() {
                    let named = causes.iter().any(|(label, _)| *label == candidate.label);
                    assert!(named, "{story}: no cause of {}: {causes:?}", candidate.label);
                }
                None
            }
            Err(error) => panic!("{story}: {error:?}"),
        }
    }

    /// Downloads over wires that are well again.
    async fn recover(&mut self, story: &str) {
        self.wires.iter().for_each(Wired::mend);
        let mut got = within(self.download()).await;
        for _ in 0..2 {
            if got.is_err() {
                // It may have met the faults of the two connections that were open. Now there are new ones.
                got = within(self.download()).await;
            }
        }
        let got = got.unwrap_or_else(|error| panic!("{story}, after it was mended: {error}"));
        assert!(got == self.data, "{story}, after it was mended: wrong bytes");
    }
}

/// Contents of no piece, one, and several.
const LENGTHS: [usize; 5] = [0, 5000, PIECE, 2 * PIECE + 9, 5 * PIECE];

#[tokio::test(flavor = "multi_thread")]
async fn random_faults_end_in_the_right_bytes_or_in_all_causes() {
    let runs = (0..40_u64).map(|seed| async move {
        let number = usize::try_from(seed).unwrap();
        let (len, sources) = (LENGTHS[number % LENGTHS.len()], 1 + number / 2 % 3);
        let tls = seed % 2 == 0;
        let story = format!("seed {seed}: {len} bytes, {sources} sources, TLS: {tls}");
        let mut scene = Scene::new(len, sources, tls).await;
        for (wire, number) in scene.wires.iter().zip(0..) {
            wire.trouble(seed * 16 + number);
        }
        let got = scene.suffer(&story).await;
        scene.recover(&story).await;
        got.is_some()
    });
    let mut well = 0;
    let runs: Vec<_> = runs.collect();
    for four in batches(runs) {
        well += join_all(four).await.into_iter().filter(|well| *well).count();
    }
    // Else nothing went wrong, or everything.
    assert!((5..40).contains(&well), "{well} of 40 ended well at once");
}

/// Few at a time, so that what is slow is slow because of the wire.
fn batches<T>(all: Vec<T>) -> Vec<Vec<T>> {
    let mut batches = Vec::new();
    let mut all = all.into_iter().peekable();
    while all.peek().is_some() {
        batches.push(all.by_ref().take(4).collect());
    }
    batches
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_faulty_wires_one_that_is_well_is_enough() {
    for seed in 100..112_u64 {
        let number = usize::try_from(seed).unwrap();
        let (len, tls) = (LENGTHS[number % LENGTHS.len()], seed % 2 == 0);
        let story = format!("seed {seed}: {len} bytes, TLS: {tls}");
        let mut scene = Scene::new(len, 2, tls).await;
        scene.wires[0].trouble(seed * 16);
        scene.wires[1].trouble(seed * 16 + 1);
        scene.add_patient(tls).await;
        let got = within(scene.download()).await;
        let got = got.unwrap_or_else(|error| panic!("{story}: {error}"));
        assert!(got == scene.data, "{story}: wrong bytes");
    }
}

/// Each kind of fault alone, in the midst of the bytes.
#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_survived() {
    let at = 2 * PIECE as u64 + 12_345;
    let faults = [
        WireFault::CorruptByte(at),
        WireFault::Cut(at),
        WireFault::Stall(at),
        WireFault::Reset(at),
    ];
    for tls in [true, false] {
        for fault in faults {
            let story = format!("{fault:?}, TLS: {tls}");
            let mut scene = Scene::new(4 * PIECE, 1, tls).await;
            // What comes again begins where it ended: two more of these and all is there.
            scene.wires[0].always(WireFaults::none().with(Direction::ToClient, fault));
            scene.suffer(&story).await;
            let held = scene.sink.as_ref().expect("a manifest");
            let held = p2pshare_core::transfer::PieceSink::held(held).len();
            assert!(held >= 1, "{story}: what came before the fault is lost");
            scene.recover(&story).await;
        }
    }
}

/// A connection that is dead without a word is not used again when it has shown that it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_attempt_does_not_wait_for_a_dead_connection() {
    for tls in [true, false] {
        let mut scene = Scene::new(4 * PIECE, 1, tls).await;
        let stall = WireFaults::none().with(Direction::ToClient, WireFault::Stall(PIECE as u64));
        // The first two connections: one for bytes, one for everything else.
        scene.wires[0].proxy.set_faults(move |connection| match connection {
            0 | 1 => stall,
            _ => WireFaults::none(),
        });
        let got = within(scene.download()).await;
        let got = got.unwrap_or_else(|error| panic!("TLS {tls}: {error}"));
        assert!(got == scene.data, "TLS {tls}: wrong bytes");
    }
}
