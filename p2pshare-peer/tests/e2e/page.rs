//! What the page's API does, with an index and another peer.

use std::{
    fs,
    io::{BufRead, BufReader},
};

use serde_json::{Value, json};

use crate::support::{Index, MIB, PASSWORD, Page, Peer, assert_bytes, b3sum, noise, until};

/// Waits until the state is like this.
fn state(page: &Page, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    until(what, || Some(page.get("/api/state")).filter(|state| is(state)))
}

#[test]
fn the_node_waits_for_a_login_in_any_process() {
    let index = Index::start();
    let alice = Peer::new(&index, "alice");
    let mut process = alice.start(["serve", "--listen", "127.0.0.1:0", "--ui", "127.0.0.1:0"]);
    let url = process.wait_for_event("ui")["url"].as_str().unwrap().to_owned();
    let page = Page::of(&alice);
    let cookie = page.cookie(&url);
    let before = page.ask("GET /api/state", &[&cookie], "").json();
    assert_eq!((&before["account"], &before["online"]), (&Value::Null, &false.into()));
    assert_eq!(before["default_index"], index.url());
    assert_eq!(page.call("GET /api/search?q=x", &Value::Null).problem(), "not-logged-in");
    let get = json!({ "what": [b3sum(b"x")] });
    assert_eq!(page.call("POST /api/downloads", &get).problem(), "not-logged-in");

    let account = json!({ "username": "alice", "password": PASSWORD });
    let registered = page.ok("POST /api/register", &account);
    assert_eq!(registered["account"]["username"], "alice");
    assert_eq!(registered["account"]["operator"], true, "it is the first of the index");
    state(&page, "the peer is online", |state| state["online"] == true);
    assert_eq!(alice.ok(["whoami"]).one("account")["account"]["username"], "alice");

    let out = page.ok("POST /api/logout", &json!({}));
    assert_eq!((&out["account"], &out["trouble"]), (&Value::Null, &Value::Null));
    assert!(alice.fails(3, ["whoami"]).contains("nobody"));
    let wrong = json!({ "username": "alice", "password": "not the password" });
    assert_eq!(page.call("POST /api/login", &wrong).problem(), "wrong-credentials");
    assert_eq!(page.call("POST /api/register", &account).problem(), "already-exists");

    // In another process.
    alice.ok(["login", "alice"]);
    state(&page, "the login is noticed", |state| state["online"] == true);
    alice.ok(["logout", "--everywhere"]);
    state(&page, "the logout is noticed", |state| state["account"].is_null());
    page.ok("POST /api/login", &account);
    let changed = json!({ "old": PASSWORD, "new": "another long password" });
    page.ok("PUT /api/password", &changed);
    state(&page, "it is still online", |state| state["online"] == true);
    process.stop(rustix::process::Signal::TERM).expect_code(0);
}

