//! Programs that are told to stop, and data directories that are in use.

use std::process::Command;

use rustix::process::Signal;

use crate::{
    support::{Index, MIB, Peer, Process, assert_bytes, begun_by, noise, parts, until},
    swarm::until_done,
};

#[test]
fn an_interrupted_download_says_how_to_go_on() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(16 * MIB, 61);
    let id = alice.share_file("film", &bytes);
    let serving = alice.serve(&["--upload-limit", "512KiB"]);
    let mut before = 0;
    for signal in [Signal::INT, Signal::TERM] {
        let mut download = bob.start(["get", &id]);
        before = until_done(&mut download, before);
        let (message, hint) = download.stop(signal).expect_code(1).error();
        assert_eq!(message, "stopped");
        assert!(hint.contains("run the same command again"), "{hint}");
        assert!(!bob.path("film").exists());
        assert_eq!(parts(&bob.home()).len(), 1);
    }
    serving.stop().expect_code(0);
    let _serving = alice.serve(&[]);
    let file = bob.ok(["get", &id]).one("file");
    assert!(file["resumed_pieces"].as_u64().unwrap() > 0, "{file}");
    assert_bytes(&bob.path("film"), &bytes);
    assert!(parts(&bob.home()).is_empty());
}

#[test]
fn servers_stop_cleanly() {
    let mut index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    alice.share_file("film", b"film");
    for signal in [Signal::INT, Signal::TERM] {
        let serving = alice.serve(&[]);
        assert_eq!(bob.ok(["search", "film"]).one("hit")["online"], 1);
        serving.process.stop(signal).expect_code(0);
        // It has said goodbye, or soon it is missed.
        until("it is offline", || {
            (bob.ok(["search", "film"]).one("hit")["online"] == 0).then_some(())
        });
        index.stop(signal).expect_code(0);
        index.go_on();
    }
}

/// A peer that serves, and does with a signal what `env` is told.
fn serve_by_env(peer: &Peer, option: &str) -> Process {
    let inner = peer.command(["serve", "--listen", "127.0.0.1:0", "--json"]);
    let mut env = Command::new("env");
    env.arg(option);
    let mut serving = Process::start(begun_by(env, &inner));
    serving.wait_for_event("ready");
    serving
}

#[test]
fn a_peer_goes_with_its_terminal_unless_it_is_to_stay() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    alice.share_file("film", b"film");
    let mut serving = serve_by_env(&alice, "--ignore-signal=HUP");
    serving.signal(Signal::HUP);
    bob.ok(["get", "alice:/film"]);
    assert!(serving.is_running());
    serving.stop(Signal::TERM).expect_code(0);

    let serving = serve_by_env(&alice, "--default-signal=HUP");
    // A shell tells it too.
    serving.signal(Signal::HUP);
    serving.stop(Signal::HUP).expect_code(0);
    assert_eq!(bob.ok(["search", "film"]).one("hit")["online"], 0);
}

#[test]
fn one_data_directory_serves_once() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let serving = alice.serve(&[]);
    let said = alice.fails(1, ["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("already serving"), "{said}");
    assert_eq!(alice.ok(["status"]).one("status")["serving"], true);

    let bob = Peer::registered(&index, "bob");
    let said = bob.fails(1, ["serve", "--listen", &serving.listen()]);
    assert!(said.contains("--listen"), "{said}");

    serving.kill();
    assert_eq!(alice.ok(["status"]).one("status")["serving"], false);
    alice.serve(&[]).stop().expect_code(0);
}
