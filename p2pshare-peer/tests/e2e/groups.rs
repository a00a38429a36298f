//! Private groups and invites.

use serde_json::Value;

use crate::{
    support::{Index, MIB, Peer, assert_bytes, b3sum, noise, tree, until},
    swarm::{got_from, is_held_by, sources, until_done},
};

#[test]
fn what_a_group_shares_exists_for_its_members_only() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let (bob, eve) = (Peer::registered(&index, "bob"), Peer::registered(&index, "eve"));
    alice.ok(["group", "create", "friends"]);
    alice.ok(["group", "add", "friends", "bob"]);
    let bytes = noise(2 * MIB, 81);
    let id = b3sum(&bytes);
    std::fs::create_dir(alice.path("secret")).unwrap();
    std::fs::write(alice.path("secret/film"), &bytes).unwrap();
    alice.ok(["share", "secret", "--group", "friends"]);
    let _serving = alice.serve(&[]);

    bob.ok(["search", "film"]).one("hit");
    bob.ok(["browse", "alice", "/secret"]);
    bob.ok(["get", "alice:/secret"]);
    assert_bytes(&bob.path("secret/film"), &bytes);
    bob.ok(["get", &id]);

    let shut_out = |peer: &Peer| {
        // Word for word what is said of things that do not exist.
        let nothing = b3sum(b"nothing");
        for (args, like, name, other) in [
            (["search", "film"], ["search", "flim"], "film", "flim"),
            (["get", &id], ["get", &nothing], id.as_str(), nothing.as_str()),
            (["get", "alice:/secret"], ["get", "alice:/socret"], "secret", "socret"),
            (["browse", "alice"], ["browse", "alico"], "alice", "alico"),
            (["group", "members"], ["group", "members"], "", ""),
        ] {
            if args[0] == "group" {
                let hidden = peer.fails(4, ["group", "members", "friends"]);
                let nothing = peer.fails(4, ["group", "members", "fiends"]);
                assert_eq!(hidden.replace("friends", "fiends"), nothing);
                continue;
            }
            let (hidden, nothing) = (peer.fails(4, args), peer.fails(4, like));
            if args[0] != "browse" {
                assert_eq!(hidden.replace(name, other), nothing);
            }
        }
        let hidden = peer.fails(4, ["browse", "alice", "/secret"]);
        assert_eq!(
            hidden.replace("secret", "socret"),
            peer.fails(4, ["browse", "alice", "/socret"])
        );
    };
    shut_out(&eve);
    for command in [["group", "transfer", "friends", "eve"], ["group", "remove", "friends", "eve"]]
    {
        let said = alice.fails(4, command);
        assert!(said.contains("member eve of group friends does not exist"), "{said}");
    }
    alice.ok(["group", "remove", "friends", "bob"]);
    shut_out(&bob);
    alice.ok(["search", "film"]);
}

#[test]
fn a_group_that_is_not_there_changes_nothing() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    alice.ok(["group", "create", "friends"]);
    std::fs::write(alice.path("film"), noise(MIB, 82)).unwrap();
    alice.ok(["share", "film", "--group", "friends"]);
    let said = alice.fails(4, ["share", "film", "--group", "fiends"]);
    assert!(said.contains("fiends") && said.contains("group list"), "{said}");
    assert_eq!(alice.ok(["shares"]).one("share")["visibility"], "group:friends");
    alice.ok(["search", "film"]).one("hit");
}

