//! Sources that come, go and grow while a download goes on.

#![allow(clippy::unwrap_used)]

mod swarm_sources;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use p2pshare_core::{
    content::{ContentId, Manifest, PIECE_LEN, PieceRun, hash_bytes},
    swarm::{
        Candidate, Discovery, DiscoveryError, DownloadOptions, Downloader, SwarmEvents, SwarmLimits,
    },
    testing::{Fault, FaultySource},
    transfer::{
        HaveStream, MemorySink, MemorySource, PieceSink, PieceSource, SegmentStream, TransferError,
    },
};
use swarm_sources::{
    MIB, Throttled, candidate, content, download, failure, faulty, full, options, partial, run,
    share, sink,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Gives one answer after the other, the last one for ever.
struct Changing(Mutex<VecDeque<Result<Vec<Candidate>, DiscoveryError>>>);

#[async_trait]
impl Discovery for Changing {
    async fn sources(&self, _: &ContentId) -> Result<Vec<Candidate>, DiscoveryError> {
        let mut answers = self.0.lock().unwrap();
        match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sources_that_come_later_are_used() {
    let data = content(40);
    let down = Err(DiscoveryError::new("the index does not answer"));
    let dies = TransferError::Unavailable("gone".into());
    let first = candidate(1, Throttled::new(faulty(&data, Fault::Fail(1_000_000, dies)), MIB));
    let second = candidate(2, full(&data));
    let answers = [down.clone(), Ok(vec![]), Ok(vec![first.clone()]), down, Ok(vec![second])];
    let sink = sink(&data);
    let report = download(&sink, Changing(Mutex::new(answers.into())), options()).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    assert!(report.sources.len() == 2 && failure(&report, 1).is_some());

    let down = Changing(Mutex::new([Err(DiscoveryError::new("the index is down"))].into()));
    let error = download(&MemorySink::new(hash_bytes(b"x")), down, options()).await.unwrap_err();
    assert!(error.to_string().contains("the index is down"), "{error}");
}

/// Counts how often it was asked.
struct Counting(Vec<Candidate>, Arc<AtomicU32>);

#[async_trait]
impl Discovery for Counting {
    async fn sources(&self, _: &ContentId) -> Result<Vec<Candidate>, DiscoveryError> {
        self.1.fetch_add(1, Relaxed);
        Ok(self.0.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn sources_are_not_looked_for_without_a_pause() {
    let data = content(3);
    let asked = Arc::new(AtomicU32::new(0));
    let sources = vec![candidate(1, Throttled::new(full(&data), MIB))];
    let hasty =
        DownloadOptions { first_refresh: Duration::ZERO, refresh: Duration::ZERO, ..options() };
    let sink = sink(&data);
    let report = download(&sink, Counting(sources, asked.clone()), hasty).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    let (asked, most) = (asked.load(Relaxed), report.elapsed.as_millis() / 100 + 1);
    assert!(u128::from(asked) <= most, "asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_comes_back_is_used_again() {
    let data = content(6);
    let gone = || Fault::Fail(0, TransferError::Unavailable("restarting".into()));
    let source = FaultySource::new(Arc::new(full(&data)), [gone()]);
    let handle = source.clone();
    let back = async move {
        sleep(Duration::from_secs(20)).await;
        handle.set([]);
    };
    let sink = sink(&data);
    let (report, ()) = tokio::join!(download(&sink, vec![candidate(1, source)], options()), back);
    assert!(failure(&report.unwrap(), 1).is_some());
    assert_eq!(sink.finished(), Some(data));
}

#[tokio::test(start_paused = true)]
async fn partial_sources_are_used_while_they_gain() {
    let data = content(32);
    let manifest = hash_bytes(&data);
    let left = partial(&data, &manifest, &[run(0, 10)]);
    let right = partial(&data, &manifest, &[]);
    let (growing_left, growing_right) = (left.clone(), right.clone());
    let growth = async {
        for piece in 10..32 {
            sleep(Duration::from_millis(500)).await;
            let grows = if piece % 2 == 0 { &growing_left } else { &growing_right };
            assert!(grows.gain(&manifest.id(), &data, run(piece, 1)));
        }
    };
    let sources = vec![
        candidate(1, Throttled::new(left, 4.0 * MIB)),
        candidate(2, Throttled::new(right, 4.0 * MIB)),
    ];
    let sink = sink(&data);
    let (report, ()) = tokio::join!(download(&sink, sources, options()), growth);
    let report = report.unwrap();
    assert_eq!(sink.finished(), Some(data.clone()));
    // The last piece comes to be after 11 s, and is fetched at once.
    assert!(report.elapsed < Duration::from_secs(12), "{:?}", report.elapsed);
    assert!(share(&report, 1) > 0.0 && share(&report, 2) > 10.0 * MIB);
}

#[tokio::test(start_paused = true)]
async fn sources_that_never_have_the_rest_end_the_download() {
    let data = content(8);
    let manifest = hash_bytes(&data);
    let half = partial(&data, &manifest, &[run(0, 4)]);
    let sink = sink(&data);
    let error = download(&sink, vec![candidate(1, half)], options()).await.unwrap_err();
    assert!(error.to_string().contains("peer 1: the source does not have piece 4"), "{error}");
    assert_eq!(sink.held().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn sources_of_no_use_make_room_for_others() {
    let data = content(8);
    let manifest = hash_bytes(&data);
    let half = |number| candidate(number, partial(&data, &manifest, &[run(0, 4)]));
    // More than are used at a time, and the one that has the rest comes last.
    let few: Vec<_> = (1..=5).map(half).collect();
    let seed = candidate(6, full(&data));
    let all = few.iter().cloned().chain([seed]).collect();
    let answers = [Ok(few.clone()), Ok(few.clone()), Ok(few), Ok(all)];
    let sink = sink(&data);
    let options = DownloadOptions { max_sources: 2, ..options() };
    let report = download(&sink, Changing(Mutex::new(answers.into())), options).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    assert!(report.elapsed < Duration::from_secs(60), "{:?}", report.elapsed);
    assert!(share(&report, 6) > 3.0 * MIB);
}

/// Nobody is there for a while but one that fails, and one that made room for it.
#[tokio::test(start_paused = true)]
async fn who_made_room_is_waited_for_as_if_he_were_there() {
    let data = content(8);
    let manifest = hash_bytes(&data);
    // What happens first of what happens at once is drawn by lot.
    for _ in 0..8 {
        let growing = partial(&data, &manifest, &[run(0, 4)]);
        let gone = TransferError::Unavailable("gone".into());
        let fails = FaultySource::new(Arc::new(full(&data)), vec![Fault::Fail(0, gone); 1000]);
        let grows = growing.clone();
        let growth = async {
            sleep(Duration::from_secs(90)).await;
            assert!(grows.gain(&manifest.id(), &data, run(4, 4)));
        };
        let sources = vec![candidate(1, growing), candidate(2, fails)];
        let sink = sink(&data);
        let options = DownloadOptions {
            max_sources: 1,
            patience: Duration::ZERO,
            lull: Duration::ZERO,
            ..options()
        };
        let (report, ()) = tokio::join!(download(&sink, sources, options), growth);
        assert!(report.unwrap().elapsed < Duration::from_secs(290));
        assert_eq!(sink.finished(), Some(data.clone()));
    }
}

/// All connections that there may be are to sources which have nothing for another download.
#[tokio::test(start_paused = true)]
async fn sources_of_no_use_to_one_download_do_not_keep_out_those_of_another() {
    let (long, short) = (content(500), content(4));
    let manifest = hash_bytes(&long);
    let slow = candidate(9, Throttled::new(full(&long), MIB));
    let useless = (1..=4).map(|number| candidate(number, partial(&long, &manifest, &[])));
    let long_sources: Vec<_> = useless.chain([slow]).collect();
    let downloader = Downloader::new(SwarmLimits::new(4, 64 * PIECE_LEN));
    let cancel = CancellationToken::new();
    let begin = |data: &Bytes, sources: Vec<Candidate>| {
        let (sink, events) = (sink(data), SwarmEvents::default());
        downloader.download(Arc::new(sink), Arc::new(sources), options(), events, &cancel)
    };
    let first = begin(&long, long_sources);
    let second = async {
        sleep(Duration::from_secs(1)).await;
        begin(&short, vec![candidate(8, full(&short))]).await
    };
    tokio::select! {
        report = first => panic!("the long one came first: {report:?}"),
        report = second => {
            let elapsed = report.unwrap().elapsed;
            assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");
        }
    }
}

/// It had nothing to say for longer than a lost source is waited for, and then fails once.
#[tokio::test(start_paused = true)]
async fn patience_begins_when_the_last_source_is_lost() {
    let data = content(8);
    let manifest = hash_bytes(&data);
    let growing = partial(&data, &manifest, &[run(0, 4)]);
    let source = FaultySource::new(Arc::new(growing.clone()), []);
    let handle = source.clone();
    let growth = async {
        sleep(Duration::from_secs(90)).await;
        handle.set([Fault::Fail(0, TransferError::Unavailable("reset".into()))]);
        assert!(growing.gain(&manifest.id(), &data, run(4, 4)));
        sleep(Duration::from_secs(5)).await;
        handle.set([]);
    };
    let sink = sink(&data);
    let options = DownloadOptions { patience: Duration::ZERO, ..options() };
    let (report, ()) = tokio::join!(download(&sink, vec![candidate(1, source)], options), growth);
    assert!(failure(&report.unwrap(), 1).is_some());
    assert_eq!(sink.finished(), Some(data));
}

/// It was lost once, and is there again: its queue is waited in as that of any other.
#[tokio::test(start_paused = true)]
async fn the_queue_of_a_source_that_came_back_is_waited_in() {
    let data = content(6);
    let reset = Fault::Fail(0, TransferError::Unavailable("reset".into()));
    let slow = Throttled::new(full(&data), 100.0 * MIB).queued(1).silent(Duration::from_secs(500));
    let source = FaultySource::new(Arc::new(slow), [reset]);
    let handle = source.clone();
    let mended = async {
        sleep(Duration::from_millis(100)).await;
        handle.set([]);
    };
    let sink = sink(&data);
    let options = DownloadOptions { patience: Duration::from_secs(15), ..options() };
    let (report, ()) = tokio::join!(download(&sink, vec![candidate(1, source)], options), mended);
    assert!(failure(&report.unwrap(), 1).is_some());
    assert_eq!(sink.finished(), Some(data));
}

#[tokio::test(start_paused = true)]
async fn sources_with_long_queues_do_not_keep_out_one_that_has_time() {
    let data = content(6);
    let busy = |number| {
        let slow = Throttled::new(full(&data), 100.0 * MIB).queued(1);
        candidate(number, slow.silent(Duration::from_secs(500)))
    };
    let few: Vec<_> = (1..=2).map(busy).collect();
    let all = few.iter().cloned().chain([candidate(9, full(&data))]).collect();
    let sink = sink(&data);
    let options = DownloadOptions { max_sources: 2, ..options() };
    let answers = Changing(Mutex::new([Ok(few), Ok(all)].into()));
    let report = download(&sink, answers, options).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    assert!(report.elapsed < Duration::from_secs(30), "{:?}", report.elapsed);
}

/// A source that has forgotten pieces since it told of them, as one that was started anew has.
struct Forgetful {
    told: MemorySource,
    holds: MemorySource,
    asked: Arc<AtomicU32>,
}

#[async_trait]
impl PieceSource for Forgetful {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.told.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        let first = self.asked.fetch_add(1, Relaxed) == 0;
        if first { &self.told } else { &self.holds }.have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        self.holds.fetch(content, runs).await
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_a_piece_no_more_is_asked_anew_what_it_has_and_not_struck_off() {
    let data = content(24);
    let manifest = hash_bytes(&data);
    let asked = Arc::new(AtomicU32::new(0));
    let forgetful = Forgetful {
        told: full(&data),
        holds: partial(&data, &manifest, &[run(0, 12)]),
        asked: asked.clone(),
    };
    let sources = vec![
        candidate(1, Throttled::new(forgetful, 4.0 * MIB)),
        candidate(2, Throttled::new(full(&data), MIB)),
    ];
    let sink = sink(&data);
    let report = download(&sink, sources, options()).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    assert!(matches!(failure(&report, 1), Some(TransferError::NotHeld(_))));
    // It goes on with what it has: 12 MiB at 4 MiB/s while the other gives the rest at 1 MiB/s.
    assert_eq!(asked.load(Relaxed), 2, "its have-set was not asked for again, or again and again");
    assert!(share(&report, 1) >= 10.0 * MIB, "{}", share(&report, 1));
    assert!(report.elapsed < Duration::from_secs(16), "{:?}", report.elapsed);
}
