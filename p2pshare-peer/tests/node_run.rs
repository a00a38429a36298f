//! The running peer as whoever embeds it runs it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use p2pshare_peer::{
    data_dir::DataDir,
    node::{Node, NodeError, NodeOptions},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

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
