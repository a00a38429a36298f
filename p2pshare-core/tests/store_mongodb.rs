//! The MongoDB store keeps the laws of index stores on a real replica set, and answers as the memory store does.
#![cfg(feature = "mongodb")]

mod mongodb_databases;

use std::time::{Duration, Instant};

use p2pshare_core::{
    backend::mongodb::{MongoStore, MongoUri},
    index::store::{IndexStore, StoreError},
    testing::{
        mongod::ReplicaSet,
        store::{block_on, history::histories_agree, run_all},
    },
};

use mongodb_databases::Databases;

#[test]
fn every_law_holds() {
    let Some(set) = ReplicaSet::start(3, 1000) else { return };
    let databases = Databases::of(&set);
    block_on(run_all(async || databases.store().await));
}

#[test]
fn every_history_has_the_answers_of_the_memory_store() {
    let Some(set) = ReplicaSet::start(3, 1000) else { return };
    let databases = Databases::of(&set);
    // Each takes a real database many seconds; others come with each run.
    histories_agree(async || databases.store().await, 6);
}

#[test]
fn several_processes_may_open_a_new_database_at_once() {
    let Some(set) = ReplicaSet::start(1, 1000) else { return };
    let uri = Databases::of(&set).uri("new");
    block_on(async {
        let open = || {
            let uri = uri.clone();
            tokio::spawn(async move { MongoStore::open(&uri).await })
        };
        let opened: Vec<_> = (0..6).map(|_| open()).collect();
        for opened in opened {
            let store = opened.await.expect("no panic").expect("the database opens");
            store.check().await.expect("the store answers");
        }
    });
}

#[test]
fn nobody_waits_longer_for_a_server_that_is_not_there_than_the_uri_says() {
    let uri = "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=100";
    let uri: MongoUri = uri.parse().expect("it is a URI");
    let begun = Instant::now();
    let error = block_on(MongoStore::open(&uri)).expect_err("nobody is there");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn what_is_no_replica_set_is_refused_and_no_password_is_told() {
    let Some(alone) = ReplicaSet::standalone() else { return };
    let open = |uri: &str| {
        let uri: MongoUri = uri.parse().expect("it is a URI");
        block_on(MongoStore::open(&uri)).expect_err("the store must not open")
    };
    let error = open(alone.uri());
    assert!(matches!(error, StoreError::Failed(_)), "{error}");
    assert!(error.to_string().contains("replica set"), "{error}");

    let mut told = String::new();
    let host = alone.uri().trim_start_matches("mongodb://").trim_end_matches('/').to_owned();
    for uri in [
        format!("mongodb://ann:s3cret@{host}/x?authMechanism=SCRAM-SHA-256"),
        format!("mongodb://ann:s3cret@{host}/x?nonsense=1&w=what"),
        "mongodb://ann:s3cret@127.0.0.1:notaport/x".to_owned(),
        "mongodb://ann:s3cret/x@127.0.0.1/x".to_owned(),
        "mongodb://ann:s3cret@127.0.0.1:1/x?serverSelectionTimeoutMS=100".to_owned(),
    ] {
        let error = open(&uri);
        told.push_str(&format!("{error} {error:?}\n"));
    }
    assert!(!told.contains("s3cret"), "{}", told);
}
