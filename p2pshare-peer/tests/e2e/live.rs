//! Live folders: what changes in a shared folder is found by others soon, without another command.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
};

use serde_json::Value;

use crate::support::{Index, MIB, Peer, Process, assert_bytes, b3sum, noise, until};

/// Names and contents that others find by browsing.
fn published(by: &Peer, owner: &str) -> BTreeMap<String, String> {
    let items = by.run(["browse", owner, "-r"]).all("item");
    let text = |file: &Value, key: &str| file[key].as_str().expect("a text").to_owned();
    items.iter().map(|item| (text(&item["file"], "path"), text(&item["file"], "content"))).collect()
}

fn until_published(by: &Peer, owner: &str, files: &[(&str, &[u8])]) {
    let wanted: BTreeMap<_, _> =
        files.iter().map(|(name, bytes)| (format!("Live/{name}"), b3sum(bytes))).collect();
    until(&format!("{:?} are published", wanted.keys()), || {
        (published(by, owner) == wanted).then_some(())
    });
}

/// What was told of followed changes so far: files hashed, moved, gone.
fn followed(serving: &Process) -> [u64; 3] {
    let mut sum = [0; 3];
    for event in serving.events().iter().filter(|event| event["event"] == "followed") {
        for (sum, key) in sum.iter_mut().zip(["hashed", "moved", "removed"]) {
            *sum += event[key].as_u64().expect("a number");
        }
    }
    sum
}

/// Waits until so much was told of, which may be later than others find it.
fn until_followed(serving: &Process, all: [u64; 3]) {
    until(&format!("{all:?} were told"), || (followed(serving) == all).then_some(()));
}

/// What was noted of the one kind says nothing of the other.
#[test]
fn a_folder_that_took_the_place_of_a_file_is_followed_once_it_is_shared() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let live = alice.path("Live");
    fs::write(&live, "a file").unwrap();
    alice.ok(["share", "Live"]);
    let _serving = alice.serve(&[]);
    fs::remove_file(&live).unwrap();
    fs::create_dir(&live).unwrap();
    fs::write(live.join("a"), "a").unwrap();
    until("nothing of it is there", || published(&bob, "alice").is_empty().then_some(()));
    assert_eq!(alice.ok(["shares"]).one("share")["other_kind"], true);
    alice.ok(["share", "Live"]);
    fs::write(live.join("b"), "b").unwrap();
    until_published(&bob, "alice", &[("a", b"a"), ("b", b"b")]);
}

#[test]
fn changes_are_found_by_others_without_another_command() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let live = alice.path("Live");
    fs::create_dir(&live).unwrap();
    fs::write(live.join("kept"), "kept").unwrap();
    alice.share("Live");
    let serving = alice.serve(&[]);
    let kept = ("kept", &b"kept"[..]);

    // It comes as a whole: of a file that was open before its folder was followed nobody knows that.
    let film = noise(3 * MIB, 61);
    fs::write(alice.path("film"), &film).unwrap();
    fs::create_dir(live.join("sub")).unwrap();
    fs::rename(alice.path("film"), live.join("sub/blue train.flac")).unwrap();
    let hit = until("it is found", || bob.run(["search", "blue", "train"]).all("hit").pop());
    assert_eq!(hit["content"], b3sum(&film), "{hit}");
    until_published(&bob, "alice", &[kept, ("sub/blue train.flac", &film)]);
    bob.ok(["get", "alice:/Live/sub/blue train.flac", "-o", "film"]);
    assert_bytes(&bob.path("film"), &film);

    let changed = noise(2 * MIB, 62);
    fs::write(live.join("sub/blue train.flac"), &changed).unwrap();
    until_published(&bob, "alice", &[kept, ("sub/blue train.flac", &changed)]);
    until_followed(&serving.process, [2, 0, 0]);
    fs::rename(live.join("sub"), live.join("Jazz")).unwrap();
    until_published(&bob, "alice", &[kept, ("Jazz/blue train.flac", &changed)]);
    until("it is told", || (followed(&serving.process)[1] == 1).then_some(()));
    assert_eq!(followed(&serving.process)[0], 2, "a renamed file is not hashed");
    fs::write(live.join(".p2pignore"), "*.flac\n").unwrap();
    until_published(&bob, "alice", &[kept]);
    fs::remove_file(live.join(".p2pignore")).unwrap();
    until_published(&bob, "alice", &[kept, ("Jazz/blue train.flac", &changed)]);
    fs::remove_dir_all(live.join("Jazz")).unwrap();
    until_published(&bob, "alice", &[kept]);
    serving.stop().expect_code(0);
}

