//! Pushing files into another's inbox.

use std::{fs, ops::Range};

use futures::stream;
use p2pshare_core::{api::PushGrantRequest, content::hash_bytes};
use p2pshare_peer::{account::SavedSession, data_dir::DataDir, index_client::IndexClient};
use p2pshare_proto::v1::{
    ManifestHead, ManifestPart, PushOffer, PushRequest, Segment, push_request::Event,
    transfer_client::TransferClient,
};
use serde_json::json;
use tonic::{Request, Status};

use crate::support::{Index, MIB, Page, Peer, assert_bytes, noise, tree, until};

#[test]
fn without_an_inbox_nothing_is_taken() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let _serving = alice.serve(&[]);
    fs::write(bob.path("gift"), b"gift").unwrap();
    let said = bob.fails(1, ["push", "gift", "alice"]);
    assert!(said.contains("it refuses: this peer does not take files"), "{said}");
    assert!(tree(&alice.home()).is_empty());
}

#[test]
fn an_inbox_in_a_share_is_told_of() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    fs::create_dir_all(alice.path("shared/in")).unwrap();
    alice.share("shared");
    let inbox = |name: &str| alice.path(name).to_str().unwrap().to_owned();
    let mut serving = alice.serve(&["--inbox", &inbox("shared/in")]);
    let warning = serving.process.wait_for_event("warning").to_string();
    assert!(warning.contains("what others push is shared in turn (public)"), "{warning}");
    serving.stop().expect_code(0);
    let ended = alice.serve(&["--inbox", &inbox("in")]).stop().expect_code(0);
    assert_eq!(ended.all("warning"), [] as [serde_json::Value; 0]);
}

#[test]
fn what_is_in_the_inbox_is_kept() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    let mut serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    let mut names = Vec::new();
    let versions = [noise(2 * MIB, 111), noise(2 * MIB, 112), Vec::new()];
    for bytes in &versions {
        fs::write(bob.path("gift.bin"), bytes).unwrap();
        let name = bob.ok(["push", "gift.bin", "alice"]).one("pushed")["name"].clone();
        names.push(name.as_str().unwrap().to_owned());
    }
    for (name, bytes) in names.iter().zip(&versions) {
        assert_bytes(&inbox.join("bob").join(name), bytes);
    }
    assert_eq!(names[0], "gift.bin");
    // The same content again has its place already.
    let again = bob.ok(["push", "gift.bin", "alice"]).one("pushed")["name"].clone();
    assert_eq!(again, names[2].as_str());
    fs::write(bob.path("gift.bin"), &versions[0]).unwrap();
    let there = bob.ok(["push", "gift.bin", "alice"]).one("pushed");
    assert_eq!((&there["name"], &there["sent"]), (&"gift.bin".into(), &0.into()));
    // Who serves is told of each that came.
    let told = serving.process.wait_for("it is told", |lines| {
        let lines: Vec<_> = lines.iter().filter(|line| line.contains("received")).collect();
        (lines.len() == 3).then(|| lines[0].clone())
    });
    assert!(told.contains("\"from\":\"bob\"") && told.contains("gift.bin"), "{told}");
    assert_eq!(tree(&inbox).len(), 3, "{:?}", tree(&inbox));
}

