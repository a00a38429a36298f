//! Searches that go on.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use p2pshare_core::time::Timestamp;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Index, Peer, Process, until};

/// Ids that were found so far, in the order in which they were told.
fn found(following: &Process) -> Vec<String> {
    let hits = following.events().into_iter().filter(|event| event["event"] == "hit");
    hits.map(|hit| hit["content"].as_str().expect("an id").to_owned()).collect()
}

fn until_found(following: &Process, ids: &[&String]) {
    until(&format!("{ids:?} are told"), || {
        found(following).iter().eq(ids.iter().copied()).then_some(())
    });
}

#[test]
fn a_search_that_goes_on_tells_each_new_file_once() {
    let mut index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let first = alice.share_file("film one", b"one");
    alice.share_file("song", b"song");
    let mut following = bob.start(["search", "film", "--follow", "--every", "1"]);
    assert_eq!(following.wait_for_event("following")["hits"], 1);
    let second = alice.share_file("film two", b"two");
    until_found(&following, &[&first, &second]);

    // That others have the same is no news, nor is what is found no more.
    bob.share_file("film one", b"one");
    alice.ok(["unshare", "film two"]);
    // It waits for an index that is away.
    index.kill();
    until("it says so", || following.stderr().contains("cannot be reached").then_some(()));
    index.go_on();
    let third = alice.share_file("film three", b"three");
    until_found(&following, &[&first, &second, &third]);
    following.stop(Signal::INT).expect_code(0);
}

#[test]
fn what_is_older_is_not_found() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let old = alice.share_file("film old", b"old");
    let hits = bob.ok(["search", "film", "--since", "1h"]).all("hit");
    assert_eq!(hits.iter().map(|hit| &hit["content"]).collect::<Vec<_>>(), [&old]);
    let published_at = Timestamp::from_millis(hits[0]["published_at"].as_i64().expect("a time"));
    let since = published_at.saturating_add(Duration::from_millis(1)).to_string();
    bob.fails(4, ["search", "film", "--since", &since]);

    let mut following = bob.start(["search", "film", "-f", "--every", "1", "--since", &since]);
    assert_eq!(following.wait_for_event("following")["hits"], 0);
    let new = alice.share_file("film new", b"new");
    until_found(&following, &[&new]);
    following.stop(Signal::INT).expect_code(0);
    let hits = bob.ok(["search", "film", "--since", &since, "--owner", "alice"]).all("hit");
    assert_eq!(hits.iter().map(|hit| &hit["content"]).collect::<Vec<_>>(), [&new]);

    bob.fails(2, ["search", "film", "--since", "yesterday"]);
    bob.fails(2, ["search", "film", "--since", "9999-01-01"]);
}

#[test]
fn what_is_there_at_first_is_limited_and_none_of_it_is_told_later() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    std::fs::create_dir(alice.path("films")).unwrap();
    for number in 0..60 {
        std::fs::write(alice.path(format!("films/film {number}")), format!("{number}")).unwrap();
    }
    alice.share("films");
    let mut following = bob.start(["search", "film", "-f", "--every", "1", "--limit", "2"]);
    assert_eq!(following.wait_for_event("following")["hits"], 2);
    let new = alice.share_file("film new", b"new");
    following.wait_for("the new one", |lines| {
        lines.iter().any(|line| line.contains(&new)).then_some(())
    });
    assert_eq!(found(&following).len(), 3);
    // Who is no longer logged in does not wait for nothing.
    bob.ok(["logout"]);
    following.wait().expect_code(3);
}

#[test]
fn a_search_that_nobody_reads_ends() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    bob.fails(2, ["search", "film", "--follow", "--sort", "oldest"]);
    bob.fails(2, ["search", "film", "--every", "5"]);
    bob.fails(2, ["search", "film", "--follow", "--every", "0"]);
    let following = ["--json", "search", "film", "--follow", "--every", "1"];
    // What cannot be printed, as on a full disk, is told.
    let full = File::options().write(true).open("/dev/full").unwrap();
    let lost = bob.command(following).stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&lost.stderr);
    assert!(lost.status.code() == Some(1) && said.contains("not complete"), "{said}");

    let mut command = bob.command(following);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(line["event"], "following");
    drop(lines);
    let mut number = 0;
    let ended = until("it ends", || {
        number += 1;
        alice.share_file(&format!("film {number}"), format!("{number}").as_bytes());
        child.try_wait().unwrap()
    });
    assert!(ended.success(), "{ended}");
}
