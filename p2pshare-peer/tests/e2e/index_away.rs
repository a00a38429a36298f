//! An index that is down, dies, comes back, or comes back without its memory.

use std::fs;

use rustix::process::Signal;

use crate::{
    support::{Index, MIB, Peer, assert_bytes, noise, until},
    swarm::until_done,
};

/// Peers hear soon of what has happened to the index.
const OFTEN: [&str; 2] = ["--heartbeat-every", "1s"];

/// How many sources of a content are online; `None`: it is not known.
fn online(peer: &Peer, word: &str) -> Option<u64> {
    peer.run(["search", word]).all("hit").first()?["online"].as_u64()
}

#[test]
fn an_index_that_is_down_is_told() {
    let mut index = Index::start();
    let bob = Peer::registered(&index, "bob");
    let eve = Peer::new(&index, "eve");
    index.kill();

    // Side by side, for each of them waits for the index for a while.
    let commands: Vec<_> = [&["search", "x"][..], &["whoami"], &["get", "alice:/"], &["logout"]]
        .into_iter()
        .map(|args| bob.start(args))
        .chain([eve.start(["register", "eve"]), eve.start(["login", "eve"])])
        .collect();
    for command in commands {
        let (message, hint) = command.wait().expect_code(1).error();
        assert!(message.contains(&index.url()), "{message}");
        assert!(message.contains("cannot be reached"), "{message}");
        assert!(hint.contains("check the URL"), "{hint}");
    }
    // The session was not ended, so it is not forgotten, unless told so.
    index.go_on();
    bob.ok(["whoami"]);
    index.kill();
    bob.ok(["logout", "--forget"]);
    index.go_on();
    bob.fails(3, ["whoami"]);
}

#[test]
fn a_download_outlives_its_index_and_the_peer_comes_back_online() {
    let mut index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(12 * MIB, 51);
    let id = alice.share_file("film", &bytes);
    let mut serving = alice.serve(&["--upload-limit", "3MiB"]);

    let mut download = bob.start(["get", &id]);
    until_done(&mut download, 0);
    index.kill();
    download.wait().expect_code(0);
    assert_bytes(&bob.path("film"), &bytes);

    // Something new can be shared meanwhile, and is published once the index is there.
    fs::write(alice.path("later"), b"later").unwrap();
    let mut sharing = alice.start(["share", "later"]);
    sharing.wait_for_event("shared");
    index.go_on();
    sharing.wait().expect_code(0);
    until("both are online", || {
        (online(&bob, "film") == Some(1) && online(&bob, "later") == Some(1)).then_some(())
    });
    assert!(serving.process.is_running());
    bob.ok(["get", "alice:/later"]);
    bob.ok(["get", &id, "-o", "again"]);
}

#[test]
fn a_peer_waits_for_an_index_that_comes_late() {
    let mut index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    alice.share_file("film", b"film");
    index.stop(Signal::TERM).expect_code(0);
    let mut serving = alice.start(["serve", "--listen", "127.0.0.1:0"]);
    serving.wait_for_event("warning");
    index.go_on();
    serving.wait_for_event("ready");
    bob.ok(["get", "alice:/film"]);
}

#[test]
fn a_peer_publishes_everything_to_an_index_that_has_forgotten_it() {
    let mut index = Index::start_with(&OFTEN);
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    index.stop(Signal::TERM).expect_code(0);
    let database = index.dir().join("index.db");
    let backup = fs::read(&database).unwrap();
    index.go_on();
    for number in 0..20 {
        alice.share_file(&format!("film {number}"), &noise(100, number));
    }
    let mut serving = alice.serve(&[]);
    assert_eq!(bob.ok(["search", "film"]).all("hit").len(), 20);

    // Somebody puts back the database of before.
    index.kill();
    for name in ["index.db-wal", "index.db-shm"] {
        let _ = fs::remove_file(index.dir().join(name));
    }
    fs::write(&database, backup).unwrap();
    index.go_on();
    bob.fails(4, ["search", "film"]);
    until("everything is online again", || {
        let hits = bob.run(["search", "film"]).all("hit");
        (hits.len() == 20 && hits.iter().all(|hit| hit["online"] == 1)).then_some(())
    });
    assert!(serving.process.is_running());
    bob.ok(["get", "alice:/film 7"]);
}

/// With as many files as there are now, but other ones.
#[test]
fn an_index_that_was_restored_is_told_what_has_changed_since() {
    let mut index = Index::start_with(&OFTEN);
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    alice.share_file("old", b"old");
    index.stop(Signal::TERM).expect_code(0);
    let database = index.dir().join("index.db");
    let backup = fs::read(&database).unwrap();
    index.go_on();
    let mut serving = alice.serve(&[]);
    alice.ok(["unshare", "old"]);
    alice.share_file("new", b"new");
    until("the new one is there", || online(&bob, "new").map(drop));

    index.kill();
    for name in ["index.db-wal", "index.db-shm"] {
        let _ = fs::remove_file(index.dir().join(name));
    }
    fs::write(&database, backup).unwrap();
    serving.process.wait_for_event("warning");
    index.go_on();
    until("it is told again", || online(&bob, "new").map(drop));
    bob.fails(4, ["search", "old"]);
    bob.ok(["get", "alice:/new"]);
}

#[test]
fn an_index_in_memory_starts_empty_and_is_filled_again() {
    let mut index = Index::start_with(&[&["--store", "memory:"][..], &OFTEN].concat());
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    alice.share_file("film", b"film");
    let serving = alice.serve(&[]);
    index.kill();
    index.go_on();
    // The accounts are gone, and with them the session of the peer that serves.
    bob.fails(3, ["whoami"]);
    let (why, _) = serving.process.wait().expect_code(3).error();
    assert!(why.contains("log in"), "{why}");
    alice.fails(3, ["login", "alice"]);
    for peer in [&alice, &bob] {
        peer.ok(["register", &peer.user]);
    }
    let serving = alice.serve(&[]);
    assert_eq!(serving.ready["published"], 1);
    bob.ok(["get", "alice:/film"]);
    assert_bytes(&bob.path("film"), b"film");
}