/// Who was in a group and knows the id of what is shared there publishes that id, and gets neither a byte of it nor word
/// of who has it or downloads it.
#[test]
fn who_left_a_group_cannot_get_at_its_files_by_publishing_them() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let (bob, carol) = (Peer::registered(&index, "bob"), Peer::registered(&index, "carol"));
    let mallory = Peer::registered(&index, "mallory");
    alice.ok(["group", "create", "friends"]);
    for member in ["bob", "carol", "mallory"] {
        alice.ok(["group", "add", "friends", member]);
    }
    let bytes = noise(16 * MIB + 7, 83);
    let id = b3sum(&bytes);
    std::fs::write(alice.path("film"), &bytes).unwrap();
    alice.ok(["share", "film", "--group", "friends"]);
    let (_serving, page) = alice.serve_slowly(MIB);
    mallory.ok(["search", "film"]).one("hit");
    mallory.ok(["group", "leave", "friends"]);

    // Her peer shares a file that has this id as long as nobody asks for it.
    let publish = || {
        std::fs::write(mallory.path("mine"), &bytes).unwrap();
        mallory.ok(["share", "mine"]);
        std::fs::remove_file(mallory.path("mine")).unwrap();
    };
    publish();
    let hit = mallory.ok(["search", "mine"]).one("hit");
    assert_eq!(hit["sources"], 1, "{hit}");
    let nobody = mallory.fails(5, ["get", &id, "-o", "out"]);
    assert!(!nobody.contains("alice"), "{nobody}");
    assert_eq!(sources(&mallory, &id), []);

    // A member downloads: the other members get from him what he has, she is not told of him.
    let mut bobs = bob.start(["get", "alice:/film"]);
    until_done(&mut bobs, 3 * MIB as u64);
    page.hold_uploads();
    until("carol is told of bob", || {
        assert!(bobs.is_running(), "{}", bobs.stderr());
        is_held_by(&carol, &id, "bob").then_some(())
    });
    assert_eq!(sources(&mallory, &id), []);
    mallory.fails(5, ["get", &id, "-o", "out"]);
    let mut carols = carol.start(["get", "alice:/film"]);
    until_done(&mut carols, 0);
    // Slow enough that each of them gets something of it from alice.
    page.limit_uploads(Some(4 * MIB));
    let (bobs, carols) = (bobs.wait().expect_code(0), carols.wait().expect_code(0));
    for (peer, ended) in [(&bob, &bobs), (&carol, &carols)] {
        assert_bytes(&peer.path("film"), &bytes);
        assert!(got_from(ended, "alice") > 0, "{}", ended.story());
    }
    assert!(got_from(&carols, "bob") > 0, "{}", carols.story());
    assert_eq!(tree(&mallory.home()), [] as [std::path::PathBuf; 0], "not a byte of it");
}

#[test]
fn only_who_is_invited_can_register() {
    let index = Index::start_with(&["--registration", "invite"]);
    let alice = Peer::registered(&index, "alice");
    let (bob, eve) = (Peer::new(&index, "bob"), Peer::new(&index, "eve"));
    alice.ok(["group", "create", "friends"]);
    let invite = alice.ok(["invite", "create", "--group", "friends"]).one("invite_created");
    let code = text(&invite, "code");
    assert_eq!(alice.ok(["invite", "list"]).all("invite").len(), 1);

    eve.fails(1, ["register", "eve"]);
    eve.fails(1, ["register", "eve", "--invite", "not-a-code"]);
    bob.ok(["register", "bob", "--invite", &code]);
    let group = bob.ok(["group", "list"]).one("group");
    assert_eq!(group["name"], "friends");
    let said = eve.fails(1, ["register", "eve", "--invite", &code]);
    assert!(said.contains("invite"), "{said}");

    let second = alice.ok(["invite", "create"]).one("invite_created");
    let id = text(&second["invite"], "id");
    bob.fails(4, ["invite", "revoke", &id]);
    alice.ok(["invite", "revoke", &id]);
    eve.fails(1, ["register", "eve", "--invite", &text(&second, "code")]);
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_else(|| panic!("no {key} in {object}")).to_owned()
}

