//! Files that change or go while they are served, and are not followed: that is noticed when they are fetched.

use std::{fs, fs::OpenOptions, os::unix::fs::FileExt};

use rustix::process::Signal;

use crate::support::{Index, MIB, Peer, assert_bytes, b3sum, noise, parts, tree, until};

/// A peer that others find by browsing has this content under this name.
fn published(peer: &Peer, owner: &str, name: &str) -> Option<String> {
    let items = peer.run(["browse", owner, "-r"]).all("item");
    let file = items.iter().map(|item| &item["file"]).find(|file| file["path"] == name)?;
    Some(file["content"].as_str()?.to_owned())
}

#[test]
fn a_file_that_changed_is_not_served_wrong_and_published_anew() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let _serving = alice.serve(&[]);
    for (name, len) in [("small", 1000), ("large", 5 * MIB)] {
        let old = noise(len, 21);
        let id = alice.share_unwatched_file(name, &old);
        // In place, of the same length.
        let mut new = old.clone();
        new[len / 2] ^= 1;
        let file = OpenOptions::new().write(true).open(alice.path(name)).unwrap();
        file.write_all_at(&new[len / 2..=len / 2], (len / 2) as u64).unwrap();
        drop(file);

        let said = bob.fails(1, ["get", &id]);
        assert!(said.contains("changed"), "{said}");
        assert!(!bob.path(name).exists());

        let new_id = until("the new version is published", || {
            published(&bob, "alice", name).filter(|content| *content != id)
        });
        assert_eq!(new_id, b3sum(&new));
        bob.ok(["get", &format!("alice:/{name}")]);
        assert_bytes(&bob.path(name), &new);
        bob.fails(4, ["get", &id, "-o", "old"]);
    }
}

/// As by a program that changes what a song is called in it and puts back its time.
#[test]
fn a_file_that_changed_without_a_trace_is_found_by_hashing_again() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let old = noise(3 * MIB, 25);
    let id = alice.share_unwatched_file("song", &old);
    alice.share_unwatched_file("kept", b"kept");
    let _serving = alice.serve(&[]);
    let mut new = old;
    new[MIB] ^= 1;
    let file = OpenOptions::new().write(true).open(alice.path("song")).unwrap();
    let before = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(&new[MIB..=MIB], MIB as u64).unwrap();
    file.set_modified(before).unwrap();
    drop(file);

    let said = bob.fails(6, ["get", &id]);
    assert!(said.contains("share --rehash"), "{said}");
    let shared = || {
        let again = alice.ok(["share"]).all("shared");
        again.iter().map(|share| share["hashed"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(shared(), 0);
    let again = alice.run(["share", "--rehash"]).expect_code(0);
    assert!(
        again.one("warning")["message"].as_str().unwrap().contains("song"),
        "{}",
        again.story()
    );
    let of = |share: &str, what: &str| {
        let shares = again.all("shared");
        shares.iter().find(|one| one["name"] == share).unwrap()[what].as_u64().unwrap()
    };
    assert_eq!(["hashed", "rewritten", "unchanged"].map(|what| of("song", what)), [1, 1, 0]);
    assert_eq!(["hashed", "rewritten", "unchanged"].map(|what| of("kept", what)), [1, 0, 1]);
    assert_eq!(published(&bob, "alice", "song"), Some(b3sum(&new)));
    bob.ok(["get", "alice:/song", "-o", "new"]);
    assert_bytes(&bob.path("new"), &new);
    assert_eq!(alice.ok(["share", "--rehash"]).all("warning").len(), 0);
}

#[test]
fn a_file_that_changes_while_it_is_sent_never_arrives_mixed() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let (old, new) = (noise(12 * MIB, 22), noise(12 * MIB, 23));
    let id = alice.share_unwatched_file("film", &old);
    let _serving = alice.serve(&["--upload-limit", "3MiB"]);

    let mut download = bob.start(["get", &id]);
    download.wait_for_event("progress");
    fs::write(alice.path("film"), &new).unwrap();
    let ended = download.wait();
    if ended.code == Some(0) {
        // The system may have read all of it ahead.
        assert_bytes(&bob.path("film"), &old);
    } else {
        let ended = ended.expect_code(1);
        assert!(ended.error().0.contains("changed"), "{}", ended.story());
        assert!(!bob.path("film").exists());
    }
    until("the new version is published", || {
        published(&bob, "alice", "film").filter(|content| *content == b3sum(&new))
    });
    bob.ok(["get", "alice:/film", "-o", "new"]);
    assert_bytes(&bob.path("new"), &new);
}

#[test]
fn a_file_that_is_gone_is_not_found_and_withdrawn() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let gone = alice.share_unwatched_file("gone", &noise(3 * MIB, 24));
    alice.share_unwatched_file("stays", b"stays");
    let _serving = alice.serve(&[]);

    fs::remove_file(alice.path("gone")).unwrap();
    let said = bob.fails(1, ["get", &gone]);
    assert!(said.contains("changed") || said.contains("no longer"), "{said}");
    assert!(!bob.path("gone").exists());
    until("it is withdrawn", || published(&bob, "alice", "gone").is_none().then_some(()));
    bob.fails(4, ["get", &gone]);
    bob.ok(["get", "alice:/stays"]);
}

