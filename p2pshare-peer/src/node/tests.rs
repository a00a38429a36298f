//! A node whose disk and files do not do as they should.

use std::{fs, net::Ipv4Addr, path::Path, pin::pin, time::Duration};

use rusqlite::Connection;
use tokio::time::timeout;

use super::{Node, NodeError, NodeOptions, SettingsChange, Topic, text};
use crate::data_dir::DataDir;

async fn open(folder: &Path) -> Node {
    let options = NodeOptions::new((Ipv4Addr::LOCALHOST, 0).into());
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

#[tokio::test]
async fn of_settings_that_are_changed_at_the_same_time_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(folder.path()).await;
    let name = |number: u16| text(&folder.path().join(number.to_string()));
    for number in 1..=20 {
        // Making folders takes a while.
        let slow = SettingsChange {
            download_folder: Some(name(number)),
            upload_slots: Some(number),
            ..SettingsChange::default()
        };
        let quick = SettingsChange { downloads_at_once: Some(number), ..SettingsChange::default() };
        let changed = tokio::join!(node.change_settings(slow), node.change_settings(quick));
        assert!(changed.0.is_ok() && changed.1.is_ok(), "{changed:?}");
        let now = node.inner.settings.current();
        assert_eq!((now.upload_slots, now.downloads_at_once), (number, number));
    }
}

#[tokio::test]
async fn an_inbox_that_cannot_be_kept_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let node = open(&folder.path().join("data")).await;
    // It cannot be written over.
    fs::create_dir_all(node.dir().path().join("settings.json/below")).unwrap();
    let inbox = Some(Some(text(&folder.path().join("inbox"))));
    let change = SettingsChange { inbox, ..SettingsChange::default() };
    let changed = node.change_settings(change).await;
    assert!(matches!(changed, Err(NodeError::DataDir(_))), "{changed:?}");
    assert_eq!(node.inbox().await.unwrap().folder, None);
    assert_eq!(node.state().inbox, None);
}
