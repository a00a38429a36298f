//! Who the local server answers: its owner, by any of three keys, and nobody else.

use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Answer, Index, Page, Peer, Serving, b3sum, path_of};

/// A peer that serves with a page, its URL, and where that is.
fn with_page(peer: &Peer) -> (Serving, Page) {
    let serving = peer.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(peer);
    (serving, page)
}

fn url(serving: &Serving) -> String {
    serving.ready["ui"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_is_answered_without_a_key() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let (_serving, page) = with_page(&alice);
    let content = format!("GET /content/{}/a", b3sum(b"a"));
    let with_key = format!("{content}?key={}", "0".repeat(64));
    for line in [
        "GET /",
        "HEAD /",
        "GET /index.html",
        "GET /no/such/thing",
        "GET /api/state",
        "GET /api/events",
        "GET /api/downloads",
        "GET /api/no-such-call",
        "POST /api/login",
        "POST /api/ui-token",
        "PUT /api/dropped?name=a",
        "DELETE /api/downloads/1",
        "GET /?token=",
        "GET /?token=wrong",
        "OPTIONS /api/state",
        "GET //",
        "GET /api/../index.html",
        &content,
        &with_key,
    ] {
        for shown in [
            &[][..],
            &["authorization: Bearer wrong"],
            &["authorization: Bearer "],
            &["authorization: Basic YTpi"],
            &["cookie: p2pshare=wrong"],
            &[&format!("cookie: p2pshare_{}=wrong", page.address.port())],
            &[&format!("cookie: p2pshare_{}={}", page.address.port(), page.token)],
            &["content-type: application/json"],
        ] {
            let answer = page.ask(line, shown, "");
            assert_eq!(answer.status, 401, "{line} {shown:?}: {answer:?}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("alice"), "{answer:?}");
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.starts_with("default-src 'none'"), "{policy}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-resource-policy", "same-origin"),
                ("cache-control", "no-store"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{line}");
            }
        }
    }
    assert_eq!(page.ask("GET /api/state", &[], "").problem(), "no-access");
    let locked = page.ask("GET /", &[], "");
    assert!(String::from_utf8_lossy(&locked.body).contains("p2pshare-peer ui"));
}

#[test]
fn an_address_opens_the_page_once() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let (serving, page) = with_page(&alice);
    let first = url(&serving);
    let open = |url: &str| page.ask(&format!("GET {}", path_of(url)), &[], "");
    let answer = open(&first);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    let set = answer.header("set-cookie").unwrap().to_owned();
    let flags: Vec<_> = set.split("; ").skip(1).collect();
    assert_eq!(flags, ["Path=/", "HttpOnly", "SameSite=Strict"]);
    assert!(set.starts_with(&format!("p2pshare_{}=", page.address.port())), "{set}");
    assert_eq!(open(&first).status, 401, "it works twice");

    let cookie = format!("cookie: {}", set.split(';').next().unwrap());
    let shown = page.ask("GET /", &[&cookie], "");
    assert_eq!(shown.status, 200);
    assert!(shown.header("content-type").unwrap().starts_with("text/html"));
    let tag = format!("if-none-match: {}", shown.header("etag").unwrap());
    assert_eq!(page.ask("GET /", &[&cookie, &tag], "").status, 304);
    assert_eq!(page.ask("GET /api/state", &[&cookie], "").json()["account"]["username"], "alice");
    // The page was loaded anew with the address of before.
    let again = page.ask(&format!("GET {}", path_of(&first)), &[&cookie], "");
    assert_eq!(again.status, 303);

    let second = alice.ok(["ui"]).one("ui")["url"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let other = page.cookie(&second);
    assert_eq!(page.ask("GET /api/state", &[&other], "").status, 200);
    // A page that is let in lets in nobody else.
    assert_eq!(page.ask("POST /api/ui-token", &[&cookie], "").problem(), "forbidden");
}

#[test]
fn other_names_and_other_pages_are_refused() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let (serving, page) = with_page(&alice);
    let (port, bearer) = (page.address.port(), page.bearer());
    let cookie = page.cookie(&url(&serving));
    let as_host = |host: &str| {
        let headers: &[&str] = &[host, &bearer];
        Answer::read(page.send("GET /api/state", headers, b"")).status
    };
    assert_eq!(as_host(&format!("host: localhost:{port}")), 200);
    for host in [
        format!("host: evil.example:{port}"),
        format!("host: 127.0.0.1.evil.example:{port}"),
        "host: 127.0.0.1".to_owned(),
        format!("host: 127.0.0.1:{}", port ^ 1),
        "host: ".to_owned(),
        "x: no host at all".to_owned(),
        format!("host: {0}\r\nhost: {0}", page.address),
    ] {
        let status = as_host(&host);
        assert!([400, 421].contains(&status), "{host}: {status}");
    }

    let json = "content-type: application/json";
    let log_out = |headers: &[&str]| page.ask("POST /api/logout", headers, "{}");
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost", ""] {
        let origin = format!("origin: {origin}");
        for key in [&cookie, &bearer] {
            let answer = log_out(&[key, &origin, json]);
            assert_eq!((answer.status, answer.problem()), (403, "forbidden".into()), "{origin}");
        }
    }
    // Another port of this machine is the same site for a browser, and gets the cookie sent.
    for site in ["cross-site", "same-site"] {
        let site = format!("sec-fetch-site: {site}");
        assert_eq!(log_out(&[&cookie, &site, json]).status, 403);
        assert_eq!(page.ask("GET /api/state", &[&cookie, &site], "").status, 403);
        let follows = [cookie.as_str(), &site, "sec-fetch-mode: navigate"];
        assert_eq!(page.ask("GET /", &follows, "").status, 200);
    }
    // What a form can send is no JSON.
    for form in
        ["content-type: text/plain", "content-type: application/x-www-form-urlencoded", "x: y"]
    {
        assert_eq!(log_out(&[&cookie, form]).status, 415, "{form}");
    }
    let own = format!("origin: http://{}", page.address);
    let own: &[&str] = &[&cookie, &own, "sec-fetch-site: same-origin", json];
    assert_eq!(alice.ok(["whoami"]).one("account")["account"]["username"], "alice");
    assert_eq!(log_out(own).json()["account"], Value::Null);
}

