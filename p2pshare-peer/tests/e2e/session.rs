//! The first session of two people, from registration to logout.

use std::{fs, io::Write, process::Stdio};

use crate::support::{Index, MIB, PASSWORD, Peer, Process, assert_bytes, b3sum, noise, tree};

#[test]
fn two_people_share_search_get_push_and_log_out() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let bob = Peer::registered(&index, "bob");

    let film = noise(5 * MIB + 7, 1);
    let notes = b"Nosferatu is a silent film.".to_vec();
    fs::create_dir_all(alice.path("Films/Notes")).unwrap();
    fs::write(alice.path("Films/Nosferatu (1922).mkv"), &film).unwrap();
    fs::write(alice.path("Films/Notes/read me.txt"), &notes).unwrap();
    let shared = alice.share("Films");
    assert_eq!(
        shared,
        [
            ("Films/Nosferatu (1922).mkv".to_owned(), b3sum(&film)),
            ("Films/Notes/read me.txt".to_owned(), b3sum(&notes)),
        ]
    );
    let inbox = alice.path("inbox");
    let serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    assert_eq!(serving.ready["published"], 2);

    let hit = bob.ok(["search", "nosferatu", "1922"]).one("hit");
    assert_eq!((&hit["content"], &hit["online"]), (&b3sum(&film).into(), &1.into()));
    let found = bob.ok(["browse", "alice"]).one("item");
    assert!(found.to_string().contains("Films"), "{found}");
    assert_eq!(bob.ok(["browse", "alice", "/Films", "-r"]).all("item").len(), 2);

    bob.ok(["get", &b3sum(&film)]);
    assert_bytes(&bob.path("Nosferatu (1922).mkv"), &film);
    let done = bob.ok(["get", "alice:/Films", "-o", "got"]).one("done");
    assert_eq!((&done["fetched"], &done["failed"]), (&2.into(), &0.into()));
    assert_eq!(tree(&bob.path("got")).len(), 2);
    assert_bytes(&bob.path("got/Films/Nosferatu (1922).mkv"), &film);
    assert_bytes(&bob.path("got/Films/Notes/read me.txt"), &notes);

    fs::write(bob.path("review.txt"), b"Five stars").unwrap();
    let pushed = bob.ok(["push", "review.txt", "alice"]).one("pushed");
    assert_eq!(pushed["name"], "review.txt");
    assert_bytes(&inbox.join("bob/review.txt"), b"Five stars");

    serving.stop().expect_code(0);
    for peer in [&alice, &bob] {
        let token = peer.token();
        assert_eq!(index.http_get("/v1/me", Some(&token)).0, 200);
        peer.ok(["logout"]);
        assert_eq!(index.http_get("/v1/me", Some(&token)).0, 401, "the token lives on");
        let said = peer.fails(3, ["whoami"]);
        assert!(said.contains("nobody is logged in"), "{said}");
        assert!(!peer.data_dir().join("session.json").exists());
    }
}