#[test]
fn a_changed_file_with_an_unchanged_copy_is_served_from_the_copy() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(3 * MIB, 25);
    let id = alice.share_unwatched_file("first", &bytes);
    assert_eq!(alice.share_unwatched_file("second", &bytes), id);
    let _serving = alice.serve(&[]);
    fs::write(alice.path("first"), b"something else").unwrap();
    bob.ok(["get", &id, "-o", "file"]);
    assert_bytes(&bob.path("file"), &bytes);
}

#[test]
fn a_folder_in_the_place_of_a_shared_file_is_not_shared_for_it() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let notes = alice.path("notes.txt");
    fs::write(&notes, b"notes").unwrap();
    alice.ok(["share", "notes.txt"]);
    let _serving = alice.serve(&[]);
    bob.ok(["search", "notes"]).one("hit");
    fs::remove_file(&notes).unwrap();
    fs::create_dir(&notes).unwrap();
    fs::write(notes.join("private"), b"private").unwrap();
    // What it was is known to be gone, so the folder was looked at.
    until("the file is gone", || (bob.run(["search", "notes"]).code == Some(4)).then_some(()));
    let again = alice.ok(["share"]);
    assert!(again.one("warning")["message"].to_string().contains("it is a folder now"));
    bob.fails(4, ["search", "private"]);
    alice.ok(["share", "notes.txt"]);
    bob.ok(["search", "private"]).one("hit");

    for system in ["/", "/proc", "/sys"] {
        assert!(alice.fails(1, ["share", system]).contains("the system's"), "{system}");
    }
}

#[test]
fn of_a_file_that_was_changed_only_the_pieces_are_fetched_that_are_new() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let old = noise(20 * MIB + 77, 31);
    alice.share_file("log", &old);
    let _serving = alice.serve(&[]);
    bob.ok(["get", "alice:/log"]);

    let mut new = old;
    new[7 * MIB + 1] ^= 1;
    new.extend(noise(MIB, 32));
    fs::write(alice.path("log"), &new).unwrap();
    until("the new version is published", || {
        published(&bob, "alice", "log").filter(|content| *content == b3sum(&new))
    });
    bob.fails(1, ["get", "alice:/log"]);
    let got = bob.ok(["get", "alice:/log", "--overwrite"]);
    assert_bytes(&bob.path("log"), &new);
    let file = got.one("file");
    // The one in the middle, the last one that was longer than before, and the one after it.
    assert_eq!(file["resumed_pieces"], 19, "{}", got.story());
    let came: u64 =
        file["sources"].as_array().unwrap().iter().map(|it| it["bytes"].as_u64().unwrap()).sum();
    let (most, least) = (3 * MIB as u64, 2 * MIB as u64);
    assert!((least..most).contains(&came), "{}", got.story());
}

#[test]
fn what_came_of_an_older_version_is_used_for_the_new_one() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let old = noise(24 * MIB, 33);
    alice.share_file("disk", &old);
    let (_serving, page) = alice.serve_slowly(4 * MIB);
    let download = bob.start(["get", "alice:/disk"]);
    until("half of it has come", || {
        let done = |event: &serde_json::Value| event["done"].as_u64() > Some(12 * MIB as u64);
        download.events().iter().any(done).then_some(())
    });
    download.stop(Signal::INT).expect_code(1);
    assert!(!parts(&bob.home()).is_empty());
    page.limit_uploads(None);

    let mut new = old;
    new[23 * MIB] ^= 1;
    fs::write(alice.path("disk"), &new).unwrap();
    until("the new version is published", || {
        published(&bob, "alice", "disk").filter(|content| *content == b3sum(&new))
    });
    let got = bob.ok(["get", "alice:/disk"]);
    assert_bytes(&bob.path("disk"), &new);
    assert!(got.one("file")["resumed_pieces"].as_u64() >= Some(8), "{}", got.story());
    assert_eq!(tree(&bob.home()).len(), 1, "{:?}", tree(&bob.home()));
}
