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
