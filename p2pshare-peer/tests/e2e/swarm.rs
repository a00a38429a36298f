//! Downloaders that serve each other.

use std::time::Duration;

use p2pshare_core::{
    api::{GrantRequest, Source, SourceKind},
    content::ContentId,
};
use p2pshare_peer::{account::SavedSession, data_dir::DataDir, index_client::IndexClient};
use serde_json::Value;

use crate::support::{Ended, Index, MIB, Peer, Process, assert_bytes, noise, tree, until};

/// Who has a content, as the index tells this peer.
pub(crate) fn sources(asker: &Peer, content: &str) -> Vec<Source> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = DataDir::open(&asker.data_dir()).expect("a data directory");
    let session = SavedSession::load(&dir).expect("a session");
    let urls = session.urls().expect("an index");
    let client = IndexClient::new(&urls, Duration::from_secs(60)).expect("a client");
    let client = client.with_session(session.token);
    let content: ContentId = content.parse().expect("a content id");
    let request = GrantRequest { contents: vec![content], peer: None, max_sources: None };
    let grants = runtime.block_on(client.grants(&request)).expect("the index answers");
    grants.contents.into_iter().flat_map(|located| located.sources).collect()
}

/// The users who are told to have a part of a content.
fn holders(asker: &Peer, content: &str) -> Vec<String> {
    let sources = sources(asker, content).into_iter();
    let partial = sources.filter(|source| source.kind == SourceKind::Partial);
    partial.map(|source| source.owner.to_string()).collect()
}

pub(crate) fn is_held_by(asker: &Peer, content: &str, user: &str) -> bool {
    holders(asker, content).iter().any(|holder| holder == user)
}

/// Bytes that a download has verified so far.
pub(crate) fn done(download: &Process) -> u64 {
    let events = download.events();
    let last = events.iter().rev().find(|event| event["event"] == "progress");
    last.map_or(0, |event| event["done"].as_u64().expect("a number"))
}

/// Waits until a download that runs has verified more than so many bytes, and says how many.
pub(crate) fn until_done(download: &mut Process, more_than: u64) -> u64 {
    until(&format!("more than {more_than} bytes have come"), || {
        let is_running = download.is_running();
        let done = done(download);
        let is_enough = done > more_than;
        assert!(is_enough || is_running, "{}", download.stderr());
        is_enough.then_some(done)
    })
}

/// Waits until the index tells of nobody any more who has a part of the content. Whoever ends says so; if the index does
/// not take it in time, it soon finds that they are gone.
fn until_held_by_nobody(asker: &Peer, content: &str) {
    until("who has ended is not told of", || holders(asker, content).is_empty().then_some(()));
}

/// Bytes that came from this user.
pub(crate) fn got_from(ended: &Ended, user: &str) -> u64 {
    let file = ended.one("file");
    let of_user = |source: &&Value| {
        source["source"].as_str().expect("a label").starts_with(&format!("{user} ("))
    };
    let sources = file["sources"].as_array().expect("sources").iter().filter(of_user);
    sources.map(|source| source["bytes"].as_u64().expect("a number")).sum()
}

#[test]
fn what_one_has_the_other_gets_though_the_seed_is_away() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let carol = Peer::registered(&index, "carol");
    let bytes = noise(12 * MIB + 5, 201);
    let id = alice.share_file("film", &bytes);
    let seed = alice.serve(&["--upload-limit", "512KiB"]);

    let mut bobs = bob.start(["get", &id, "--wait", "100"]);
    until_done(&mut bobs, MIB as u64);
    until("bob is told of", || {
        assert!(bobs.is_running(), "{}", bobs.stderr());
        is_held_by(&carol, &id, "bob").then_some(())
    });
    seed.kill();
    let at_least = done(&bobs);
    let mut carols = carol.start(["get", &id, "--wait", "100"]);
    until("carol has what bob has", || {
        assert!(carols.is_running() && bobs.is_running(), "{}", carols.stderr());
        (done(&carols) >= at_least).then_some(())
    });
    // What bob gains goes on to carol, and the other way round.
    let _seed = alice.serve(&["--upload-limit", "3MiB"]);
    let (bobs, carols) = (bobs.wait().expect_code(0), carols.wait().expect_code(0));
    assert!(got_from(&carols, "bob") >= at_least, "{}", carols.story());
    assert_eq!(got_from(&bobs, "bob") + got_from(&carols, "carol"), 0, "from itself");
    for peer in [&bob, &carol] {
        assert_bytes(&peer.path("film"), &bytes);
        assert_eq!(tree(&peer.home()).len(), 1);
    }
    until_held_by_nobody(&carol, &id);
}