#[test]
fn shares_pushes_and_settings_take_effect() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let folders = json!({
        "drop_folder": alice.path("Dropped"), "download_folder": alice.path("Got"),
        "inbox": alice.path("in"), "upload_slots": 3, "download_limit": null, "upload_limit": 50_000_000,
    });
    let _serving = alice.serve(&["--ui", "127.0.0.1:0", "--upload-limit", "40MB"]);
    let page = Page::of(&alice);
    let settings = page.get("/api/settings");
    assert_eq!(
        (&settings["upload_limit"], &settings["fixed"]),
        (&40_000_000.into(), &json!(["upload_limit"]))
    );
    assert_eq!(page.call("PUT /api/settings", &folders).problem(), "conflict");
    let mut folders = folders;
    folders["upload_limit"] = 40_000_000.into();
    let set = page.ok("PUT /api/settings", &folders);
    assert_eq!((&set["upload_slots"], &set["inbox"]), (&3.into(), &folders["inbox"]));
    assert_eq!(page.get("/api/uploads")["slots"], 3);

    let film = noise(3 * MIB, 1);
    fs::create_dir(alice.path("Films")).unwrap();
    fs::write(alice.path("Films/film.mkv"), &film).unwrap();
    let share = json!({ "path": alice.path("Films"), "watch": false });
    let shared = page.ok("POST /api/shares", &share);
    assert_eq!((&shared["name"], &shared["visibility"]), (&"Films".into(), &"public".into()));
    let published = |files: u64| {
        until("it is published", || {
            (page.get("/api/state")["published"].as_u64() == Some(files)).then_some(())
        });
    };
    published(1);
    let found = until("bob finds it", || bob.run(["search", "film"]).all("hit").pop());
    assert_eq!(found["content"], b3sum(&film));
    let id = shared["id"].as_i64().unwrap();
    page.ok(&format!("PATCH /api/shares/{id}"), &json!({ "visibility": "unlisted" }));
    until("it is listed no more", || {
        bob.run(["search", "film"]).all("hit").is_empty().then_some(())
    });

    let dropped = page.ask(
        "PUT /api/dropped?name=a/notes%20%26.txt",
        &[&page.bearer(), "content-type: application/octet-stream"],
        "some notes",
    );
    assert_eq!(dropped.status, 201, "{dropped:?}");
    assert_bytes(&alice.path("Dropped/a/notes &.txt"), b"some notes");
    published(2);
    let shares = page.get("/api/shares");
    assert_eq!(shares["items"].as_array().unwrap().len(), 2, "{shares}");

    fs::write(bob.path("gift.txt"), b"a gift").unwrap();
    bob.ok(["push", "gift.txt", "alice"]);
    let inbox = page.get("/api/inbox");
    assert_eq!(
        (&inbox["items"][0]["user"], &inbox["items"][0]["name"]),
        (&"bob".into(), &"gift.txt".into())
    );
    page.ok("PUT /api/settings", &json!({ "inbox": null }));
    assert!(bob.fails(1, ["push", "gift.txt", "alice"]).contains("does not take"));

    let into = bob.path("in");
    let _bobs = bob.serve(&["--inbox", into.to_str().unwrap()]);
    page.ok("POST /api/pushes", &json!({ "path": alice.path("Films/film.mkv"), "user": "bob" }));
    until("the push is done", || {
        (page.get("/api/pushes")["items"][0]["state"] == "done").then_some(())
    });
    assert_bytes(&into.join("alice/film.mkv"), &film);

    page.ok(&format!("DELETE /api/shares/{id}"), &Value::Null);
    published(1);
    let folder = page.get(&format!("/api/folders?path={}", alice.home().display()));
    assert!(
        folder["items"].as_array().unwrap().iter().any(|item| item["name"] == "Films"),
        "{folder}"
    );
}

#[test]
fn groups_and_invites_are_passed_on() {
    let index = Index::start();
    let (alice, _bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let _serving = alice.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(&alice);
    page.ok("POST /api/groups", &json!({ "name": "friends" }));
    page.ok("PUT /api/groups/friends/members/bob", &Value::Null);
    let members = page.get("/api/groups/friends/members");
    assert_eq!(members["members"], json!(["alice", "bob"]));
    assert_eq!(page.call("POST /api/groups/friends/leave", &Value::Null).status, 409);
    page.ok("POST /api/groups/friends/transfer", &json!({ "user": "bob" }));
    page.ok("POST /api/groups/friends/leave", &Value::Null);
    assert_eq!(page.get("/api/groups")["groups"], json!([]));
    let made = page.ok("POST /api/invites", &json!({ "uses": 2, "hours": 1 }));
    assert!(made["code"].as_str().unwrap().contains('-'), "{made}");
    let id = made["invite"]["id"].as_str().unwrap();
    page.ok(&format!("DELETE /api/invites/{id}"), &Value::Null);
    assert_eq!(page.get("/api/invites")["invites"], json!([]));
}

#[test]
fn whoever_listens_is_told_and_may_come_back() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let _serving = alice.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(&alice);
    let host = format!("host: {}", page.address);
    for round in 0..2 {
        let socket = page.send("GET /api/events", &[&host, &page.bearer()], b"");
        let mut lines = BufReader::new(socket).lines().map(Result::unwrap);
        let mut next = |name: &str| -> Value {
            loop {
                let line = lines.next().expect("the stream goes on");
                if line == format!("event: {name}") {
                    let data = lines.next().unwrap();
                    return serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                }
            }
        };
        assert_eq!(next("state")["account"]["username"], "alice");
        assert_eq!(next("shares")["items"].as_array().unwrap().len(), round);
        assert_eq!(next("downloads")["reset"], true);
        let name = format!("shared-{round}");
        fs::write(alice.path(&name), name.as_bytes()).unwrap();
        page.ok("POST /api/shares", &json!({ "path": alice.path(&name) }));
        until("the new share is told", || {
            let shares = next("shares");
            let items = shares["items"].as_array().unwrap();
            items.iter().any(|item| item["name"] == name && item["files"] == 1).then_some(())
        });
    }
}
