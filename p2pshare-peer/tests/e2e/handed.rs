//! `get` and `downloads` through the running peer.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    support::{Index, MIB, Peer, Process, Serving, assert_bytes, b3sum, noise, parts, tree, until},
    swarm::until_done,
};

fn with_page(peer: &Peer) -> Serving {
    peer.serve(&["--ui", "127.0.0.1:0"])
}

/// The downloads that the peer lists.
fn listed(peer: &Peer) -> Vec<Value> {
    peer.ok(["downloads", "--all"]).all("download")
}

#[test]
fn a_get_through_the_running_peer_is_like_one_without() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let carol = Peer::registered(&index, "carol");
    let film = noise(5 * MIB + 7, 1);
    fs::create_dir_all(alice.path("Films")).unwrap();
    fs::write(alice.path("Films/film.mkv"), &film).unwrap();
    fs::write(alice.path("Films/notes.txt"), b"notes").unwrap();
    alice.share("Films");
    let serving = alice.serve(&[]);
    let _page = with_page(&bob);

    let id = b3sum(&film);
    let mut told = Vec::new();
    for peer in [&bob, &carol] {
        let one = peer.ok(["get", &id]);
        let file = one.one("file");
        assert_eq!((&file["state"], &file["content"]), (&"fetched".into(), &id.clone().into()));
        assert_bytes(&peer.path("film.mkv"), &film);
        let again = peer.ok(["get", &id]).one("done");
        let renamed = peer.ok(["get", "alice:/Films/film.mkv", "-o", "other name.mkv"]);
        assert_bytes(&peer.path("other name.mkv"), &film);
        let both = peer.ok(["get", "alice:/Films", "-o", "new/folder"]);
        assert_bytes(&peer.path("new/folder/Films/notes.txt"), b"notes");
        told.push((one.one("done"), again, renamed.one("done"), both.one("done")));

        fs::write(peer.path("taken.mkv"), b"something else").unwrap();
        let taken = peer.fails(1, ["get", "alice:/Films/film.mkv", "-o", "taken.mkv"]);
        assert!(taken.contains("taken.mkv"), "{taken}");
        peer.ok(["get", "alice:/Films/film.mkv", "-o", "taken.mkv", "--overwrite"]);
        assert_bytes(&peer.path("taken.mkv"), &film);
        assert!(peer.fails(4, ["get", "alice:/Films/none.mkv"]).contains("does not exist"));
        assert!(peer.fails(4, ["get", &b3sum(b"nobody has it")]).contains("does not exist"));
        fs::write(peer.path("a file"), b"x").unwrap();
        peer.fails(2, ["get", "alice:/Films", "-o", "a file"]);
    }
    assert_eq!(told[0], told[1], "the running peer tells something else");
    let done = listed(&bob).into_iter().find(|one| one["state"] == "done").unwrap();
    let resumed = bob.fails(1, ["downloads", "resume", &done["id"].to_string()]);
    assert!(resumed.contains("nothing left to fetch"), "{resumed}");
    assert!(carol.fails(1, ["get", &id, "--detach"]).contains("serve"));

    serving.stop();
    for peer in [&bob, &carol] {
        // What is here under another name would be taken from there.
        fs::remove_dir_all(peer.home()).unwrap();
        fs::create_dir(peer.home()).unwrap();
        let ended = peer.run(["get", &id]).expect_code(5);
        assert!(ended.error().1.contains("--wait"), "{}", ended.story());
        // What may still come has not failed, and it is not done.
        let told = ["waits", "background", "failed", "done"].map(|event| ended.all(event).len());
        let expected = if peer.home() == bob.home() { [1, 1, 0, 0] } else { [0, 0, 1, 1] };
        assert_eq!(told, expected, "{}", ended.story());
    }
    let _serving = alice.serve(&[]);
    until("the running peer goes on by itself", || bob.path("film.mkv").exists().then_some(()));
    assert!(!carol.path("film.mkv").exists());
}