#[test]
fn nobody_is_let_in_without_a_session() {
    let index = Index::start();
    let stranger = Peer::new(&index, "stranger");
    let id = b3sum(b"x");
    fs::write(stranger.path("file"), b"x").unwrap();
    for args in [
        &["whoami"][..],
        &["logout"],
        &["search", "x"],
        &["browse", "alice"],
        &["get", &id],
        &["push", "file", "alice"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["group", "list"],
        &["invite", "list"],
    ] {
        let said = stranger.fails(3, args);
        assert!(said.contains("login"), "{args:?}: {said}");
    }
    // What is shared without a session waits for one.
    stranger.ok(["share", "file"]);
    stranger.ok(["shares"]);
}

#[test]
fn who_logs_out_is_offline_at_once_and_online_with_the_next_login() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    fs::write(alice.path("film"), noise(1000, 2)).unwrap();
    alice.share(alice.path("film"));
    let mut serving = alice.serve(&["--ui", "127.0.0.1:0"]);
    let online = || bob.ok(["search", "film"]).one("hit")["online"].clone();
    assert_eq!(online(), 1);
    alice.ok(["logout"]);
    assert_eq!(online(), 0);
    serving.process.wait_for_event("logged_out");
    alice.ok(["login", "alice"]);
    serving.process.wait_for("it is ready once more", |lines| {
        let ready = lines.iter().filter(|line| line.contains(r#""event":"ready""#));
        (ready.count() == 2).then_some(())
    });
    assert_eq!(online(), 1);
    serving.stop().expect_code(0);
}

#[test]
fn who_is_logged_in_anew_finds_downloads_again_that_waited_for_it() {
    let index = Index::start_with(&["--heartbeat-every", "1s"]);
    let bob = Peer::registered(&index, "bob");
    let mut serving = bob.serve(&["--ui", "127.0.0.1:0"]);
    index.tool(&["user", "disable", "bob"]);
    serving.process.wait_for_event("logged_out");
    for what in [&["downloads"][..], &["downloads", "cancel", "--all"]] {
        let said = bob.fails(3, what);
        assert!(said.contains("session of bob has ended"), "{said}");
    }
    assert!(bob.fails(3, ["downloads", "--all"]).contains("login bob"));
    index.tool(&["user", "enable", "bob"]);
    // The next command meets the peer as it is after the one before.
    bob.ok(["login", "bob"]);
    bob.ok(["downloads", "cancel", "--all"]);
    bob.ok(["logout"]);
    assert!(bob.fails(3, ["downloads"]).contains("nobody is logged in"));
    bob.ok(["login", "bob"]);
    bob.ok(["downloads"]);
}

#[test]
fn logging_out_everywhere_ends_a_peer_that_serves() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let serving = alice.serve(&[]);
    alice.ok(["logout", "--everywhere"]);
    // It learns it from its next heartbeat.
    let ended = serving.process.wait().expect_code(3);
    assert!(ended.error().0.contains("session has ended"), "{}", ended.story());
}

#[test]
fn wrong_passwords_and_names_are_told_apart_from_mistakes_in_usage() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let eve = Peer::new(&index, "eve");

    let login = |user: &str, password: &str| {
        let mut command = eve.command(["login", user, "--json"]);
        command.env("P2PSHARE_PASSWORD", password);
        Process::start(command).wait()
    };
    let wrong = login("alice", "a wrong password").expect_code(3).error();
    let nobody = login("nobody", "a wrong password").expect_code(3).error();
    assert_eq!(wrong, nobody, "who has an account is told to strangers");
    let short = login("alice", "short").expect_code(3).error();
    assert!(short.0.contains("not the password"), "{short:?}");
    login("alice", PASSWORD).expect_code(0);

    let taken = alice.fails(1, ["register", "alice"]);
    assert!(taken.contains("alice"), "{taken}");
    for args in [
        &["get"][..],
        &["get", "alice:/../x"],
        &["frobnicate"],
        &["serve", "--upload-limit", "fast"],
        &["search", "x", "--limit", "0"],
        &["invite", "create", "--hours", "0"],
        &["register", "no spaces please"],
        &["share", "--unlisted", "--public", "x"],
    ] {
        let ended = Process::start(alice.command(args)).wait().expect_code(2);
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{}", ended.story());
    }
    // This could be words to search for, where somebody is there to choose.
    let refused = alice.fails(2, ["get", "no-id"]);
    assert!(refused.contains("USER:/PATH"), "{refused}");
}

#[test]
fn a_url_with_the_wrong_scheme_or_certificate_is_met_with_the_right_one() {
    let index = Index::start();
    let login = |url: &str| Peer::new(&index, "alice").at(url).fails(1, ["login", "alice"]);
    let said = login(&index.url().replace("http://", "https://"));
    assert!(said.contains("begins with http://"), "{said}");

    let secure = Index::start_with(&["--tls-self-signed"]);
    let url = secure.url();
    let (plain, pin) = url.split_once("#sha256=").unwrap();
    let said = login(&plain.replace("https://", "http://"));
    assert!(said.contains("begins with https://"), "{said}");
    let said = login(plain);
    assert!(said.contains("#sha256="), "{said}");
    let other = if pin.starts_with('0') { "1" } else { "0" };
    let said = login(&format!("{plain}#sha256={other}{}", &pin[1..]));
    assert!(said.contains("not the one that the URL names"), "{said}");
}

