//! Contents read over HTTP while they are downloaded.

use std::{io::Read, time::Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::support::{Answer, Index, MIB, Page, Peer, noise};

fn get(page: &Page, id: &str, name: &str, headers: &[&str]) -> Answer {
    let bearer = page.bearer();
    let headers: Vec<_> = std::iter::once(bearer.as_str()).chain(headers.iter().copied()).collect();
    page.ask(&format!("GET /content/{id}/{name}"), &headers, "")
}

#[test]
fn any_range_is_that_of_the_file() {
    let seed = rand::random();
    println!("seed of the ranges: {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let film = noise(3 * MIB + 12_345, seed);
    let small = noise(1000, seed);
    let ids = [
        (alice.share_file("film.mkv", &film), &film),
        (alice.share_file("small.txt", &small), &small),
    ];
    let _serving = alice.serve(&[]);
    let _node = bob.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(&bob);
    for round in 0..60 {
        let (id, bytes) = &ids[round % 2];
        let len = bytes.len();
        let (a, b) = (random.random_range(0..len), random.random_range(0..len));
        let (first, last) = (a.min(b), a.max(b));
        let (range, expected) = match round % 5 {
            0 => (format!("bytes={first}-"), &bytes[first..]),
            1 => (format!("bytes=-{}", len - first), &bytes[first..]),
            2 => (format!("bytes={first}-{}", len * 2), &bytes[first..]),
            3 => (format!("bytes={first}-{first}"), &bytes[first..=first]),
            _ => (format!("bytes={first}-{last}"), &bytes[first..=last]),
        };
        let answer = get(&page, id, "a.bin", &[&format!("range: {range}")]);
        assert_eq!(answer.status, 206, "{range}: {:?}", answer.header("content-range"));
        assert!(answer.body == expected, "{range} of {len}");
        let told = format!("bytes {first}-{}/{len}", first + expected.len() - 1);
        assert_eq!(answer.header("content-range"), Some(told.as_str()));
        assert_eq!(answer.header("content-length"), Some(expected.len().to_string().as_str()));
    }
    let (id, len) = (&ids[0].0, film.len());
    let whole = get(&page, id, "film.mkv", &[]);
    assert_eq!((whole.status, whole.header("accept-ranges")), (200, Some("bytes")));
    assert!(whole.body == film);
    let etag = format!("\"{id}\"");
    assert_eq!(whole.header("etag"), Some(etag.as_str()));
    assert!(whole.header("content-type").unwrap().starts_with("video/"));

    let behind = get(&page, id, "a", &[&format!("range: bytes={len}-")]);
    let told = format!("bytes */{len}");
    assert_eq!((behind.status, behind.header("content-range")), (416, Some(told.as_str())));
    for ignored in ["bytes=1-2,5-6", "bytes=9-3", "lines=1-2", "bytes=x"] {
        let answer = get(&page, id, "a", &[&format!("range: {ignored}")]);
        assert_eq!((answer.status, answer.body.len()), (200, len), "{ignored}");
    }
    let range = "range: bytes=0-9";
    assert_eq!(get(&page, id, "a", &[range, &format!("if-range: {etag}")]).status, 206);
    assert_eq!(get(&page, id, "a", &[range, "if-range: \"other\""]).status, 200);
    assert_eq!(get(&page, id, "a", &[&format!("if-none-match: {etag}")]).status, 304);
    assert_eq!(get(&page, id, "a", &["if-match: \"other\""]).status, 412);
    let head = page.ask(&format!("HEAD /content/{id}/a"), &[&page.bearer(), range], "");
    let told = len.to_string();
    assert_eq!((head.status, head.header("content-length")), (200, Some(told.as_str())));
    assert!(head.body.is_empty());
    assert_eq!(page.ask(&format!("POST /content/{id}/a"), &[&page.bearer()], "").status, 405);
    let unknown = get(&page, &"ab".repeat(32), "a", &[]);
    assert_eq!(unknown.problem(), "not-found");
}

#[test]
fn what_could_run_is_never_shown() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let id = alice.share_file("evil.txt", b"<script>alert(1)</script>");
    let _serving = alice.serve(&[]);
    let _node = bob.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(&bob);
    for name in ["a.html", "a.svg", "a.xhtml", "a.js", "a.xml", "%0d%0ax:y.html", "..%2f..%2fa.htm"]
    {
        let answer = get(&page, &id, name, &[]);
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"), "{name}");
        assert!(answer.header("content-disposition").unwrap().starts_with("attachment;"));
        assert!(answer.header("content-security-policy").unwrap().ends_with("sandbox"));
        assert_eq!(answer.header("x"), None);
    }
    // A key opens one content, for whoever has it.
    let links = page.get(&format!("/api/links/{id}?name=evil.txt"));
    assert!(links["link"].as_str().unwrap().starts_with("p2pshare:http"), "{links}");
    let gateway = crate::support::path_of(links["gateway"].as_str().unwrap());
    assert_eq!(page.ask(&format!("GET {gateway}"), &[], "").status, 200);
    let other = gateway.replace(&id, &"ab".repeat(32));
    assert_eq!(page.ask(&format!("GET {other}"), &[], "").status, 401);
    let (_, query) = gateway.split_once('?').unwrap();
    assert_eq!(page.ask(&format!("GET /api/state?{query}"), &[], "").status, 401);
}

#[test]
fn the_end_is_there_long_before_the_whole() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let film = noise(40 * MIB, 9);
    let id = alice.share_file("film.mkv", &film);
    let _serving = alice.serve(&["--upload-limit", "1MB"]);
    let _node = bob.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(&bob);
    bob.ok(["get", &id, "--detach"]);
    let host = format!("host: {}", page.address);
    let begun = Instant::now();
    let mut beginning =
        page.send(&format!("GET /content/{id}/film.mkv"), &[&host, &page.bearer()], b"");
    let mut first = [0; 64 << 10];
    beginning.read_exact(&mut first).unwrap();
    let end = get(&page, &id, "film.mkv", &["range: bytes=-100000"]);
    assert_eq!(end.status, 206);
    assert!(end.body == film[film.len() - 100_000..]);
    let took = begun.elapsed();
    let downloads = page.get("/api/downloads?state=all");
    let done = downloads["items"][0]["bytes_done"].as_u64().unwrap();
    assert!(done < film.len() as u64 / 2, "the end was there after {took:?}, with {done} bytes");
}