#[test]
fn folders_and_several_files_are_pushed_as_they_would_be_shared() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    let serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    let files = [
        ("Trip/one.jpg", noise(3 * MIB, 121)),
        ("Trip/day 2/two.jpg", noise(1000, 122)),
        ("Trip/day 2/none.txt", Vec::new()),
        ("notes", b"notes".to_vec()),
    ];
    fs::create_dir_all(bob.path("Trip/day 2")).unwrap();
    for (name, bytes) in &files {
        fs::write(bob.path(name), bytes).unwrap();
    }
    fs::write(bob.path("Trip/.p2pignore"), b"*.tmp\n").unwrap();
    fs::write(bob.path("Trip/x.tmp"), b"x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", bob.path("Trip/link")).unwrap();

    let pushed = bob.ok(["push", "Trip", "notes", "alice"]);
    for (name, bytes) in &files {
        assert_bytes(&inbox.join("bob").join(name), bytes);
    }
    assert_eq!(tree(&inbox).len(), files.len(), "{:?}", tree(&inbox));
    assert_eq!(pushed.all("pushed").len(), files.len());
    let done = pushed.one("done");
    assert_eq!((&done["pushed"], &done["skipped"]), (&4.into(), &1.into()), "{done}");
    assert_eq!(done["sent"], done["bytes"]);

    // What is there is not sent again, and what is new is.
    fs::write(bob.path("Trip/three.jpg"), b"three").unwrap();
    let done = bob.ok(["push", "Trip", "alice"]).one("done");
    assert_eq!((&done["pushed"], &done["sent"]), (&4.into(), &5.into()), "{done}");
    assert_bytes(&inbox.join("bob/Trip/three.jpg"), b"three");

    let said = bob.fails(4, ["push", "Trip", "nothing like it", "alice"]);
    assert!(said.contains("does not exist"), "{said}");
    fs::create_dir(bob.path("empty")).unwrap();
    bob.fails(4, ["push", "empty", "alice"]);
    serving.stop().expect_code(0);
    assert!(bob.fails(5, ["push", "Trip", "alice"]).contains("no peer of alice is online"));
    let _serving = alice.serve(&[]);
    assert!(bob.fails(1, ["push", "Trip", "alice"]).contains("does not take files"));
}

#[test]
fn many_small_files_are_pushed_each_once() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    let serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    let write = |numbers: Range<u64>| {
        for number in numbers {
            let folder = bob.path(format!("many/{}", number % 7));
            fs::create_dir_all(&folder).unwrap();
            let len = [0, 10, 3000, 60_000][number as usize % 4];
            fs::write(folder.join(number.to_string()), noise(len, number)).unwrap();
        }
    };
    let push = |there: u64, lacking: u64| {
        let done = bob.ok(["push", "many", "alice"]);
        assert_eq!(done.all("pushed").len() as u64, there + lacking);
        let done = done.one("done");
        // Nothing of an empty one is ever sent.
        let of = |key: &str| done[key].as_u64().expect("a number");
        assert_eq!((of("pushed"), of("failed")), (there + lacking, 0), "{done}");
        assert_eq!(of("there"), there - there / 4, "{done}");
        assert_eq!(tree(&inbox.join("bob/many")), tree(&bob.path("many")));
    };
    write(0..300);
    push(0, 300);
    push(300, 0);
    write(300..500);
    push(300, 200);
    // One that something else has the name of comes beside it, whatever goes with it.
    fs::write(inbox.join("bob/many/3/10"), b"alice's own").unwrap();
    let done = bob.ok(["push", "many", "alice"]).one("done");
    assert_eq!(done["there"], 500 - 500 / 4 - 1, "{done}");
    assert_bytes(&inbox.join("bob/many/3/10"), b"alice's own");
    assert_bytes(&inbox.join("bob/many/3/10 (2)"), &noise(3000, 10));
    serving.stop().expect_code(0);
}

/// Two processes of one user send the same at the same time: whatever becomes of each, every file is there once.
#[test]
fn many_small_files_that_are_pushed_twice_at_once_are_there_once() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    let _serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    fs::create_dir(bob.path("many")).unwrap();
    for number in 0..200_u64 {
        fs::write(bob.path(format!("many/{number}")), noise(900, number)).unwrap();
    }
    let push = || bob.start(["push", "many", "alice"]);
    for pushing in [push(), push()] {
        // The other one may be just at a file.
        let ended = pushing.wait();
        assert!([0, 1, 5].map(Some).contains(&ended.code), "{}", ended.story());
    }
    assert_eq!(bob.ok(["push", "many", "alice"]).one("done")["failed"], 0);
    assert_eq!(tree(&inbox.join("bob/many")), tree(&bob.path("many")));
    for number in 0..200_u64 {
        assert_bytes(&inbox.join(format!("bob/many/{number}")), &noise(900, number));
    }
}

