//! Random histories: whatever is done to a queue, and whenever its process ends, nothing is lost, nothing wrong gets a
//! name, and nothing stays of what was given up.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use p2pshare_core::testing::sample;
use p2pshare_peer::downloads::{
    DownloadFilter, DownloadId, DownloadManager, DownloadState, DownloadView, DownloadsError,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::support::{MIB, Peer, Seeder, files_below, start_index, wait_for};

const STEPS: usize = 60;

struct History {
    rng: StdRng,
    seeder: Seeder,
    bob: Peer,
    manager: DownloadManager,
    files: BTreeMap<String, Bytes>,
    /// The downloads that are not forgotten, with their folders.
    downloads: BTreeMap<DownloadId, String>,
    next: usize,
    seed: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_nothing_is_lost_and_nothing_is_left() {
    let index = start_index().await;
    for seed in 1..=4 {
        let seeder = Seeder::start(&format!("alice{seed}"), &index).await;
        let files: Vec<_> = (0..12_u64)
            .map(|n| (format!("Box/{n}"), sample(n * n * 40_000 + n, seed * 100 + n)))
            .collect();
        seeder.share_all(&files).await;
        let bob = Peer::start(&format!("bob{seed}"), &index).await;
        let manager = bob.open().await;
        let mut history = History {
            rng: StdRng::seed_from_u64(seed),
            seeder,
            bob,
            manager,
            files: files.into_iter().collect(),
            downloads: BTreeMap::new(),
            next: 0,
            seed,
        };
        for _ in 0..STEPS {
            history.step().await;
            history.check().await;
        }
        history.end().await;
    }
}

impl History {
    async fn step(&mut self) {
        let some = self.some();
        match (self.rng.random_range(0..12), some) {
            (0..=2, _) if self.downloads.len() < 6 => self.add().await,
            (3, Some(id)) => self.legal(self.manager.pause(id).await),
            (4, Some(id)) => self.legal(self.manager.resume(id).await),
            (5, Some(id)) => self.legal(self.manager.cancel(id).await),
            (6, Some(id)) => self.legal(self.manager.retry(id).await),
            (7, Some(id)) => match self.manager.forget(id).await {
                Ok(()) => drop(self.downloads.remove(&id)),
                Err(error) => assert!(matches!(error, DownloadsError::State { .. }), "{error}"),
            },
            (8, _) => {
                self.manager.connect(None).await.unwrap();
                self.manager.connect(Some(self.bob.connection())).await.unwrap();
            }
            (9, _) => match self.rng.random_bool(0.5) {
                true => self.seeder.go().await,
                false => self.seeder.come().await,
            },
            (10, _) => self.kill().await,
            (11, _) => match self.rng.random_range(0..4) {
                0 => self.seeder.rate.set(None),
                mib => self.seeder.limit(mib * 2),
            },
            // Something comes meanwhile, or is found not to.
            (_, Some(id)) => {
                let before = self.manager.view(id).await.unwrap();
                let moves = |view: &DownloadView| {
                    view.bytes_done != before.bytes_done
                        || view.error.is_some()
                        || !matches!(view.state, DownloadState::Running | DownloadState::Resolving)
                };
                wait_for(&self.manager, id, moves).await;
            }
            _ => {}
        }
    }

    fn some(&mut self) -> Option<DownloadId> {
        let ids: Vec<_> = self.downloads.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[self.rng.random_range(0..ids.len())])
    }

    async fn add(&mut self) {
        let folder = format!("got{}", self.next);
        self.next += 1;
        let what = match self.rng.random_range(0..3) {
            0 => "Box".to_owned(),
            _ => format!("Box/{}", self.rng.random_range(0..12)),
        };
        let what = format!("alice{}:/{what}", self.seed);
        let id = self.bob.add(&self.manager, &folder, &what).await;
        self.downloads.insert(id, folder);
    }

    /// The process ends, at whatever it was.
    async fn kill(&mut self) {
        let nobody = Peer::queue(&self.bob, self.bob.options());
        drop(std::mem::replace(&mut self.manager, nobody));
        self.manager = self.bob.open().await;
    }

    fn legal(&self, result: Result<DownloadView, DownloadsError>) {
        if let Err(error) = result {
            assert!(matches!(error, DownloadsError::State { .. }), "seed {}: {error}", self.seed);
        }
    }

    /// What holds at any time.
    async fn check(&self) {
        let listed = self.manager.list(DownloadFilter::All, None, 100).await.unwrap().items;
        let ids: BTreeSet<_> = listed.iter().map(|view| view.id).collect();
        assert_eq!(ids, self.downloads.keys().copied().collect(), "seed {}", self.seed);
        for view in listed {
            assert!(view.files_done + view.files_failed <= view.files, "{view:?}");
            assert!(view.bytes_done <= view.bytes, "{view:?}");
            assert_eq!(view.state.is_settled(), view.finished_at.is_some(), "{view:?}");
            let folder = self.bob.folder(&self.downloads[&view.id]);
            let there = files_below(&folder);
            for (name, bytes) in &there {
                if name.contains(".part") {
                    assert_ne!(view.state, DownloadState::Cancelled, "{name} of {view:?}");
                    assert_ne!(view.state, DownloadState::Done, "{name} of {view:?}");
                } else {
                    assert!(self.is_right(name, bytes), "{name} is wrong in {view:?}");
                }
            }
            let complete = there.keys().filter(|name| !name.contains(".part")).count() as u64;
            assert!(complete >= view.files_done, "{view:?} has only {complete}");
        }
    }

    fn is_right(&self, name: &str, bytes: &[u8]) -> bool {
        let known = self.files.get(name).or_else(|| self.files.get(&format!("Box/{name}")));
        known.is_some_and(|data| data[..] == *bytes)
    }

    /// In the end everything comes that was not given up.
    async fn end(self) {
        self.seeder.come().await;
        self.seeder.rate.set(None);
        self.manager.resume_all().await.unwrap();
        for id in self.downloads.keys() {
            let settled = wait_for(&self.manager, *id, |view| view.state.is_settled()).await;
            assert_ne!(settled.state, DownloadState::Failed, "seed {}: {settled:?}", self.seed);
            if settled.state == DownloadState::Done {
                assert_eq!(settled.bytes_done, settled.bytes);
                assert_eq!(settled.files_done, settled.files);
            }
        }
        self.check().await;
        assert!(self.files.values().map(Bytes::len).sum::<usize>() as u64 > 10 * MIB);
    }
}