#[test]
fn a_file_that_is_being_written_is_published_once_it_is_done() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let live = alice.path("Live");
    fs::create_dir(&live).unwrap();
    alice.share("Live");
    let serving = alice.serve(&[]);
    // Of a file that was open before the folder was followed nobody knows that.
    let mut markers = vec!["begin".to_owned()];
    fs::write(live.join("begin"), "begin").unwrap();
    until_published(&bob, "alice", &[("begin", b"begin")]);
    let mut slow = File::create(live.join("slow")).unwrap();
    for number in 0..3 {
        slow.write_all(b"a part ").unwrap();
        let marker = format!("marker {number}");
        fs::write(live.join(&marker), &marker).unwrap();
        markers.push(marker);
        let files: Vec<_> = markers.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
        until_published(&bob, "alice", &files);
    }
    drop(slow);
    let mut files: Vec<_> = markers.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    files.push(("slow", b"a part a part a part "));
    until_published(&bob, "alice", &files);
    until_followed(&serving.process, [5, 0, 0]);
}

#[test]
fn ten_thousand_new_files_are_published_in_batches_and_renamed_without_hashing() {
    const FILES: u64 = 10_000;
    const RENAMED: u64 = 1_000;
    const FOLDERS: u64 = 20;
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let live = alice.path("Live");
    fs::create_dir(&live).unwrap();
    let served = alice.share_file("served", &noise(3 * MIB, 63));
    alice.share("Live");
    let serving = alice.serve(&[]);
    let before = index.requests();

    let place = |number: u64| live.join(format!("{}/{number}", number % FOLDERS));
    // Of a file that was open before its folder was followed nobody knows that; the first ones have nothing to write.
    for number in 0..FOLDERS {
        fs::create_dir(live.join(number.to_string())).unwrap();
        fs::write(live.join(format!("{number}/first")), "").unwrap();
    }
    until_followed(&serving.process, [FOLDERS, 0, 0]);
    for number in 0..FILES {
        fs::write(place(number), format!("the file {number}")).unwrap();
    }
    // Others are served meanwhile.
    let mut fetched = 0;
    let is_published =
        |total: u64| move |event: &Value| event["event"] == "published" && event["total"] == total;
    until("all are published", || {
        bob.ok(["get", &served, "-o", &format!("served {fetched}")]);
        fetched += 1;
        serving.process.events().iter().any(is_published(FOLDERS + FILES + 1)).then_some(())
    });
    until_followed(&serving.process, [FOLDERS + FILES, 0, 0]);
    // Each fetch takes some; one for each file would be thousands.
    let requests = index.requests() - before;
    assert!(requests < 500 + 20 * fetched, "{requests} requests beside {fetched} fetches");

    for number in 0..RENAMED {
        fs::rename(place(number), live.join(format!("renamed {number}"))).unwrap();
    }
    until("all renamed are followed", || (followed(&serving.process)[1] >= RENAMED).then_some(()));
    until("they are published", || {
        let hits = bob.run(["browse", "alice", "Live"]).all("item");
        let renamed = hits.iter().filter(|item| item.to_string().contains("renamed "));
        (renamed.count() as u64 == RENAMED).then_some(())
    });
    let [hashed, moved, _] = followed(&serving.process);
    assert_eq!((hashed, moved), (FOLDERS + FILES, RENAMED));
    serving.stop().expect_code(0);
}

#[test]
fn sharing_can_follow_without_serving_and_not_follow_at_all() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    for folder in ["Live", "Still"] {
        fs::create_dir(alice.path(folder)).unwrap();
        fs::write(alice.path(folder).join("first"), folder).unwrap();
    }
    alice.ok(["share", "--no-watch", "Still"]);
    let mut sharing = alice.start(["share", "--watch", "Live"]);
    assert_eq!(sharing.wait_for_event("watching")["elsewhere"], false);
    let shares = alice.ok(["shares"]).all("share");
    let watched: Vec<_> = shares.iter().map(|share| share["watched"].as_bool()).collect();
    assert_eq!(watched, [Some(true), Some(false)], "{shares:?}");

    // Another one finds that it is done already.
    assert_eq!(alice.ok(["share", "--watch", "Live"]).one("watching")["elsewhere"], true);
    fs::write(alice.path("Still/second"), "second").unwrap();
    fs::write(alice.path("Live/second"), "second").unwrap();
    until("it is published", || {
        let files = published(&bob, "alice");
        assert!(!files.contains_key("Still/second"));
        files.contains_key("Live/second").then_some(())
    });
    sharing.stop(rustix::process::Signal::INT).expect_code(0);

    let _serving = alice.serve(&[]);
    fs::write(alice.path("Live/third"), "third").unwrap();
    until("it is published", || {
        let files = published(&bob, "alice");
        assert!(!files.contains_key("Still/second"));
        files.contains_key("Live/third").then_some(())
    });
    alice.ok(["share"]);
    assert!(published(&bob, "alice").contains_key("Still/second"), "by hand it is looked at");
}