/// Small files go together to the peer that the index names first. That it does not take them costs a few calls.
#[test]
fn many_small_files_find_the_peer_that_takes_them() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    // Which is the first is up to their keys.
    let others = [1, 2, 3].map(|_| Peer::new(&index, "alice"));
    let refusing = others.each_ref().map(|peer| {
        peer.ok(["login", "alice"]);
        peer.serve(&[])
    });
    let inbox = alice.path("inbox");
    let serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    fs::create_dir(bob.path("many")).unwrap();
    for number in 0..130_u64 {
        fs::write(bob.path(format!("many/{number}")), noise(900, number)).unwrap();
    }
    let before = index.requests();
    let done = bob.ok(["push", "many", "alice"]).one("done");
    assert_eq!((&done["pushed"], &done["failed"]), (&130.into(), &0.into()), "{done}");
    assert_eq!(tree(&inbox.join("bob/many")), tree(&bob.path("many")));
    let asked = index.requests() - before;
    assert!(asked < 130 + 7 * 64 + 30, "{asked}");
    for serving in refusing.into_iter().chain([serving]) {
        serving.stop().expect_code(0);
    }
}

#[test]
fn an_inbox_that_is_removed_is_made_again_unless_its_disk_is_away() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let disk = alice.path("disk");
    let inbox = disk.join("inbox");
    let mut serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    fs::write(bob.path("gift"), b"gift").unwrap();
    fs::remove_dir_all(&inbox).unwrap();
    bob.ok(["push", "gift", "alice"]);
    assert_bytes(&inbox.join("bob/gift"), b"gift");

    fs::remove_dir_all(&disk).unwrap();
    let said = bob.fails(5, ["push", "gift", "alice"]);
    assert!(said.contains("inbox is not there at the moment"), "{said}");
    // Who serves is told.
    serving.process.wait_for("it is told", |lines| {
        lines.iter().any(|line| line.contains("not there at the moment")).then_some(())
    });
    fs::create_dir(&disk).unwrap();
    bob.ok(["push", "gift", "alice"]);
}

#[test]
fn a_peer_whose_inbox_was_set_on_its_page_serves_while_the_disk_is_away() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let disk = alice.path("disk");
    let inbox = disk.join("inbox");
    let serving = alice.serve(&["--ui", "127.0.0.1:0"]);
    Page::of(&alice).ok("PUT /api/settings", &json!({ "inbox": inbox }));
    serving.stop().expect_code(0);
    fs::remove_dir_all(&disk).unwrap();

    let serving = alice.serve(&[]);
    fs::write(bob.path("gift"), b"gift").unwrap();
    let said = bob.fails(5, ["push", "gift", "alice"]);
    assert!(said.contains("inbox is not there at the moment"), "{said}");
    assert!(!disk.exists());
    fs::create_dir(&disk).unwrap();
    bob.ok(["push", "gift", "alice"]);
    assert_bytes(&inbox.join("bob/gift"), b"gift");
    serving.stop().expect_code(0);

    // What was given for this run alone is wrong, and is told at once.
    fs::write(alice.path("file"), b"").unwrap();
    let within = alice.path("file/inbox");
    let args = ["serve", "--listen", "127.0.0.1:0", "--inbox", within.to_str().unwrap()];
    assert!(alice.fails(1, args).contains("cannot be used as inbox"));
}

#[test]
fn awkward_names_are_pushed() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    let _serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    for (number, name) in ["🎷".repeat(63) + "abc", "con".into(), "a:b".into()].iter().enumerate()
    {
        let bytes = noise(MIB + 1, 113 + number as u64);
        fs::write(bob.path(name), &bytes).unwrap();
        let kept = bob.ok(["push", name, "alice"]).one("pushed")["name"].clone();
        assert_bytes(&inbox.join("bob").join(kept.as_str().unwrap()), &bytes);
    }
}

