//! A folder of very many small files.

use std::fs;

use crate::support::{Index, Peer, assert_bytes, noise, tree};

const FILES: u64 = 2_000;

#[test]
fn two_thousand_small_files_take_few_requests() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let name = |number: u64| format!("many/{}/{number}.bin", number % 10);
    let bytes = |number: u64| noise(4096, number);
    for number in 0..FILES {
        let path = alice.path(name(number));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes(number)).unwrap();
    }
    let before = index.requests();
    let shared = alice.ok(["share", "--no-watch", "many"]);
    assert_eq!(shared.one("shared")["hashed"], FILES);
    assert_eq!(shared.one("published")["total"], FILES);
    assert!(index.requests() - before < 30, "{} to publish", index.requests() - before);
    let again = alice.ok(["share", "many"]);
    assert_eq!(
        (&again.one("shared")["hashed"], &again.one("shared")["unchanged"]),
        (&0.into(), &FILES.into())
    );
    assert_eq!(again.one("published")["published"], 0);

    let serving = alice.serve(&[]);
    let before = index.requests();
    let done = bob.ok(["get", "alice:/many"]).one("done");
    assert_eq!((&done["fetched"], &done["failed"]), (&FILES.into(), &0.into()));
    assert!(index.requests() - before < 100, "{} to fetch", index.requests() - before);
    assert_eq!(tree(&bob.home()).len() as u64, FILES);
    for number in 0..FILES {
        assert_bytes(&bob.path(name(number)), &bytes(number));
    }

    // One that is new is all that is hashed, published and fetched.
    fs::write(alice.path("many/new"), b"new").unwrap();
    assert_eq!(alice.ok(["share"]).one("shared")["hashed"], 1);
    let done = bob.ok(["get", "alice:/many"]).one("done");
    assert_eq!((&done["fetched"], &done["there"]), (&1.into(), &FILES.into()));

    let unshared = alice.ok(["unshare", "many"]);
    assert_eq!(unshared.one("unshared")["files"], FILES + 1);
    assert_eq!(unshared.one("published")["total"], 0);
    bob.fails(4, ["browse", "alice"]);
    bob.fails(4, ["get", "alice:/many"]);
    assert!(alice.ok(["shares"]).all("share").is_empty());
    serving.stop().expect_code(0);
}
