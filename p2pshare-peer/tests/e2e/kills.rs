//! Downloads and pushes whose programs are killed in the middle, again and again.

use std::{fs, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;

use crate::{
    support::{Ended, Index, MIB, Peer, Process, assert_bytes, b3sum, noise, parts, tree},
    swarm::until_done,
};

/// What a download may have fetched in vain when it is killed: what was verified but not told yet, or on its way.
const IN_FLIGHT: u64 = 6 * MIB as u64;

/// Bytes that were done at the first and the last time that the download told of any. Before it knows what is there
/// already it tells of none.
fn first_and_last_done(events: &[Value]) -> Option<(u64, u64)> {
    let told = events.iter().filter(|event| event["event"] == "progress");
    let mut done = told.map(|event| event["done"].as_u64().unwrap()).filter(|done| *done > 0);
    let first = done.next()?;
    Some((first, done.next_back().unwrap_or(first)))
}

/// Waits until the download has told of so many bytes more than at first; `false` if it ended before.
fn has_come_to(download: &mut Process, more: u64) -> bool {
    crate::support::until("the download goes on", || {
        if !download.is_running() {
            return Some(false);
        }
        let (first, last) = first_and_last_done(&download.events())?;
        (last >= first + more).then_some(true)
    })
}

/// Bytes that a whole run fetched, and bytes that it found there.
fn fetched_and_resumed(ended: &Ended) -> (u64, u64) {
    let file = ended.one("file");
    let bytes =
        file["sources"].as_array().unwrap().iter().map(|one| one["bytes"].as_u64().unwrap());
    (bytes.sum(), file["resumed_pieces"].as_u64().unwrap() * MIB as u64)
}

#[test]
fn a_download_survives_kills_of_either_side() {
    let seed = rand::random();
    println!("seed of the kills: {seed}");
    let mut random = StdRng::seed_from_u64(seed);

    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(24 * MIB + 12_345, seed);
    let id = alice.share_file("film.mkv", &bytes);
    assert_eq!(id, b3sum(&bytes));
    let limit = ["--upload-limit", "5MiB"];
    let mut serving = alice.serve(&limit);

    let mut there = 0;
    for round in 0..4 {
        let mut download = bob.start(["get", &id]);
        let more = random.random_range(0..3 * MIB as u64);
        if !has_come_to(&mut download, more) {
            // The last round may have had little left to do.
            download.wait().expect_code(0);
            break;
        }
        let ended = if round % 2 == 0 {
            download.kill()
        } else {
            serving.kill();
            let ended = download.wait();
            if ended.code == Some(0) {
                // It was faster than the kill.
                break;
            }
            let ended = ended.expect_code(5);
            let (why, hint) = ended.error();
            assert!(why.contains("alice"), "it does not say who failed: {why}");
            assert!(hint.contains("--wait"), "{hint}");
            serving = alice.serve(&limit);
            ended
        };
        if bob.path("film.mkv").exists() {
            // It was faster than the kill, else a half file has the final name.
            assert_bytes(&bob.path("film.mkv"), &bytes);
            break;
        }
        assert_eq!(parts(&bob.home()).len(), 1, "{:?}", tree(&bob.home()));
        let (first, last) = first_and_last_done(&ended.events()).unwrap();
        assert!(first >= there, "it had {there} bytes and began again with {first}");
        there = last;
    }
    let ended = bob.ok(["get", &id]);
    assert_bytes(&bob.path("film.mkv"), &bytes);
    assert_eq!(tree(&bob.home()).len(), 1, "{:?}", tree(&bob.home()));
    if ended.one("file")["state"] == "fetched" {
        let (fetched, resumed) = fetched_and_resumed(&ended);
        assert!(resumed >= there, "{resumed} of {there} bytes were found again");
        assert!(fetched + resumed >= bytes.len() as u64);
        assert!(fetched + resumed <= bytes.len() as u64 + IN_FLIGHT, "{fetched} of {resumed}");
    }
}

#[test]
fn a_download_that_waits_goes_on_when_its_source_comes_back() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(10 * MIB, 6);
    let id = alice.share_file("film.mkv", &bytes);
    let serving = alice.serve(&["--upload-limit", "512KiB"]);

    let mut download = bob.start(["get", &id, "--wait", "100"]);
    until_done(&mut download, 0);
    serving.kill();
    let _serving = alice.serve(&[]);
    download.wait().expect_code(0);
    assert_bytes(&bob.path("film.mkv"), &bytes);
}

