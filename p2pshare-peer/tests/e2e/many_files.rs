//! A folder of very many small files.

use std::fs;

use crate::support::{Index, Peer, Process, assert_bytes, noise, tree, until};

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

/// Files that are there under their final names, all of them right.
fn complete(peer: &Peer, bytes: &[Vec<u8>]) -> usize {
    let name = |number: &usize| peer.path(format!("many/{number}.bin"));
    let there: Vec<_> = (0..bytes.len()).filter(|number| name(number).exists()).collect();
    there.iter().for_each(|number| assert_bytes(&name(number), &bytes[*number]));
    there.len()
}

/// Waits until so many files are complete.
fn until_complete(peer: &Peer, bytes: &[Vec<u8>], count: usize, download: &mut Process) {
    until(&format!("{count} files are there"), || {
        assert!(download.is_running(), "it has ended: {}", download.stderr());
        (complete(peer, bytes) >= count).then_some(())
    });
}

/// Many come in one call, in the middle of which it ends.
#[test]
fn small_files_survive_kills_of_either_side() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    fs::create_dir(alice.path("many")).unwrap();
    let bytes: Vec<_> = (0..300).map(|number| noise(20_000, number)).collect();
    for (number, bytes) in bytes.iter().enumerate() {
        fs::write(alice.path(format!("many/{number}.bin")), bytes).unwrap();
    }
    alice.share("many");
    let limit = ["--upload-limit", "1MiB"];
    let serving = alice.serve(&limit);

    let mut download = bob.start(["get", "alice:/many"]);
    until_complete(&bob, &bytes, 40, &mut download);
    download.kill();
    let there = complete(&bob, &bytes);
    assert!((40..bytes.len()).contains(&there), "{there}");

    let mut download = bob.start(["get", "alice:/many"]);
    until_complete(&bob, &bytes, there + 40, &mut download);
    serving.kill();
    let ended = download.wait().expect_code(5);
    let there = complete(&bob, &bytes);
    let failed = bytes.len() - there;
    assert!(failed > 0);
    let (why, hint) = ended.error();
    let files = format!("{failed} files of {} failed", bytes.len());
    assert!(why.contains(&files) && hint.contains("again"), "{why}, {hint}");

    let _serving = alice.serve(&[]);
    let done = bob.ok(["get", "alice:/many"]).one("done");
    assert_eq!((&done["there"], &done["failed"]), (&there.into(), &0.into()));
    assert_eq!(done["fetched"], bytes.len() - there);
    assert_eq!(complete(&bob, &bytes), bytes.len());
    assert_eq!(tree(&bob.home()).len(), bytes.len(), "{:?}", tree(&bob.home()));
}

#[test]
fn pushed_small_files_survive_kills_of_either_side() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    let inbox_option = ["--inbox", inbox.to_str().unwrap()];
    fs::create_dir(bob.path("many")).unwrap();
    let bytes: Vec<_> = (0..300).map(|number| noise(20_000, number)).collect();
    for (number, bytes) in bytes.iter().enumerate() {
        fs::write(bob.path(format!("many/{number}.bin")), bytes).unwrap();
    }
    let arrived = || {
        let name = |number: usize| inbox.join(format!("bob/many/{number}.bin"));
        let is_there = |(number, bytes): (usize, &Vec<u8>)| {
            fs::read(name(number)).is_ok_and(|found| found == *bytes)
        };
        bytes.iter().enumerate().filter(|one| is_there(*one)).count()
    };
    let until_arrived = |least: usize| {
        until(&format!("{least} have come"), || (arrived() >= least).then_some(()));
    };
    let serving = alice.serve(&inbox_option);
    let push = ["push", "many", "alice", "--upload-limit", "1MiB"];

    let pushing = bob.start(push);
    until_arrived(40);
    pushing.kill();
    assert!((40..bytes.len()).contains(&arrived()), "{}", arrived());

    let pushing = bob.start(push);
    until_arrived(arrived() + 40);
    serving.kill();
    let (why, hint) = pushing.wait().expect_code(5).error();
    assert!(hint.contains("again"), "{why}, {hint}");
    let there = arrived();
    assert!(there < bytes.len());

    let _serving = alice.serve(&inbox_option);
    let done = bob.ok(["push", "many", "alice"]).one("done");
    assert_eq!((&done["pushed"], &done["failed"]), (&bytes.len().into(), &0.into()), "{done}");
    assert_eq!(done["there"], there, "{done}");
    assert_eq!(arrived(), bytes.len());
    assert_eq!(tree(&inbox).len(), bytes.len(), "{:?}", tree(&inbox));
}