#[test]
fn the_control_file_is_its_owners_and_goes_with_the_peer() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let file = alice.data_dir().join("control.json");
    assert!(alice.fails(1, ["ui"]).contains("serve"));
    let (serving, page) = with_page(&alice);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(page.token.len() >= 43, "it has less than 256 bits");
    serving.kill();
    assert!(file.exists());
    assert!(alice.fails(1, ["ui"]).contains("does not run"), "what a killed one left is believed");
    let (serving, again) = with_page(&alice);
    assert_ne!(page.token, again.token);
    let old = Page { address: again.address, token: page.token };
    assert_eq!(old.call("GET /api/state", &Value::Null).status, 401);
    serving.stop().expect_code(0);
    assert!(!file.exists());
    assert!(alice.fails(1, ["downloads"]).contains("does not run"));
    assert!(alice.fails(2, ["serve", "--ui", "0.0.0.0:0"]).contains("loopback"));
}

#[test]
fn requests_are_bounded() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let (_serving, page) = with_page(&alice);
    let (bearer, json) = (page.bearer(), "content-type: application/json");
    let long = json!({ "path": "/".repeat(300_000) }).to_string();
    assert_eq!(page.ask("POST /api/shares", &[&bearer, json], &long).status, 413);
    let deep = "[".repeat(100_000);
    assert_eq!(page.ask("POST /api/shares", &[&bearer, json], &deep).status, 400);
    let head = format!("x: {}", "y".repeat(64 * 1024));
    assert_eq!(page.ask("GET /api/state", &[&bearer, &head], "").status, 431);
    for wrong in [
        "GET /api/downloads/x",
        "GET /api/downloads?limit=-1",
        "GET /api/downloads/9/map?cells=x",
        "GET /api/search?q=%ff",
        "GET /api/users/No%20Body/files",
        "GET /api/contents/12",
        "PUT /api/dropped?name=..%2fx",
        "PUT /api/dropped?name=/etc/x",
        "PUT /api/dropped?name=a%00b",
        "PUT /api/dropped",
        "GET /api/folders?path=relative",
        "GET /api/links/zz?name=a",
    ] {
        assert_eq!(page.call(wrong, &Value::Null).problem(), "invalid-request", "{wrong}");
    }
    for (line, body, status) in [
        ("POST /api/shares", json!({ "path": "relative" }), 400),
        ("POST /api/shares", json!({ "path": "/nonexistent/p2pshare" }), 404),
        ("POST /api/shares", json!({ "path": "/tmp", "visibility": "secret" }), 400),
        ("PATCH /api/shares/77", json!({ "visibility": "public" }), 404),
        ("POST /api/downloads", json!({ "what": ["no id"] }), 400),
        ("POST /api/downloads", json!({ "what": [], "extra": 1 }), 400),
        ("POST /api/downloads/77/pause", Value::Null, 404),
        ("POST /api/downloads/77/explode", Value::Null, 404),
        ("POST /api/pushes", json!({ "path": "/nonexistent", "user": "bob" }), 404),
        ("DELETE /api/pushes/77", Value::Null, 404),
        ("PUT /api/settings", json!({ "upload_slots": 0 }), 400),
        ("PUT /api/settings", json!({ "download_folder": "relative" }), 400),
        ("PUT /api/settings", json!({ "download_folder": "/dev/null/x" }), 400),
        ("PUT /api/settings", json!({ "drop_folder": "/dev/null" }), 400),
        ("PATCH /api/state", Value::Null, 405),
    ] {
        let answer = page.call(line, &body);
        assert_eq!(answer.status, status, "{line} {body}: {answer:?}");
        assert!(answer.json()["detail"].is_string());
    }
    assert_eq!(page.get("/api/state")["account"]["username"], "alice");
}

#[test]
fn it_stops_although_somebody_listens() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let (serving, page) = with_page(&alice);
    let host = format!("host: {}", page.address);
    let _listening = page.send("GET /api/events", &[&host, &page.bearer()], b"");
    let _idle = std::net::TcpStream::connect(page.address).unwrap();
    serving.process.stop(Signal::TERM).expect_code(0);
}
