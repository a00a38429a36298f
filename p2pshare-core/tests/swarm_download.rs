//! Downloads from sources in memory, without a socket and with a clock that does not wait.

#![allow(clippy::unwrap_used)]

mod swarm_sources;

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use p2pshare_core::{
    content::{PIECE_LEN, hash_bytes},
    swarm::{
        DownloadError, DownloadOptions, Downloader, PlannerConfig, SwarmEvent, SwarmEvents,
        SwarmLimits,
    },
    testing::{Fault, FaultySource, sample},
    transfer::{MemorySink, MemorySource, PieceSink, TransferError},
};
use swarm_sources::{
    MIB, Panicking, Throttled, candidate, content, download, failure, faulty, full, options, share,
    sink,
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn one_source() {
    for len in [0, 1, 1024, PIECE_LEN, PIECE_LEN + 1, 9 * PIECE_LEN + 5] {
        let data = sample(len, 1);
        let sink = sink(&data);
        let report = download(&sink, vec![candidate(1, full(&data))], options()).await.unwrap();
        assert_eq!(sink.finished(), Some(data));
        assert_eq!(report.refetched, 0);
        let pieces = sink.manifest().layout().piece_count();
        assert_eq!(report.fetched + report.resumed, pieces);
    }
}

#[tokio::test(start_paused = true)]
async fn four_sources_share_in_proportion_to_their_speeds() {
    let data = content(80);
    let sources = (1..=4_u8).map(|n| candidate(n, Throttled::new(full(&data), f64::from(n) * MIB)));
    let sink = sink(&data);
    let report = download(&sink, sources.collect::<Vec<_>>(), options()).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    // 80 MiB at 10 MiB/s in all.
    assert!(report.elapsed < Duration::from_secs(10), "{:?}", report.elapsed);
    for number in 1..=4 {
        let fair = f64::from(number) * 8.0 * MIB;
        let got = share(&report, number);
        assert!((fair * 0.6..fair * 1.5).contains(&got), "{number}: {got} for {fair}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_liar_a_deserter_and_a_staller_do_no_harm() {
    let data = content(60);
    let dies = TransferError::Unavailable("the connection was closed".into());
    let slow = |source| Throttled::new(source, 4.0 * MIB);
    let sources = vec![
        candidate(1, Throttled::new(full(&data), 4.0 * MIB)),
        candidate(2, slow(faulty(&data, Fault::WrongOffset(1)))),
        candidate(3, slow(faulty(&data, Fault::Fail(3_500_000, dies)))),
        candidate(4, slow(faulty(&data, Fault::Stall(2_500_000)))),
        candidate(5, Panicking),
    ];
    let sink = sink(&data);
    let report = download(&sink, sources, options()).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    // The honest one alone needs 15 s.
    assert!(report.elapsed < Duration::from_secs(20), "{:?}", report.elapsed);
    assert!(failure(&report, 1).is_none());
    assert!(failure(&report, 2).is_some_and(TransferError::is_lie));
    assert!(matches!(failure(&report, 3), Some(TransferError::Unavailable(_))));
    assert!(failure(&report, 5).is_some());
}

#[tokio::test(start_paused = true)]
async fn wrong_bytes_are_found_and_fetched_elsewhere() {
    let data = content(20);
    let lies = (0..20).map(|piece| Fault::CorruptByte(piece * PIECE_LEN + 77));
    let liar = FaultySource::new(Arc::new(full(&data)), lies);
    let sources = vec![
        candidate(1, Throttled::new(full(&data), MIB)),
        candidate(2, Throttled::new(liar, 10.0 * MIB)),
    ];
    let sink = sink(&data);
    let report = download(&sink, sources, options()).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    assert!(matches!(failure(&report, 2), Some(TransferError::Mismatch(_))));
    assert!(report.refetched >= 1);
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_every_cause_is_told() {
    let data = content(5);
    let gone = TransferError::Unavailable("connection refused".into());
    let sources = vec![
        candidate(1, faulty(&data, Fault::WrongOffset(1))),
        candidate(2, faulty(&data, Fault::Fail(0, gone))),
        candidate(3, MemorySource::new()),
        candidate(4, faulty(&data, Fault::Stall(100))),
        candidate(5, faulty(&data, Fault::TooLittle(100))),
    ];
    let sink = sink(&data);
    let error = download(&sink, sources, options()).await.unwrap_err();
    let text = error.to_string();
    let DownloadError::AllFailed { causes } = error else {
        panic!("{text}");
    };
    assert_eq!(causes.len(), 5);
    let parts =
        ["peer 1: the protocol", "connection refused", "does not have", "nothing for", "ended"];
    for part in parts {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
    assert_eq!(sink.finished(), None);
}

#[tokio::test(start_paused = true)]
async fn without_patience_it_fails_at_once() {
    let data = content(5);
    let started = Instant::now();
    let patience = Duration::ZERO;
    let hasty = DownloadOptions { patience, ..options() };
    let error = download(&sink(&data), Vec::new(), hasty.clone()).await.unwrap_err();
    assert!(matches!(error, DownloadError::NoSources { discovery: None }));
    let gone = faulty(&data, Fault::Fail(0, TransferError::Unavailable("no".into())));
    let error = download(&sink(&data), vec![candidate(1, gone)], hasty).await.unwrap_err();
    assert!(matches!(error, DownloadError::AllFailed { .. }));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_has_given_bytes_may_be_away_for_a_moment() {
    let data = content(40);
    let dead = || Fault::Fail(0, TransferError::Unavailable("connection refused".into()));
    let hasty = DownloadOptions { patience: Duration::ZERO, ..options() };
    for (away, comes_back) in [(10, true), (3600, false)] {
        let faults =
            faulty(&data, Fault::Fail(3 << 20, TransferError::Unavailable("reset".into())));
        let source = Throttled::new(faults.clone(), 4.0 * MIB);
        let sink = sink(&data);
        let absence = async {
            sleep(Duration::from_secs(2)).await;
            faults.set([dead()]);
            sleep(Duration::from_secs(away)).await;
            faults.set([]);
            std::future::pending::<()>().await;
        };
        let started = Instant::now();
        let result = tokio::select! {
            result = download(&sink, vec![candidate(1, source)], hasty.clone()) => result,
            () = absence => unreachable!("it does not end"),
        };
        match comes_back {
            true => assert_eq!((result.is_ok(), sink.finished()), (true, Some(data.clone()))),
            false => {
                assert!(matches!(result, Err(DownloadError::AllFailed { .. })));
                assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cancelled_goes_on_from_where_it_was() {
    let data = content(40);
    let sink = sink(&data);
    let cancel = CancellationToken::new();
    let source = || candidate(1, Throttled::new(full(&data), 4.0 * MIB));
    let stop = async {
        sleep(Duration::from_secs(5)).await;
        cancel.cancel();
        Instant::now()
    };
    let downloader = Downloader::default();
    let events = SwarmEvents::default();
    let work = downloader.download(
        Arc::new(sink.clone()),
        Arc::new(vec![source()]),
        options(),
        events.clone(),
        &cancel,
    );
    let (result, stopped_at) = tokio::join!(work, stop);
    assert!(matches!(result, Err(DownloadError::Cancelled)));
    assert!(stopped_at.elapsed() < Duration::from_millis(1));
    let held = sink.held().len();
    assert!((15..=21).contains(&held), "{held}");
    let progress = events.progress();
    assert_eq!(progress.verified, u64::from(held) * PIECE_LEN);
    assert_eq!(progress.total, data.len() as u64);

    let again = Throttled::new(full(&data), 40.0 * MIB);
    let sent = again.sent();
    let report = download(&sink, vec![candidate(1, again)], options()).await.unwrap();
    assert_eq!(sink.finished(), Some(data.clone()));
    assert_eq!(report.resumed, held);
    let missing = data.len() as u64 - u64::from(held) * PIECE_LEN;
    assert_eq!(sent.load(Relaxed), missing);
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_hang_on_a_slow_source() {
    let data = content(30);
    // The slow one would need 17 minutes for one piece.
    let sources = vec![
        candidate(1, Throttled::new(full(&data), 1000.0)),
        candidate(2, Throttled::new(full(&data), 10.0 * MIB)),
    ];
    let sink = sink(&data);
    let report = download(&sink, sources, options()).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    assert!(report.elapsed < Duration::from_secs(6), "{:?}", report.elapsed);
}

#[tokio::test(start_paused = true)]
async fn the_next_request_is_sent_before_the_line_idles() {
    let data = content(60);
    let far = Throttled::new(full(&data), 10.0 * MIB).latency(Duration::from_millis(150));
    let sink = sink(&data);
    let report = download(&sink, vec![candidate(1, far)], options()).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    // 6 s of bytes and the way of the first request: none of the later ones is waited for.
    assert!(report.elapsed < Duration::from_millis(6300), "{:?}", report.elapsed);
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_has_time_for_a_segment_and_a_silent_one_none() {
    let data = content(2);
    let patient = DownloadOptions { stall: Duration::from_secs(90), ..options() };
    // A segment takes 64 s.
    let slow = candidate(1, Throttled::new(full(&data), 4096.0));
    let sink = sink(&data);
    let report = download(&sink, vec![slow.clone()], patient.clone()).await.unwrap();
    assert!(failure(&report, 1).is_none() && sink.finished() == Some(data.clone()));
    assert!(download(&MemorySink::new(hash_bytes(&data)), vec![slow], options()).await.is_err());

    let silent = Throttled::new(full(&data), MIB).latency(Duration::from_secs(16));
    let hasty = DownloadOptions { patience: Duration::ZERO, ..patient };
    let started = Instant::now();
    let sink = MemorySink::new(hash_bytes(&data));
    let error = download(&sink, vec![candidate(1, silent)], hasty).await.unwrap_err();
    assert!(error.to_string().contains("nothing for 15s"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(17), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_place_in_a_queue_is_told_and_waited_for() {
    let data = content(6);
    let events = SwarmEvents::default();
    let mut told = events.subscribe();
    let sink = sink(&data);
    let queued = Throttled::new(full(&data), 10.0 * MIB).queued(40);
    let cancel = CancellationToken::new();
    let downloader = Downloader::new(SwarmLimits::new(1, 1));
    let sources = Arc::new(vec![candidate(1, queued)]);
    let sink_handle = Arc::new(sink.clone());
    downloader.download(sink_handle, sources, options(), events, &cancel).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    let mut positions = Vec::new();
    let mut pieces = 0;
    while let Ok(event) = told.try_recv() {
        match event {
            SwarmEvent::Queued { position, .. } => positions.push(position),
            SwarmEvent::Piece { .. } => pieces += 1,
            _ => {}
        }
    }
    assert!(positions.starts_with(&[40, 39, 38]), "{positions:?}");
    assert_eq!(pieces, 6);
}

#[tokio::test(start_paused = true)]
async fn every_time_may_be_endless() {
    let never = Duration::MAX;
    let planner = PlannerConfig {
        run_time: never,
        swarm_run_time: never,
        min_gain: never,
        first_backoff: never,
        max_backoff: never,
        recheck: never,
        ..PlannerConfig::default()
    };
    let options = DownloadOptions {
        first_refresh: never,
        refresh: never,
        answer: never,
        stall: never,
        queue_stall: never,
        patience: never,
        lull: never,
        starving_patience: never,
        rest: never,
        planner,
        ..options()
    };
    let data = content(20);
    let dies = TransferError::Unavailable("the connection was closed".into());
    let sources = vec![
        candidate(1, MemorySource::new()),
        candidate(2, Throttled::new(faulty(&data, Fault::Fail(1_500_000, dies)), MIB)),
        candidate(3, Throttled::new(full(&data), 4.0 * MIB).queued(2)),
        candidate(4, Throttled::new(full(&data), MIB)),
    ];
    let sink = sink(&data);
    let report = download(&sink, sources, options).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
    assert!(failure(&report, 1).is_some() && failure(&report, 2).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_few_connections_serve_many_sources_of_which_most_are_dead() {
    let data = content(12);
    let gone = || Fault::Fail(0, TransferError::Unavailable("no route".into()));
    let mut sources: Vec<_> = (1..40).map(|n| candidate(n, faulty(&data, gone()))).collect();
    sources.push(candidate(99, full(&data)));
    let few = DownloadOptions {
        max_sources: 3,
        max_buffered: 1,
        patience: Duration::from_secs(600),
        ..options()
    };
    let sink = sink(&data);
    download(&sink, sources, few).await.unwrap();
    assert_eq!(sink.finished(), Some(data));
}
