//! Contents that nobody has, or nobody who is there.

use crate::support::{Index, MIB, Peer, assert_bytes, b3sum, noise};

#[test]
fn what_does_not_exist_is_not_found() {
    let index = Index::start();
    let bob = Peer::registered(&index, "bob");
    let id = b3sum(b"nobody has this");
    let said = bob.fails(4, ["get", &id]);
    assert!(said.contains(&id), "{said}");
    bob.fails(4, ["get", "bob:/nothing"]);
    bob.fails(4, ["get", "nobody:/"]);
    bob.fails(4, ["browse", "nobody"]);
    let said = bob.fails(4, ["browse", "bob:/Films"]);
    assert!(said.contains("below Films"), "{said}");
    let said = bob.fails(2, ["browse", "bob:/Films", "Films"]);
    assert!(said.contains("twice"), "{said}");
    bob.fails(4, ["search", "nothing"]);
    bob.fails(4, ["push", "nothing", "bob"]);
    bob.fails(4, ["unshare", "nothing"]);
    bob.fails(4, ["unshare", &id]);
    std::fs::write(bob.path("file"), b"x").unwrap();
    bob.fails(4, ["push", "file", "nobody"]);
    bob.fails(4, ["group", "members", "nothing"]);
}

#[test]
fn what_nobody_serves_has_no_source() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    for (name, len) in [("small", 10), ("large", 3 * MIB)] {
        let bytes = noise(len, 41);
        let id = alice.share_file(name, &bytes);
        // It was never online, went with a word, went without.
        let said = bob.fails(5, ["get", &id]);
        assert!(said.contains("--wait"), "{said}");
        alice.serve(&[]).stop().expect_code(0);
        bob.fails(5, ["get", &id]);
        alice.serve(&[]).kill();
        bob.fails(5, ["get", &id]);
        assert!(!bob.path(name).exists());

        let _serving = alice.serve(&[]);
        bob.ok(["get", &id]);
        assert_bytes(&bob.path(name), &bytes);
    }
    std::fs::write(bob.path("gift"), b"gift").unwrap();
    let said = bob.fails(5, ["push", "gift", "alice"]);
    assert!(said.contains("alice"), "{said}");
}

#[test]
fn of_a_folder_comes_what_can_be_had() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let carol = Peer::registered(&index, "carol");
    let _serving = alice.serve(&[]);
    alice.share_file("here", b"here");
    carol.share_file("away", b"away");
    let ended = bob.run(["get", "alice:/here", "carol:/away"]).expect_code(5);
    assert_eq!(ended.one("done")["fetched"], 1);
    assert_eq!(ended.all("failed").len(), 1);
    assert_bytes(&bob.path("here"), b"here");
    assert!(!bob.path("away").exists());
}

#[test]
fn what_one_shares_oneself_is_got_from_this_machine() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let (film, notes) = (noise(3 * MIB + 1, 77), noise(1000, 78));
    let id = alice.share_file("film.mkv", &film);
    alice.share_file("notes", &notes);
    // Whether it serves or not, here or through the running peer.
    let get = |what: &str, folder: &str| alice.ok(["get", what, "-o", folder]);
    get(&id, "one/");
    get("alice:/notes", "one/");
    let _serving = alice.serve(&["--ui", "127.0.0.1:0"]);
    get(&id, "two/");
    get("alice:/notes", "two/");
    for folder in ["one", "two"] {
        assert_bytes(&alice.path(folder).join("film.mkv"), &film);
        assert_bytes(&alice.path(folder).join("notes"), &notes);
    }
}