#[test]
fn a_source_that_freezes_is_given_up() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(10 * MIB, 7);
    let id = alice.share_file("film.mkv", &bytes);
    let (serving, page) = alice.serve_slowly(MIB / 2);

    let mut download = bob.start(["get", &id]);
    until_done(&mut download, 0);
    serving.process.signal(rustix::process::Signal::STOP);
    let ended = download.wait().expect_code(5);
    let (why, _) = ended.error();
    assert!(why.contains("alice"), "{why}");
    assert!(!bob.path("film.mkv").exists());
    let told = ended.all("progress");
    let stalled = |one: &Value| one["stalled_seconds"].as_u64().is_some_and(|seconds| seconds >= 5);
    // It is told while nothing comes, and only then.
    let last = told.iter().rfind(|one| stalled(one)).unwrap();
    assert!(told.iter().any(|one| !stalled(one)), "{}", ended.story());
    assert_eq!(last["bytes_per_second"], 0, "{}", ended.story());
    assert!(last["eta_seconds"].is_null(), "{}", ended.story());

    serving.process.signal(rustix::process::Signal::CONT);
    page.limit_uploads(None);
    // The index may have missed it meanwhile.
    bob.ok(["get", &id, "--wait", "100"]);
    assert_bytes(&bob.path("film.mkv"), &bytes);
}

#[test]
fn a_push_survives_kills_of_either_side() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(48 * MIB + 1, 8);
    fs::write(bob.path("gift.bin"), &bytes).unwrap();
    let inbox = alice.path("inbox");
    let with_inbox = ["--inbox", inbox.to_str().unwrap()];
    let gift = inbox.join("bob/gift.bin");
    let mut serving = alice.serve(&with_inbox);

    let written = || {
        let part = parts(&inbox).pop()?;
        let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(inbox.join(part)).ok()?);
        Some(blocks * 512)
    };
    let mut before = 0;
    for round in 0..2 {
        let mut push = bob.start(["push", "gift.bin", "alice"]);
        let more = crate::support::until("the push goes on", || {
            if !push.is_running() {
                return Some(false);
            }
            (written()? > before + 2 * MIB as u64).then_some(true)
        });
        if !more {
            break;
        }
        if round == 0 {
            push.kill();
        } else {
            serving.kill();
            push.wait().expect_code(5);
            serving = alice.serve(&with_inbox);
        }
        if gift.exists() {
            // It was faster than the kill.
            break;
        }
        before = written().unwrap();
    }
    // The receiver may take a moment to find that the sender is gone.
    crate::support::until("the push is let in again", || {
        let ended = bob.run(["push", "gift.bin", "alice"]);
        if ended.code == Some(0) {
            // If it was slow enough to tell.
            if let Some((first, _)) = first_and_last_done(&ended.events()) {
                assert!(
                    first + IN_FLIGHT >= before,
                    "{before} bytes were there, it sent from {first}"
                );
            }
            return Some(());
        }
        assert!(ended.error().0.contains("being pushed already"), "{}", ended.story());
        std::thread::sleep(Duration::from_millis(100));
        None
    });
    assert_bytes(&gift, &bytes);
    assert_eq!(tree(&inbox).len(), 1, "{:?}", tree(&inbox));
    drop(serving);
}

/// The index takes it for online still, and there is no other.
#[test]
fn who_waits_waits_for_a_source_that_was_killed_a_moment_ago() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let carol = Peer::registered(&index, "carol");
    let film = noise(3 * MIB, 61);
    alice.share_file("film", &film);
    alice.share_file("note", b"note");
    alice.serve(&[]).kill();
    for wanted in ["alice:/film", "alice:/note"] {
        let (_, hint) = bob.run(["get", wanted]).expect_code(5).error();
        assert!(hint.contains("--wait"), "{hint}");
        let (_, hint) = bob.run(["get", wanted, "--wait", "1"]).expect_code(5).error();
        assert!(hint.contains("within 1 s"), "{hint}");
    }
    let (bobs, carols) = (
        bob.start(["get", "alice:/film", "--wait", "100"]),
        carol.start(["get", "alice:/note", "--wait", "100"]),
    );
    let _serving = alice.serve(&[]);
    bobs.wait().expect_code(0);
    carols.wait().expect_code(0);
    assert_bytes(&bob.path("film"), &film);
    assert_bytes(&carol.path("note"), b"note");
}