#[test]
fn a_peer_that_serves_goes_on_when_a_download_beside_it_ends() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let film = noise(12 * MIB, 202);
    let id = alice.share_file("film", &film);
    let bobs_own = noise(3 * MIB, 203);
    let own = bob.share_file("own", &bobs_own);
    let (_seed, page) = alice.serve_slowly(MIB / 2);
    let mut serving = bob.serve(&[]);

    let mut download = bob.start(["get", &id]);
    until_done(&mut download, 0);
    page.hold_uploads();
    until("bob is told of", || {
        assert!(download.is_running(), "{}", download.stderr());
        is_held_by(&alice, &id, "bob").then_some(())
    });
    let by_whom = |content: &str| {
        let sources = sources(&alice, content).into_iter();
        sources.filter(|source| source.owner.as_str() == "bob").map(|source| source.peer).next()
    };
    assert_ne!(by_whom(&id), by_whom(&own), "the download has stolen the peer's place");
    alice.ok(["get", &own, "-o", "during", "--here"]);
    assert!(download.is_running(), "{}", download.stderr());
    page.limit_uploads(None);
    download.wait().expect_code(0);
    until_held_by_nobody(&alice, &id);
    alice.ok(["get", &own, "-o", "after", "--here"]);
    assert_bytes(&alice.path("after"), &bobs_own);
    assert!(serving.process.is_running());
}

#[test]
fn who_wants_to_serve_nothing_is_not_told_of() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(6 * MIB, 204);
    let id = alice.share_file("film", &bytes);
    let (_seed, page) = alice.serve_slowly(MIB);
    let mut download = bob.start(["get", &id, "--no-serve"]);
    until("bob has half of it", || {
        assert!(holders(&alice, &id).is_empty());
        let has_half = done(&download) >= 3 * MIB as u64;
        assert!(has_half || download.is_running(), "{}", download.stderr());
        has_half.then_some(())
    });
    page.limit_uploads(None);
    download.wait().expect_code(0);
    assert_bytes(&bob.path("film"), &bytes);
}

#[test]
fn a_downloader_that_vanishes_holds_up_nobody() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let carol = Peer::registered(&index, "carol");
    let bytes = noise(16 * MIB, 205);
    let id = alice.share_file("film", &bytes);
    let (_seed, page) = alice.serve_slowly(MIB);
    let mut bobs = bob.start(["get", &id, "--upload-limit", "1MiB"]);
    until_done(&mut bobs, 3 * MIB as u64);
    page.hold_uploads();
    until("bob is told of", || {
        assert!(bobs.is_running(), "{}", bobs.stderr());
        is_held_by(&carol, &id, "bob").then_some(())
    });
    let mut carols = carol.start(["get", &id]);
    until_done(&mut carols, 0);
    bobs.kill();
    page.limit_uploads(None);
    carols.wait().expect_code(0);
    assert_bytes(&carol.path("film"), &bytes);
    // Its place is still told, and nobody is there.
    assert!(is_held_by(&carol, &id, "bob"));
    let dave = Peer::registered(&index, "dave");
    dave.ok(["get", &id]);
    assert_bytes(&dave.path("film"), &bytes);
    // He goes on as the same peer, for long enough to be told of.
    page.limit_uploads(Some(2 * MIB));
    bob.ok(["get", &id]);
    until_held_by_nobody(&carol, &id);
}
