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
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use p2pshare_core::{
    api::{Problem, ProblemKind},
    identity::PeerKey,
    index::IndexConfig,
};
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

/// An index that fails, or has forgotten its peers.
#[derive(Default)]
struct Mood {
    /// It takes nothing that is published.
    failing: AtomicBool,
    /// The next heartbeat is that of a stranger, and then it fails.
    forgetful: AtomicBool,
}

impl Mood {
    fn refuses(&self, path: &str) -> Option<Problem> {
        if path.ends_with("/heartbeat") && self.forgetful.swap(false, Relaxed) {
            self.failing.store(true, Relaxed);
            return Some(Problem::new(ProblemKind::NotFound, "there is no such peer"));
        }
        let fails = path.ends_with("/files") && self.failing.load(Relaxed);
        fails.then(|| Problem::new(ProblemKind::Internal, "out of order"))
    }
}

async fn answer(State(mood): State<Arc<Mood>>, request: Request, next: Next) -> Response {
    let Some(problem) = mood.refuses(request.uri().path()) else {
        return next.run(request).await;
    };
    let status = StatusCode::from_u16(problem.status).unwrap();
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, serde_json::to_string(&problem).unwrap()).into_response()
}

#[tokio::test]
async fn a_peer_whose_files_the_index_does_not_take_is_online_and_says_why() {
    let mood = Arc::new(Mood::default());
    mood.failing.store(true, Relaxed);
    let layer = from_fn_with_state(mood.clone(), answer);
    let index = start_index_with(IndexConfig::default(), |routes| routes.layer(layer)).await;
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
    let mut next = async || match timeout(PATIENCE, told.recv()).await.unwrap().unwrap() {
        DaemonEvent::Trouble(why) => {
            assert!(why.contains("not published") && why.contains("out of order"), "{why}");
            "trouble".to_owned()
        }
        DaemonEvent::Ready { published, .. } => format!("ready with {published}"),
        DaemonEvent::Published { total } => format!("published {total}"),
        other => format!("{other:?}"),
    };

    // Told once, however often it is tried.
    assert_eq!(next().await, "Online");
    assert_eq!(next().await, "trouble");
    assert_eq!(me.client().heartbeat(&me.id()).await.unwrap().entries, 0);
    mood.failing.store(false, Relaxed);
    assert_eq!(next().await, "published 1");
    assert_eq!(next().await, "ready with 1");

    // It was never away, so that it is not told to be back.
    mood.failing.store(true, Relaxed);
    setting.write("second", "second");
    setting.share_all().await;
    assert_eq!(next().await, "trouble");
    mood.forgetful.store(true, Relaxed);
    mood.failing.store(false, Relaxed);
    assert_eq!(next().await, "published 2");

    // It was away, and is back before all is published.
    setting.write("third", "third");
    setting.share_all().await;
    assert_eq!(next().await, "Online");
    assert_eq!(next().await, "trouble");
    mood.failing.store(false, Relaxed);
    assert_eq!(next().await, "published 3");
    stop.cancel();
}

#[tokio::test]
async fn two_processes_with_one_key_are_told_of_each_other() {
    let heartbeat_every = Duration::from_secs(1);
    let config = IndexConfig { heartbeat_every, ..IndexConfig::default() };
    let index = start_index_with(config, |routes| routes).await;
    let me = join("alice", &index).await;
    let copy =
        me.with_key(Arc::new(PeerKey::from_pkcs8_der(&me.key().to_pkcs8_der().unwrap()).unwrap()));
    let setting = Setting::new();
    let (events, mut told) = mpsc::unbounded_channel();
    let events = Arc::new(move |event| drop(events.send(event)));
    let stop = CancellationToken::new();
    start(&me, &setting.data_dir, &PartialSources::default(), &stop, events, |_| ());
    let mut find = async |what: fn(&DaemonEvent) -> bool| {
        let find = async { while !what(&told.recv().await.unwrap()) {} };
        timeout(PATIENCE, find).await.unwrap();
    };
    find(|event| matches!(event, DaemonEvent::Ready { .. })).await;
    let beat = async || me.client().heartbeat(&me.id()).await.unwrap();
    assert!(!me.is_announced_elsewhere(&beat().await));
    assert!(!copy.is_announced_elsewhere(&beat().await), "it was never announced from there");

    // What may have been an accident is set right: the peer is announced anew.
    for _ in 0..2 {
        copy.announce(vec!["tcp://127.0.0.1:9".parse().unwrap()]).await.unwrap();
        assert!(me.is_announced_elsewhere(&beat().await));
        timeout(PATIENCE, async {
            while !copy.is_announced_elsewhere(&beat().await) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
    // Not the second time.
    find(|event| matches!(event, DaemonEvent::Trouble(why) if why.contains("was copied"))).await;
    stop.cancel();
}