/// Pushes with a client that takes no care of names.
async fn push_raw(peer: &Peer, to: &str, address: &str, name: &str) -> Result<(), Status> {
    let bytes = b"hostile".to_vec();
    let content = hash_bytes(&bytes).id();
    let session = SavedSession::load(&DataDir::open(&peer.data_dir()).unwrap()).unwrap();
    let client = IndexClient::new(&session.urls().unwrap(), std::time::Duration::ZERO).unwrap();
    let request = PushGrantRequest { user: to.parse().unwrap(), content, peer: None };
    let grants = client.with_session(session.token).push_grants(&request).await.unwrap();

    let length = bytes.len() as u64;
    let head = Some(ManifestHead { length, tail: Default::default() });
    let content_id = content.as_bytes().to_vec().into();
    let events = [
        Event::Offer(PushOffer { content_id, name: name.to_owned(), length, ..Default::default() }),
        Event::Manifest(ManifestPart { head, chaining_values: Default::default() }),
        Event::Segment(Segment { offset: 0, data: bytes.into() }),
    ];
    let messages = events.map(|event| PushRequest { event: Some(event) });
    let mut request = Request::new(stream::iter(messages));
    let grant = format!("Bearer {}", grants.peers[0].grant);
    request.metadata_mut().insert("authorization", grant.parse().unwrap());
    let mut client = TransferClient::connect(format!("http://{address}")).await.unwrap();
    let mut answers = client.push(request).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

#[test]
fn hostile_names_do_not_leave_the_inbox() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    let serving = alice.serve(&["--insecure", "--inbox", inbox.to_str().unwrap()]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let push = |name: &str| runtime.block_on(push_raw(&bob, "alice", &serving.listen(), name));
    let absolute = alice.path("absolute").to_str().unwrap().to_owned();
    let (long, deep) = ("n".repeat(256), "d/".repeat(100) + "x");
    for name in [
        "../x",
        "..",
        ".",
        "",
        "/",
        "a/../../x",
        "a/../x",
        "./x",
        "a//x",
        "..\\x",
        "a\\..\\x",
        "C:\\x",
        "C:x",
        "a\0b",
        "a\nb",
        "x/",
        "con",
        "x.",
        "x ",
        &absolute,
        &long,
        &deep,
    ] {
        match push(name) {
            Err(status) => assert!(status.message().contains("name"), "{name:?}: {status:?}"),
            Ok(()) => panic!("{name:?} was taken: {:?}", tree(&alice.home())),
        }
    }
    assert!(tree(&alice.home()).is_empty(), "{:?}", tree(&alice.home()));

    // A link in the inbox leads nowhere either.
    let outside = alice.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(inbox.join("bob")).unwrap();
    std::os::unix::fs::symlink(&outside, inbox.join("bob/link")).unwrap();
    assert!(push("link/x").is_err());
    push("honest/name").unwrap();
    assert_bytes(&inbox.join("bob/honest/name"), b"hostile");
    assert!(tree(&outside).is_empty());
}

/// As long as it takes under a limit it is seen beside what others fetch, and a higher limit holds at once.
#[test]
fn a_push_of_the_running_peer_keeps_to_the_limit_of_uploads() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = bob.path("inbox");
    let _bobs = bob.serve(&["--inbox", inbox.to_str().unwrap()]);
    let _alices = alice.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(&alice);
    let film = noise(8 * MIB, 113);
    fs::write(alice.path("film.mkv"), &film).unwrap();
    page.hold_uploads();
    page.ok("POST /api/pushes", &json!({ "path": alice.path("film.mkv"), "user": "bob" }));
    let running = until("it is listed", || {
        page.get("/api/uploads")["running"].as_array().unwrap().first().cloned()
    });
    assert_eq!(
        (&running["user"], &running["name"]),
        (&json!("bob"), &json!("film.mkv")),
        "{running}"
    );
    page.limit_uploads(None);
    until("the push is done", || {
        (page.get("/api/pushes")["items"][0]["state"] == "done").then_some(())
    });
    assert_bytes(&inbox.join("alice/film.mkv"), &film);
}
