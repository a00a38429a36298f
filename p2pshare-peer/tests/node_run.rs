//! The running peer as whoever embeds it runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod share_support;
#[allow(dead_code, reason = "each program of tests uses a part of it")]
mod with_index;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    extract::Request,
    http::{StatusCode, header},
    middleware::{Next, from_fn},
    response::IntoResponse,
};
use p2pshare_core::api::{Problem, ProblemKind};
use p2pshare_peer::{
    catalog::PartialSources,
    daemon::DaemonEvent,
    data_dir::DataDir,
    node::{Node, NodeError, NodeOptions},
};
use share_support::Setting;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use with_index::{join, start, start_index_with};

/// Longest that anything may take before the test is taken for hung.
const PATIENCE: Duration = Duration::from_secs(60);

fn options() -> NodeOptions {
    NodeOptions::new(([127, 0, 0, 1], 0).into())
}

#[tokio::test]
async fn a_node_runs_once_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let _lock = dir.lock_for_serving().unwrap();
    let node = Node::open(dir.clone(), options()).await.unwrap();
    let stop = CancellationToken::new();
    let run = |node: &Node| {
        let (node, stop) = (node.clone(), stop.clone());
        async move { timeout(PATIENCE, Box::pin(node.run(true, Arc::new(|_| ()), stop))).await }
    };

    let (first, second) = tokio::join!(run(&node), async {
        let second = run(&node).await;
        stop.cancel();
        second
    });
    first.unwrap().unwrap();
    assert!(matches!(second, Ok(Err(NodeError::RunTwice))), "while it runs: {second:?}");
    let third = run(&node).await;
    assert!(matches!(third, Ok(Err(NodeError::RunTwice))), "once it has run: {third:?}");

    drop(node);
    let again = Node::open(dir, options()).await.unwrap();
    run(&again).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_whose_files_the_index_has_no_time_for_stays_online_and_says_why() {
    static BUSY: AtomicBool = AtomicBool::new(true);
    let index = start_index_with(|routes| {
        routes.layer(from_fn(async |request: Request, next: Next| {
            if BUSY.load(Relaxed) && request.uri().path().ends_with("/files") {
                let problem = Problem::new(ProblemKind::Timeout, "no time for this");
                let kind = [(header::CONTENT_TYPE, "application/problem+json")];
                let body = serde_json::to_string(&problem).unwrap();
                return (StatusCode::REQUEST_TIMEOUT, kind, body).into_response();
            }
            next.run(request).await
        }))
    })
    .await;
    let me = join("alice", &index).await;
    let mut setting = Setting::new();
    setting.write("first", "first");
    setting.share_all().await;
    let (events, mut told) = mpsc::unbounded_channel();
    let events = Arc::new(move |event| {
        if !matches!(event, DaemonEvent::Watch(_)) {
            drop(events.send(event));
        }
    });
    let stop = CancellationToken::new();
    start(&me, &setting.data_dir, &PartialSources::default(), &stop, events, |_| ());
    let mut next = async || timeout(PATIENCE, told.recv()).await.unwrap().unwrap();

    let is_trouble = |event: &DaemonEvent| match event {
        DaemonEvent::Trouble(why) => {
            why.contains("not published") && why.contains("no time for this")
        }
        _ => false,
    };
    let is_published = |event: &DaemonEvent| matches!(event, DaemonEvent::Published { .. });
    let first = next().await;
    assert!(is_trouble(&first), "{first:?}");
    assert_eq!(me.client().heartbeat(&me.id()).await.unwrap().entries, 0);
    BUSY.store(false, Relaxed);
    // It may have tried once more meanwhile.
    while let event = next().await
        && !matches!(event, DaemonEvent::Ready { published: 1, .. })
    {
        assert!(is_trouble(&event) || is_published(&event), "{event:?}");
    }

    BUSY.store(true, Relaxed);
    setting.write("second", "second");
    setting.share_all().await;
    let again = next().await;
    assert!(is_trouble(&again), "{again:?}");
    BUSY.store(false, Relaxed);
    // It was never away, so that it is not told to be back.
    while let event = next().await
        && !matches!(event, DaemonEvent::Published { total: 2 })
    {
        assert!(is_trouble(&event) || is_published(&event), "{event:?}");
    }
    stop.cancel();
}