#[test]
fn what_is_in_the_way_is_told_with_what_helps() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let carol = Peer::registered(&index, "carol");
    fs::create_dir_all(alice.path("Films")).unwrap();
    for name in ["a.txt", "b.txt"] {
        fs::write(alice.path("Films").join(name), name).unwrap();
    }
    alice.share("Films");
    let _serving = alice.serve(&[]);
    let _page = with_page(&bob);
    for peer in [&bob, &carol] {
        fs::create_dir(peer.path("Films")).unwrap();
        for folder in ["Films", "."] {
            fs::write(peer.path(folder).join("b.txt"), b"something else").unwrap();
        }
        let only = peer.fails(1, ["get", "alice:/Films/b.txt"]);
        assert!(only.contains("--overwrite") && !only.contains("same command"), "{only}");
        let several = peer.fails(1, ["get", "alice:/Films"]);
        assert!(several.contains("1 file of 2") && several.contains("mend what"), "{several}");
        let ended = peer.run(["get", "alice:/Films"]).expect_code(1);
        let failed = ended.one("failed");
        assert_eq!(failed["cause"], "place", "{failed}");
        assert_eq!(ended.all("warning").len(), 0, "told twice: {}", ended.story());
        assert_bytes(&peer.path("Films/a.txt"), b"a.txt");
        assert_bytes(&peer.path("Films/b.txt"), b"something else");
    }
    let several = listed(&bob).into_iter().find(|one| one["files"] == 2).unwrap();
    let why = several["error"].as_str().unwrap();
    assert!(why.contains("Films/b.txt: ") && why.contains("exists already"), "{why}");
    assert_eq!(several["cause"], "place");
    let id = several["id"].to_string();
    let files = bob.ok(["downloads", "files", &id]).all("file");
    let states: Vec<_> = files.iter().map(|file| file["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "failed"]);
    let failed = bob.ok(["downloads", "files", &id, "--failed"]).one("file");
    assert_eq!((&failed["name"], &failed["cause"]), (&"Films/b.txt".into(), &"place".into()));
    bob.fails(4, ["downloads", "files", "4711"]);
}

#[test]
fn the_same_get_again_joins_the_download_that_waits() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let film = noise(3 * MIB + 1, 5);
    let id = alice.share_file("film.mkv", &film);
    alice.serve(&[]).stop();
    let _node = with_page(&bob);

    let first = bob.run(["get", &id]).expect_code(5);
    let begun = first.one("begun");
    assert_eq!(begun["joined"], false);
    let again = bob.run(["get", &id]).expect_code(5).one("begun");
    assert_eq!((&again["download"], &again["joined"]), (&begun["download"], &true.into()));
    let told = bob.command(["get", &id]).output().unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    assert!(told.contains("already"), "{told}");
    assert_eq!(listed(&bob).len(), 1);

    // One that was paused goes on; to another folder it is another download.
    bob.ok(["downloads", "pause", &begun["download"].to_string()]);
    let resumed = bob.ok(["get", &id, "--detach"]).one("begun");
    assert_eq!(resumed["download"], begun["download"]);
    assert_ne!(listed(&bob)[0]["state"], "paused");
    let elsewhere = bob.ok(["get", &id, "--detach", "-o", "elsewhere/"]).one("begun");
    assert_eq!(elsewhere["joined"], false);
    assert_eq!(listed(&bob).len(), 2);

    let _serving = alice.serve(&[]);
    bob.ok(["get", &id, "--wait", "120"]);
    assert_bytes(&bob.path("film.mkv"), &film);
    assert_eq!(listed(&bob).len(), 2);
}

#[test]
fn whatever_a_download_waits_for_is_told_to_whoever_follows_it() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let film = noise(8 * MIB, 6);
    let id = alice.share_file("film.mkv", &film);
    let (_serving, page) = alice.serve_slowly(MIB / 2);
    let mut here = bob.start(["get", &id, "--here"]);
    until_done(&mut here, 0);
    page.hold_uploads();
    let _node = with_page(&bob);
    let mut get = bob.start(["get", &id, "--wait", "100"]);
    get.wait_for("what it waits for", |lines| {
        lines.iter().any(|line| line.contains("being downloaded already")).then_some(())
    });
    page.limit_uploads(None);
    here.wait().expect_code(0);
    get.wait().expect_code(0);
    assert_bytes(&bob.path("film.mkv"), &film);
}

