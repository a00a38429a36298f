//! A node whose disk and files do not do as they should.

use std::{net::Ipv4Addr, path::Path, pin::pin, time::Duration};

use rusqlite::Connection;
use tokio::time::timeout;

use super::{Node, NodeOptions, SettingsChange, Topic};
use crate::{data_dir::DataDir, metrics::PeerMetrics, net::ServerLimits};

async fn open(folder: &Path) -> Node {
    let options = NodeOptions {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        advertise: Vec::new(),
        port_mapping: false,
        insecure: false,
        limits: ServerLimits::default(),
        slots_for: Vec::new(),
        default_index: Vec::new(),
        metrics: PeerMetrics::new(),
        given: SettingsChange::default(),
    };
    Node::open(DataDir::open(folder).unwrap(), options).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_cannot_be_read_for_a_while_is_followed_again() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let catalog = Connection::open(node.dir().catalog()).unwrap();
    catalog.execute_batch("CREATE TABLE away AS SELECT * FROM state; DELETE FROM state").unwrap();
    let mut following = pin!(node.follow_catalog());
    let ended = timeout(Duration::from_secs(60), &mut following).await;
    assert!(ended.is_err(), "it is tried again");

    let mut changes = node.changes();
    catalog.execute_batch("INSERT INTO state SELECT * FROM away").unwrap();
    let told = async {
        while !changes.take().contains(&Topic::Shares) {
            assert!(changes.wait().await);
        }
    };
    tokio::select! {
        () = &mut following => panic!("it ends"),
        () = told => {}
    }
}
