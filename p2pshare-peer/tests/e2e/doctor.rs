//! `doctor`.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::support::{Ended, Index, Peer, Process};

fn check(seen: &Ended, name: &str) -> Value {
    let all = seen.all("check");
    let found = all.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("{name} was not checked: {all:?}")).clone()
}

/// `doctor` of a peer that would serve on any free port, so that it is no trouble if another has the usual one.
fn doctor(peer: &Peer) -> Ended {
    let mut command = peer.command(["doctor", "--json"]);
    command.env("P2PSHARE_LISTEN", "127.0.0.1:0");
    Process::start(command).wait()
}

#[test]
fn all_is_well_where_all_is_well() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    alice.share_file("film", b"a film");
    let serving = alice.serve(&[]);
    let seen = doctor(&alice).expect_code(0);
    assert_eq!(seen.one("doctor")["failures"], 0);
    for name in
        ["data directory", "private files", "catalog", "TLS", "index", "index's key", "clock"]
    {
        assert_eq!(check(&seen, name)["state"], "ok", "{}", seen.story());
    }
    assert_eq!(check(&seen, "session")["state"], "ok");
    let reached = check(&seen, "reachability");
    assert_eq!(reached["state"], "ok", "{reached}");
    assert!(reached["message"].as_str().unwrap().contains(&serving.listen()), "{reached}");
}

/// The peer's key belongs to alice at this index.
#[test]
fn a_peer_that_another_account_may_not_run_says_so() {
    let index = Index::start();
    let (alice, _bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let mut serving = alice.serve(&["--ui", "127.0.0.1:0"]);
    assert_eq!(alice.ok(["status"]).one("status")["online"], true);
    let warned = alice.ok(["login", "bob"]).one("warning");
    assert!(warned["message"].to_string().contains("alice has shared from"), "{warned}");
    let told = serving.process.wait_for_event("warning");
    let said = alice.fails(1, ["downloads"]);
    assert!(said.contains("belongs to another user"), "{said}");
    let seen = alice.ok(["status"]).one("status");
    assert_eq!((&seen["trouble"], &seen["online"]), (&told["message"], &false.into()));
    let seen = doctor(&alice).expect_code(1);
    let checked = check(&seen, "serving");
    assert_eq!(checked["state"], "fail", "{checked}");
    // It goes on when the account is the right one again.
    alice.ok(["login", "alice"]);
    serving.process.wait_for("it is ready again", |lines| {
        let ready = lines.iter().filter(|line| line.contains(r#""event":"ready""#));
        (ready.count() == 2).then_some(())
    });
    assert_eq!(alice.ok(["status"]).one("status")["online"], true);
    serving.stop().expect_code(0);
}

#[test]
fn a_share_that_is_not_there_is_told_and_forgets_nothing() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    fs::create_dir(alice.path("Films")).unwrap();
    fs::write(alice.path("Films/one"), b"a film").unwrap();
    alice.share("Films");
    fs::rename(alice.path("Films"), alice.path("away")).unwrap();

    let seen = check(&doctor(&alice).expect_code(0), "share");
    assert!(seen["state"] == "warn" && seen["message"].to_string().contains("not there"), "{seen}");
    let shared = alice.ok(["share"]);
    assert_eq!(shared.one("shared")["online"], false);
    assert!(shared.one("warning")["message"].to_string().contains("once it is back"));
    let status = alice.ok(["status"]).one("status");
    assert_eq!((&status["files"], &status["absent"]), (&0.into(), &1.into()));
    bob.fails(4, ["search", "one"]);
    let mut serving = alice.serve(&[]);
    serving.process.wait_for("it is told", |lines| {
        lines.iter().any(|line| line.contains("is not there")).then_some(())
    });

    fs::rename(alice.path("away"), alice.path("Films")).unwrap();
    assert_eq!(alice.ok(["share"]).one("shared")["hashed"], 0);
    bob.ok(["search", "one"]).one("hit");
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let mut index = Index::start();
    let alice = Peer::registered(&index, "alice");
    alice.share_file("film", b"a film");

    // An announce of an address where nobody listens.
    let serving = alice.serve(&["--advertise", "127.0.0.1:1"]);
    let seen = doctor(&alice).expect_code(1);
    let reached = check(&seen, "reachability");
    assert_eq!(reached["state"], "fail", "{reached}");
    assert!(reached["advice"].as_str().unwrap().contains("firewall"), "{reached}");
    serving.stop().expect_code(0);

    let key = alice.data_dir().join("known_indexes.json");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let seen = doctor(&alice).expect_code(1);
    let private = check(&seen, "private files");
    assert_eq!(private["state"], "fail");
    assert!(private["message"].as_str().unwrap().contains("chmod 600"), "{private}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    fs::write(alice.data_dir().join("catalog.sqlite"), b"this is no database, is it?").unwrap();
    index.kill();
    let seen = doctor(&alice).expect_code(1);
    assert_eq!(check(&seen, "catalog")["state"], "fail");
    assert_eq!(check(&seen, "index")["state"], "fail");
    assert_eq!(seen.one("doctor")["failures"], 2);
}
