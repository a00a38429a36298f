//! What is there already where a download is to go.

use std::fs;

use crate::{
    support::{Index, MIB, Peer, assert_bytes, noise, parts, tree},
    swarm::until_done,
};

#[test]
fn what_is_there_is_kept_unless_it_may_be_replaced() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let _serving = alice.serve(&[]);
    for (name, len) in [("small", 1000), ("large", 3 * MIB + 1)] {
        let bytes = noise(len, 3);
        let id = alice.share_file(name, &bytes);
        fs::write(bob.path(name), b"something of mine").unwrap();

        let said = bob.fails(1, ["get", &id]);
        assert!(said.contains("exists already"), "{said}");
        assert!(!said.contains("the same command"), "{said}");
        assert_bytes(&bob.path(name), b"something of mine");

        bob.ok(["get", &id, "--overwrite"]);
        assert_bytes(&bob.path(name), &bytes);

        let again = bob.ok(["get", &id]);
        assert_eq!(again.one("file")["state"], "there");
        assert_eq!(again.one("done")["there"], 1);
        assert_bytes(&bob.path(name), &bytes);

        // The same content under another name is no reason not to make the file.
        bob.ok(["get", &id, "-o", "copy"]);
        assert_bytes(&bob.path("copy"), &bytes);
        fs::remove_file(bob.path("copy")).unwrap();
    }
    assert_eq!(tree(&bob.home()).len(), 2, "nothing else is left: {:?}", tree(&bob.home()));
}

#[test]
fn a_folder_or_a_link_in_the_way_is_left_alone() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let _serving = alice.serve(&[]);
    let id = alice.share_file("file", &noise(2 * MIB, 4));

    fs::create_dir(bob.path("file")).unwrap();
    bob.fails(1, ["get", &id]);
    bob.fails(1, ["get", &id, "--overwrite"]);
    assert!(bob.path("file").is_dir());
    fs::remove_dir(bob.path("file")).unwrap();

    let elsewhere = bob.path("elsewhere");
    fs::write(&elsewhere, b"mine").unwrap();
    std::os::unix::fs::symlink(&elsewhere, bob.path("file")).unwrap();
    bob.fails(1, ["get", &id]);
    assert_bytes(&elsewhere, b"mine");
    bob.ok(["get", &id, "--overwrite"]);
    assert_bytes(&elsewhere, b"mine");
    assert_bytes(&bob.path("file"), &noise(2 * MIB, 4));

    // A dangling link is something too.
    fs::remove_file(bob.path("file")).unwrap();
    std::os::unix::fs::symlink(bob.path("nowhere"), bob.path("file")).unwrap();
    bob.fails(1, ["get", &id]);
    assert!(!bob.path("nowhere").exists());
    assert!(parts(&bob.home()).is_empty());
}

#[test]
fn a_place_that_takes_nothing_is_told_and_so_is_what_cannot_be_in_the_background() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let content = alice.share_file("song", b"a song");
    let _serving = alice.serve(&[]);
    fs::write(bob.path("file"), "a file").unwrap();
    std::os::unix::fs::symlink("nowhere", bob.path("link")).unwrap();
    let told = bob.fails(2, ["get", &content, "-o", "file/"]);
    assert!(told.contains("where a folder is needed"), "{told}");
    let told = bob.fails(1, ["get", &content, "-o", "file/below/song"]);
    assert!(told.contains("making the folder"), "{told}");
    let told = bob.fails(1, ["get", &content, "-o", "link"]);
    assert!(told.contains("is not replaced"), "{told}");

    let _running = bob.serve(&[]);
    for with in [&["--no-sync"][..], &["--download-limit", "1MB"], &["--no-serve"], &["-o", "-"]] {
        let told = bob.fails(2, [&["get", "-d", &content][..], with].concat());
        assert!(told.contains("leave out --detach"), "{with:?}: {told}");
    }
}

#[test]
fn of_two_downloads_to_one_place_one_wins() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(8 * MIB, 5);
    let id = alice.share_file("file", &bytes);
    let (_serving, page) = alice.serve_slowly(MIB / 2);

    let mut first = bob.start(["get", &id]);
    until_done(&mut first, 0);
    page.hold_uploads();
    let said = bob.fails(1, ["get", &id]);
    assert!(said.contains("being downloaded already"), "{said}");
    page.limit_uploads(None);
    first.wait().expect_code(0);
    assert_bytes(&bob.path("file"), &bytes);
    assert_eq!(tree(&bob.home()).len(), 1, "{:?}", tree(&bob.home()));
}