#[test]
fn a_handed_over_download_survives_a_kill() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let film = noise(16 * MIB + 5, 2);
    let id = alice.share_file("film.mkv", &film);
    let (_serving, page) = alice.serve_slowly(MIB);
    let node = with_page(&bob);
    let mut get = bob.start(["get", &id]);
    until_done(&mut get, 0);
    page.hold_uploads();
    node.kill();
    assert!(!bob.path("film.mkv").exists(), "it was faster than the kill");
    page.limit_uploads(None);
    let _node = with_page(&bob);
    let ended = get.wait().expect_code(0);
    assert_eq!(ended.one("done")["failed"], 0);
    assert_bytes(&bob.path("film.mkv"), &film);
    assert_eq!(tree(&bob.home()).len(), 1, "{:?}", tree(&bob.home()));
}

#[test]
fn downloads_are_listed_and_changed() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let film = noise(12 * MIB, 3);
    let id = alice.share_file("film.mkv", &film);
    let (_serving, page) = alice.serve_slowly(MIB / 2);
    let _node = with_page(&bob);
    let begun = bob.ok(["get", &id, "--detach"]).one("begun");
    let number = begun["download"].to_string();
    let state = |wanted: &str| {
        until(wanted, || {
            listed(&bob)
                .into_iter()
                .find(|one| one["id"] == begun["download"] && one["state"] == wanted)
        })
    };
    until("it runs", || listed(&bob).iter().any(|one| one["bytes_done"] != 0).then_some(()));
    page.hold_uploads();
    bob.ok(["downloads", "pause", &number]);
    state("paused");
    bob.ok(["downloads", "resume", "--all"]);
    state("running");
    assert!(bob.fails(1, ["downloads", "forget", &number]).contains("running"));
    bob.ok(["downloads", "cancel", &number]);
    state("cancelled");
    until("nothing is left of it", || parts(&bob.home()).is_empty().then_some(()));
    bob.ok(["downloads", "retry", &number]);
    state("running");
    // Whoever stops following stops nothing.
    let mut get = bob.start(["get", &id, "-o", "again/"]);
    get.wait_for_event("begun");
    let ended = get.stop(Signal::INT).expect_code(1);
    assert!(ended.error().0.contains("background"), "{}", ended.story());
    assert_eq!(bob.ok(["downloads"]).all("download").len(), 2);
    // What does not fit one keeps nothing from the others.
    let ended = bob.run(["downloads", "cancel", "777", &number]).expect_code(4);
    assert!(ended.one("failed")["error"].as_str().unwrap().contains("777"));
    assert!(ended.error().0.contains("1 download of 2"), "{}", ended.story());
    state("cancelled");
    bob.ok(["downloads", "cancel", "--all"]);
    let ended = bob.run(["downloads", "forget", "777", &number]).expect_code(4);
    assert_eq!(ended.one("forgotten")["forgotten"], 1);
    bob.ok(["downloads", "forget", "--all"]);
    assert!(listed(&bob).is_empty());
    assert!(bob.fails(4, ["downloads", "pause", "777"]).contains("777"));
    bob.run(["downloads", "pause"]).expect_code(2);
    // Without a session none are seen, which does not mean that there are none.
    bob.ok(["logout"]);
    bob.fails(3, ["downloads"]);
}

