//! `--json`: every line on standard output is an object that says what it is, and there is nothing else.

use std::fs;

use crate::support::{Index, MIB, Peer, noise};

#[test]
fn every_command_speaks_json() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    fs::write(alice.path("film\u{202e}\u{1b}[31m.mkv"), noise(2 * MIB, 91)).unwrap();
    fs::write(bob.path("gift"), b"gift").unwrap();
    let serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    // The harness reads each line as an object with a text `event`, and fails at anything else.
    for (peer, args, event) in [
        (&alice, &["share", "."][..], "shared"),
        (&alice, &["share"], "shared"),
        (&alice, &["shares"], "share"),
        (&alice, &["status"], "status"),
        (&bob, &["login", "bob"], "logged_in"),
        (&bob, &["whoami"], "account"),
        (&bob, &["search", "film"], "hit"),
        (&bob, &["browse", "alice"], "item"),
        (&bob, &["get", "alice:/"], "done"),
        (&bob, &["get", "alice:/", "--quiet"], "done"),
        (&bob, &["get", "alice:/", "--verbose", "--verbose"], "done"),
        (&bob, &["push", "gift", "alice"], "pushed"),
        (&alice, &["group", "create", "friends"], "group"),
        (&alice, &["group", "add", "friends", "bob"], "member_changed"),
        (&alice, &["group", "members", "friends"], "member"),
        (&alice, &["group", "list"], "group"),
        (&alice, &["group", "transfer", "friends", "bob"], "member_changed"),
        (&alice, &["group", "leave", "friends"], "member_changed"),
        (&bob, &["group", "delete", "friends"], "group_deleted"),
        (&alice, &["invite", "create", "--uses", "2", "--hours", "1"], "invite_created"),
        (&alice, &["invite", "list"], "invite"),
        (&alice, &["unshare", "."], "unshared"),
        (&bob, &["logout"], "logged_out"),
    ] {
        let ended = peer.ok(args);
        assert!(!ended.all(event).is_empty(), "no {event:?}\n{}", ended.story());
    }
    let ended = bob.run(["search", "film"]).expect_code(3);
    assert_eq!(ended.events().len(), 1);
    ended.error();
    serving.stop().expect_code(0).one("ready");
}

#[test]
fn wrong_usage_is_told_as_json_too() {
    let index = Index::start();
    let alice = Peer::new(&index, "alice");
    for args in [&["get"][..], &["serch", "film"], &["serve", "--listen", "here"], &["group"], &[]]
    {
        let ended = alice.run(args).expect_code(2);
        assert_eq!(ended.events().len(), 1, "{}", ended.story());
        assert_eq!(ended.stderr, "");
        let (message, _) = ended.error();
        assert!(!message.starts_with("error") && !message.is_empty(), "{message}");
    }
    let (_, hint) = alice.run(["serch", "film"]).error();
    assert!(hint.contains("search"), "{hint}");
}

/// A script that keeps what is printed must not take a part of it for all.
#[test]
fn a_result_that_cannot_be_printed_is_a_failure() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    for args in
        [&["whoami"][..], &["whoami", "--json"], &["completions", "bash"], &["man"], &["--help"]]
    {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = alice.command(args).stdout(full).output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args:?}");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("standard output could not be written"), "{args:?}: {said}");
    }
}

#[test]
fn without_json_results_go_to_standard_output_and_notes_beside_it() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    fs::write(alice.path("film\u{1b}[31m\u{202e}"), b"film").unwrap();
    let run = |args: &[&str]| crate::support::Process::start(alice.command(args)).wait();
    let shared = run(&["share", "."]).expect_code(0);
    assert_eq!(shared.stdout.len(), 1, "{}", shared.story());
    assert!(shared.stderr.contains("p2pshare-peer serve"), "{}", shared.story());
    for args in [&["search", "film"][..], &["browse", "alice"], &["get", "alice:/"], &["shares"]] {
        let ended = run(args);
        let printed = ended.stdout.join("\n") + &ended.stderr;
        assert!(!printed.contains('\u{1b}') && !printed.contains('\u{202e}'), "{printed:?}");
    }
    let quiet = run(&["share", ".", "--quiet"]).expect_code(0);
    assert_eq!(quiet.stderr, "");
    let failed = run(&["get", "alice:/nothing"]).expect_code(4);
    assert!(failed.stdout.is_empty() && failed.stderr.starts_with("error: "), "{}", failed.story());
    assert!(failed.stderr.contains("\nhint: "), "{}", failed.story());
    let script = run(&["completions", "bash"]).expect_code(0);
    assert!(script.stdout.iter().any(|line| line.contains("p2pshare-peer")));
}

#[test]
fn what_is_shared_before_the_login_is_told_to_be_pending() {
    let index = Index::start();
    let bob = Peer::new(&index, "bob");
    fs::write(bob.path("song"), b"la la").unwrap();
    let shared = bob.ok(["share", "song"]);
    assert_eq!(shared.one("pending")["files"], 1, "{}", shared.story());
    assert!(shared.all("published").is_empty(), "{}", shared.story());
    bob.ok(["register", "bob"]);
    let again = bob.ok(["share"]);
    assert_eq!(again.one("published")["published"], 1, "{}", again.story());
    assert!(again.all("pending").is_empty(), "{}", again.story());
}