#[test]
fn a_password_is_changed_and_ends_the_other_sessions() {
    let index = Index::start();
    let (alice, again) = (Peer::registered(&index, "alice"), Peer::new(&index, "alice"));
    again.ok(["login", "alice"]);
    let change = |lines: &str| {
        let mut command = alice.command(["password", "--password-stdin", "--json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
    };
    let new = "a bicycle for a fish";
    for (lines, code) in [
        (format!("{PASSWORD}\nshort\n"), 2),
        (format!("{PASSWORD}\n"), 2),
        (format!("not {PASSWORD}\n{new}\n"), 3),
        (format!("x\n{new}\n"), 3),
    ] {
        let (ended, said) = change(&lines);
        assert_eq!(ended, Some(code), "{lines:?}: {said}");
    }
    again.ok(["whoami"]);
    let (ended, said) = change(&format!("{PASSWORD}\n{new}\n"));
    assert!(ended == Some(0) && said.contains("password_changed"), "{said}");
    alice.ok(["whoami"]);
    again.fails(3, ["whoami"]);
    again.fails(3, ["login", "alice"]);
    // Without a terminal it is not asked for.
    assert!(alice.fails(2, ["password"]).contains("--password-stdin"));
}

#[test]
fn a_lost_peer_is_removed_from_another_one_of_its_user() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let lost = Peer::new(&index, "lost laptop");
    lost.ok(["login", "alice"]);
    lost.share_file("thesis", &noise(1000, 3));
    alice.share_file("notes", &noise(1000, 4));
    let hits = |words: &str| bob.run(["search", words]).all("hit").len();
    assert_eq!((hits("thesis"), hits("notes")), (1, 1));

    let peers = alice.ok(["peers"]).all("peer");
    assert_eq!(peers.len(), 2, "{peers:?}");
    let lost_id = lost.ok(["status"]).one("status")["peer"].as_str().unwrap().to_owned();
    let said = lost.fails(1, ["peers", "remove", &lost_id[..8]]);
    assert!(said.contains("of this data directory"), "{said}");
    alice.fails(4, ["peers", "remove", "nobody"]);
    alice.fails(2, ["peers", "remove", ""]);
    let removed = alice.ok(["peers", "remove", &lost_id[..8]]).one("peer_removed");
    assert_eq!((&removed["id"], &removed["files"]), (&lost_id.into(), &1.into()));
    assert_eq!((hits("thesis"), hits("notes")), (0, 1));
    assert_eq!(alice.ok(["peers"]).all("peer").len(), 1);
}

#[test]
fn an_account_is_deleted_by_its_user() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    alice.share_file("film", &noise(1000, 5));
    alice.ok(["group", "create", "lab"]);
    let said = alice.fails(2, ["delete-account", "bob"]);
    assert!(said.contains("you are logged in as alice"), "{said}");
    let mut wrong = alice.command(["delete-account", "alice"]);
    wrong.env("P2PSHARE_PASSWORD", "not her password");
    Process::start(wrong).wait().expect_code(3);
    bob.ok(["search", "film"]).one("hit");

    let deleted = alice.ok(["delete-account", "alice"]);
    assert_eq!(deleted.one("account_deleted")["username"], "alice");
    let warning = deleted.one("warning").to_string();
    assert!(warning.contains("lab"), "{warning}");
    assert!(bob.run(["search", "film"]).all("hit").is_empty());
    alice.fails(3, ["whoami"]);
    alice.fails(3, ["login", "alice"]);
    assert!(alice.path("film").exists());
}