#[test]
fn a_content_is_written_to_standard_output() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let film = noise(5 * MIB + 3, 4);
    let id = alice.share_file("film.mkv", &film);
    alice.share_file("empty", b"");
    let _serving = alice.serve(&[]);
    let read = |args: &[&str]| {
        let output = bob.command(args).output().unwrap();
        (output.status.code(), output.stdout)
    };
    let both = || {
        assert!(read(&["get", &id, "-o", "-", "-q"]) == (Some(0), film.clone()));
        assert_eq!(read(&["get", "alice:/empty", "-o", "-"]), (Some(0), Vec::new()));
        assert_eq!(read(&["get", "alice:/none", "-o", "-"]).0, Some(4));
        assert_eq!(read(&["get", &id, "-o", "-", "--json"]).0, Some(2));
    };
    both();
    assert_eq!(reading(&bob), 0);
    let _node = with_page(&bob);
    both();
    assert!(read(&["get", &id, "-o", "-", "--here"]) == (Some(0), film.clone()));
    assert!(tree(&bob.home()).is_empty());
    assert_eq!(reading(&bob), 0);
}

/// How many folders there are for what commands read.
fn reading(peer: &Peer) -> usize {
    let entries = fs::read_dir(peer.data_dir()).unwrap().map(Result::unwrap);
    let is_reading = |entry: &fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with("read-") && entry.path().is_dir()
    };
    entries.filter(is_reading).count()
}

#[test]
fn nothing_stays_of_what_is_not_read_to_its_end() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let id = alice.share_file("film.mkv", &noise(16 * MIB, 5));
    let (_serving, _page) = alice.serve_slowly(MIB);
    let read = || {
        let process = Process::start(bob.command(["get", &id, "-o", "-"]));
        until("some of it has come", || (!process.stdout().is_empty()).then_some(()));
        assert_eq!(reading(&bob), 1);
        process
    };
    read().stop(Signal::INT).expect_code(1);
    assert_eq!(reading(&bob), 0);

    // Who is killed cannot tidy up.
    read().kill();
    assert_eq!(reading(&bob), 1);
    bob.serve(&[]).stop().expect_code(0);
    assert_eq!(reading(&bob), 0);
}

#[test]
fn the_same_content_under_several_names_comes_once() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let carol = Peer::registered(&index, "carol");
    let (film, notes) = (noise(5 * MIB + 7, 31), noise(1000, 32));
    fs::create_dir_all(alice.path("All")).unwrap();
    for number in 0..4 {
        fs::write(alice.path(format!("All/film {number}")), &film).unwrap();
        fs::write(alice.path(format!("All/notes {number}")), &notes).unwrap();
    }
    alice.share("All");
    let serving = alice.serve(&[]);
    let arrived = |peer: &Peer| {
        for number in 0..4 {
            assert_bytes(&peer.path(format!("All/film {number}")), &film);
            assert_bytes(&peer.path(format!("All/notes {number}")), &notes);
        }
    };

    // By itself.
    let got = carol.ok(["get", "alice:/All"]);
    arrived(&carol);
    let files = got.all("file");
    let sources = files.iter().flat_map(|file| file["sources"].as_array().unwrap());
    let from_alice = sources.filter(|one| one["source"].as_str().unwrap().starts_with("alice ("));
    let bytes: u64 = from_alice.map(|one| one["bytes"].as_u64().unwrap()).sum();
    assert_eq!(bytes, (film.len() + notes.len()) as u64, "{}", got.story());

    // And by the running peer, which remembers what it has got.
    let _page = with_page(&bob);
    bob.ok(["get", "alice:/All"]);
    arrived(&bob);
    serving.stop().expect_code(0);
    bob.ok(["get", "alice:/All/film 1", "-o", "other/"]);
    assert_bytes(&bob.path("other/film 1"), &film);
    // What has changed since then is no copy.
    for number in 0..4 {
        fs::write(bob.path(format!("All/notes {number}")), "other notes").unwrap();
    }
    let mut waits = bob.start(["get", "alice:/All/notes 1", "-o", "other/", "--wait", "60"]);
    waits.wait_for_event("begun");
    let serving = alice.serve(&[]);
    waits.wait().expect_code(0);
    assert_bytes(&bob.path("other/notes 1"), &notes);
    serving.stop().expect_code(0);
}