/// A group is deleted; a stranger makes one of its name and takes whoever shared with it into it, which needs nobody's
/// consent. What was shared with the old group is nothing to the stranger, until its user says otherwise.
#[test]
fn a_new_group_of_an_old_name_gets_nothing_that_was_shared_with_the_old_one() {
    let index = Index::start_with(&["--heartbeat-every", "1s"]);
    let alice = Peer::registered(&index, "alice");
    let (bob, mallory) = (Peer::registered(&index, "bob"), Peer::registered(&index, "mallory"));
    alice.ok(["group", "create", "staff"]);
    alice.ok(["group", "add", "staff", "bob"]);
    let bytes = noise(MIB, 84);
    std::fs::write(alice.path("salaries"), &bytes).unwrap();
    alice.ok(["share", "salaries", "--group", "staff"]);
    let mut serving = alice.serve(&[]);
    bob.ok(["get", "alice:/salaries"]);

    alice.ok(["group", "delete", "staff"]);
    mallory.ok(["group", "create", "staff"]);
    mallory.ok(["group", "add", "staff", "alice"]);
    // The running peer looks whether the index has what it should have, and is told.
    until("the peer has tried to publish it", || {
        assert!(serving.process.is_running(), "{}", serving.process.stderr());
        let share = alice.ok(["shares"]).one("share");
        share["refused"].as_str().is_some_and(|why| why.contains("not the group")).then_some(())
    });
    let shut_out = || {
        mallory.fails(4, ["search", "salaries"]);
        mallory.fails(4, ["get", &b3sum(&bytes), "-o", "out"]);
    };
    shut_out();
    // Looking at it again says so, and changes nothing.
    let again = alice.run(["share"]).expect_code(1);
    let said = again.one("warning");
    assert!(said["message"].as_str().unwrap().contains("not the group"), "{said}");
    assert!(again.error().0.contains("could not be published"), "{}", again.story());
    let status = alice.ok(["status"]).one("status");
    assert_eq!((&status["refused"], &status["unpublished"]), (&1.into(), &1.into()));
    shut_out();

    let said = alice.fails(1, ["share", "salaries", "--group", "staff"]);
    assert!(said.contains("--new-group"), "{said}");
    shut_out();
    alice.ok(["share", "salaries", "--group", "staff", "--new-group"]);
    assert_eq!(alice.ok(["shares"]).one("share")["refused"], Value::Null);
    mallory.ok(["get", "alice:/salaries"]);
    assert_bytes(&mallory.path("salaries"), &bytes);
    bob.fails(4, ["search", "salaries"]);
}

/// Without a peer that runs, the commands say it.
#[test]
fn what_was_for_a_group_that_is_gone_is_told_by_the_next_command() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    for group in ["staff", "board"] {
        bob.ok(["group", "create", group]);
        bob.ok(["group", "add", group, "alice"]);
    }
    for file in ["open", "salaries", "plans"] {
        std::fs::write(alice.path(file), file).unwrap();
    }
    alice.ok(["share", "open"]);
    alice.ok(["share", "salaries", "--group", "staff"]);
    alice.ok(["share", "plans", "--group", "board"]);
    bob.ok(["search", "salaries"]).one("hit");

    let left = alice.ok(["group", "leave", "staff"]).one("warning");
    assert!(left["message"].as_str().unwrap().contains("group staff"), "{left}");
    let refused = || {
        let shares = alice.ok(["shares"]).all("share");
        let refused = shares.iter().filter(|share| !share["refused"].is_null());
        refused.map(|share| share["name"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(refused(), ["\"salaries\""]);
    bob.ok(["group", "delete", "board"]);
    // What is shared without trouble is; what is not is told beside it.
    let said = alice.ok(["share", "open"]).all("warning");
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(refused().len(), 2);
    assert!(alice.fails(1, ["share"]).contains("2 files"));
    bob.ok(["search", "open"]).one("hit");
}

/// What the index did not take is tried again, without anything that has changed here.
#[test]
fn who_is_taken_into_the_group_again_shares_with_it_again() {
    let index = Index::start_with(&["--heartbeat-every", "1s"]);
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    bob.ok(["group", "create", "lab"]);
    bob.ok(["group", "add", "lab", "alice"]);
    std::fs::write(alice.path("results"), b"42").unwrap();
    alice.ok(["share", "results", "--group", "lab"]);
    let _serving = alice.serve(&[]);
    bob.ok(["search", "results"]).one("hit");

    bob.ok(["group", "remove", "lab", "alice"]);
    let refused = || alice.ok(["shares"]).one("share")["refused"].clone();
    until("the peer is told", || (!refused().is_null()).then_some(()));
    bob.fails(4, ["search", "results"]);
    bob.ok(["group", "add", "lab", "alice"]);
    until("it is tried again", || refused().is_null().then_some(()));
    bob.ok(["get", "alice:/results"]);
}

#[test]
fn that_a_share_is_for_others_now_is_told() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    alice.ok(["group", "create", "lab"]);
    std::fs::write(alice.path("notes"), b"notes").unwrap();
    let share = |args: &[&str]| alice.ok([&["share", "notes"], args].concat()).one("shared");
    assert_eq!(share(&["--group", "lab"])["was"], Value::Null);
    assert_eq!(share(&["--group", "lab"])["was"], Value::Null);
    assert_eq!(share(&["--public"])["was"], "group:lab");
    assert_eq!(share(&[])["was"], Value::Null);
}
