//! A disk that fills up at the receiver.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Answer, Index, MIB, Page, Peer, assert_bytes, noise, parts, tree, until};

/// A file system in memory of a bounded size.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and a loud line, where nothing can be mounted.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            other => {
                println!("SKIPPED: a small disk cannot be mounted here (it takes root): {other:?}");
                None
            }
        }
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut filler = fs::File::create(&path).unwrap();
        let full = std::iter::repeat_with(|| filler.write_all(&[7; 4096])).find_map(Result::err);
        assert_eq!(full.unwrap().kind(), ErrorKind::StorageFull);
        path
    }

    fn grow(&self, size: &str) {
        let grown = Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.0)
            .status();
        assert!(grown.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: something that was killed may still be going.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_download_that_does_not_fit_goes_on_once_it_does() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let Some(disk) = SmallDisk::mount(&bob.path("disk"), "4m") else { return };
    let bytes = noise(8 * MIB + 5, 31);
    let id = alice.share_file("film", &bytes);
    let _serving = alice.serve(&[]);

    for _ in 0..2 {
        let said = bob.fails(1, ["get", &id, "-o", "disk"]);
        assert!(said.contains("no room") && said.contains("9 MiB more"), "{said}");
        assert!(said.contains("run the same command again"), "{said}");
        assert!(!bob.path("disk/film").exists());
    }
    disk.grow("16m");
    bob.ok(["get", &id, "-o", "disk"]);
    assert_bytes(&bob.path("disk/film"), &bytes);
    assert_eq!(tree(&bob.path("disk")).len(), 1, "{:?}", tree(&bob.path("disk")));
}

#[test]
fn small_files_that_do_not_fit_are_told_and_the_others_are_whole() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let Some(disk) = SmallDisk::mount(&bob.path("disk"), "1m") else { return };
    fs::create_dir(alice.path("many")).unwrap();
    let bytes = |number| noise(64 << 10, 100 + number);
    for number in 0..32 {
        fs::write(alice.path(format!("many/{number}")), bytes(number)).unwrap();
    }
    alice.share("many");
    let _serving = alice.serve(&[]);

    let ended = bob.run(["get", "alice:/many", "-o", "disk"]).expect_code(1);
    let failed = ended.all("failed");
    assert!(!failed.is_empty());
    for failure in &failed {
        assert!(failure["error"].as_str().unwrap().contains("no space left"), "{failure}");
    }
    let whole = |number: u64| {
        let path = bob.path(format!("disk/many/{number}"));
        path.exists().then(|| assert_bytes(&path, &bytes(number)))
    };
    let arrived = (0..32).filter_map(whole).count();
    assert_eq!(arrived + failed.len(), 32);
    // Of those that did not fit nothing is left.
    assert_eq!(tree(&bob.path("disk")).len(), arrived, "{:?}", tree(&bob.path("disk")));

    disk.grow("16m");
    bob.ok(["get", "alice:/many", "-o", "disk"]);
    assert_eq!((0..32).filter_map(whole).count(), 32);
    assert_eq!(tree(&bob.path("disk")).len(), 32, "{:?}", tree(&bob.path("disk")));
}

#[test]
fn very_many_files_are_not_fetched_for_a_full_disk() {
    const FILES: u64 = 300;
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let Some(disk) = SmallDisk::mount(&bob.path("disk"), "1m") else { return };
    fs::create_dir(alice.path("many")).unwrap();
    for number in 0..FILES {
        fs::write(alice.path(format!("many/{number}")), noise(64 << 10, 500 + number)).unwrap();
    }
    alice.share("many");
    let _serving = alice.serve(&[]);

    let ended = bob.run(["get", "alice:/many", "-o", "disk"]).expect_code(1);
    let done = ended.one("done");
    let count = |key: &str| done[key].as_u64().unwrap();
    assert_eq!(count("fetched") + count("failed"), FILES);
    // Some were on their way when it was clear.
    assert!(count("untried") >= FILES / 3, "{done}");
    assert_eq!(ended.all("failed").len() as u64, count("failed") - count("untried"));
    let (said, hint) = ended.error();
    assert!(said.contains("were not tried any more") && said.contains("no space left"), "{said}");
    assert!(hint.contains("run the same command again"), "{hint}");
    assert_eq!(tree(&bob.path("disk")).len() as u64, count("fetched"));

    disk.grow("64m");
    let done = bob.ok(["get", "alice:/many", "-o", "disk"]).one("done");
    assert_eq!((&done["failed"], &done["untried"]), (&0.into(), &0.into()));
    assert_eq!(tree(&bob.path("disk")).len() as u64, FILES);
}

#[test]
fn what_does_not_fit_keeps_nothing_else_from_coming() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let Some(disk) = SmallDisk::mount(&bob.path("disk"), "6m") else { return };
    fs::create_dir(alice.path("mixed")).unwrap();
    let sizes =
        [("a huge one", 20 * MIB), ("b film", 2 * MIB), ("c note", 10), ("d film", 2 * MIB)];
    for (name, size) in sizes {
        fs::write(alice.path("mixed").join(name), noise(size, size as u64)).unwrap();
    }
    alice.share("mixed");
    let _serving = alice.serve(&[]);
    let _node = bob.serve(&["--ui", "127.0.0.1:0"]);

    let ended = bob.run(["get", "alice:/mixed", "-o", "disk"]).expect_code(1);
    let failed = ended.one("failed");
    assert!(failed["path"].as_str().unwrap().ends_with("a huge one"), "{failed}");
    let why = failed["error"].as_str().unwrap();
    assert!(why.contains("no room") && failed["cause"] == "place", "{failed}");
    for (name, size) in &sizes[1..] {
        assert_bytes(&bob.path("disk/mixed").join(name), &noise(*size, *size as u64));
    }
    let listed = bob.ok(["downloads", "--all"]).one("download");
    assert_eq!((&listed["files_done"], &listed["files_failed"]), (&3.into(), &1.into()));
    disk.grow("64m");
    bob.ok(["get", "alice:/mixed", "-o", "disk"]);
    assert_bytes(&bob.path("disk/mixed/a huge one"), &noise(20 * MIB, 20 * MIB as u64));
}

#[test]
fn an_inbox_without_room_refuses() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let Some(_disk) = SmallDisk::mount(&alice.path("inbox"), "4m") else { return };
    let _serving = alice.serve(&["--inbox", alice.path("inbox").to_str().unwrap()]);
    fs::write(bob.path("gift"), noise(8 * MIB, 32)).unwrap();
    let said = bob.fails(1, ["push", "gift", "alice"]);
    assert!(said.contains("not enough room"), "{said}");
    assert!(!alice.path("inbox/bob/gift").exists());
}

/// Its reserve of 256 MiB is reached in the middle of files that go together.
#[test]
fn an_inbox_that_fills_keeps_what_has_come() {
    const FILES: u64 = 130;

    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    let Some(disk) = SmallDisk::mount(&inbox, "260m") else { return };
    let _serving = alice.serve(&["--inbox", inbox.to_str().unwrap()]);
    fs::create_dir(bob.path("many")).unwrap();
    for number in 0..FILES {
        fs::write(bob.path(format!("many/{number}")), noise(60_000, 700 + number)).unwrap();
    }
    let ended = bob.run(["push", "many", "alice"]).expect_code(1);
    assert!(ended.error().0.contains("not enough room"), "{:?}", ended.error());
    let came = ended.one("done")["pushed"].as_u64().unwrap();
    assert!((20..FILES).contains(&came), "{came}");
    assert_eq!(ended.all("pushed").len() as u64, came);
    assert_eq!(tree(&inbox).len() as u64, came, "{:?}", tree(&inbox));

    disk.grow("300m");
    let done = bob.ok(["push", "many", "alice"]).one("done");
    assert_eq!((&done["there"], &done["failed"]), (&came.into(), &0.into()), "{done}");
    for number in 0..FILES {
        let there = inbox.join(format!("bob/many/{number}"));
        assert_bytes(&there, &noise(60_000, 700 + number));
    }
    assert_eq!(tree(&inbox).len() as u64, FILES, "{:?}", tree(&inbox));
}

#[test]
fn a_queue_without_room_says_so_and_loses_nothing() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::new(&index, "bob"));
    let Some(disk) = SmallDisk::mount(&bob.data_dir(), "16m") else { return };
    bob.ok(["register", "bob"]);
    fs::create_dir(alice.path("many")).unwrap();
    let bytes = |number: u64| noise(1000 + usize::try_from(number).unwrap(), 200 + number);
    for number in 0..100 {
        fs::write(alice.path(format!("many/{number}")), bytes(number)).unwrap();
    }
    let film = noise(3 * MIB + 1, 33);
    let id = alice.share_file("film", &film);
    alice.share("many");

    let node = bob.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(&bob);
    let the_download = |page: &Page| page.get("/api/downloads?state=all")["items"][0].clone();
    bob.ok(["get", "alice:/many", "--detach"]);
    until("it is known what it is made of", || (the_download(&page)["files"] == 100).then_some(()));

    let filler = disk.fill();
    let said = bob.fails(1, ["get", &id, "--detach"]);
    assert!(said.contains("no space left") && said.contains("make room"), "{said}");
    let _serving = alice.serve(&[]);
    until("it waits for room", || {
        let error = the_download(&page)["error"].as_str()?.to_owned();
        error.contains("no space left").then_some(())
    });
    assert_eq!(page.get("/api/downloads?state=all")["items"].as_array().unwrap().len(), 1);

    // Neither does a kill lose anything.
    node.kill();
    fs::remove_file(filler).unwrap();
    let _node = bob.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(&bob);
    until("it is done", || (the_download(&page)["state"] == "done").then_some(()));
    let done = the_download(&page);
    assert_eq!((&done["files_done"], &done["files_failed"]), (&100.into(), &0.into()), "{done}");
    for number in 0..100 {
        assert_bytes(&bob.path(format!("many/{number}")), &bytes(number));
    }
    assert_eq!(parts(&bob.home()), Vec::<PathBuf>::new());
    bob.ok(["get", &id]);
    assert_bytes(&bob.path("film"), &film);
}

#[test]
fn a_full_queue_goes_on_by_itself_once_there_is_room() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::new(&index, "bob"));
    let Some(disk) = SmallDisk::mount(&bob.data_dir(), "16m") else { return };
    bob.ok(["register", "bob"]);
    let film = noise(3 * MIB + 1, 34);
    let id = alice.share_file("film", &film);
    let _node = bob.serve(&["--ui", "127.0.0.1:0"]);
    let mut get = bob.start(["get", &id, "--wait", "100"]);
    let page = Page::of(&bob);
    let the_download = || page.get("/api/downloads?state=all")["items"][0].clone();
    until("it waits for a source", || {
        the_download()["error"].as_str().is_some_and(|it| it.contains("online")).then_some(())
    });
    let filler = disk.fill();
    let _serving = alice.serve(&[]);
    // The file is on another disk: it is complete, and the queue cannot note it.
    until("the file is there", || bob.path("film").exists().then_some(()));
    until("the queue has no room", || {
        the_download()["error"]
            .as_str()
            .is_some_and(|it| it.contains("no space left"))
            .then_some(())
    });
    assert!(get.is_running());
    fs::remove_file(filler).unwrap();
    get.wait().expect_code(0);
    assert_eq!(the_download()["state"], "done");
    assert_bytes(&bob.path("film"), &film);
}

#[test]
fn what_is_read_without_room_takes_that_of_what_nobody_reads_or_says_so() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let cache = bob.data_dir().join("cache");
    let Some(disk) = SmallDisk::mount(&cache, "5m") else { return };
    let films = [(3, 41), (3, 42), (9, 43)].into_iter().map(|(mib, seed)| {
        let film = noise(mib * MIB + 7, seed);
        (alice.share_file(&format!("film {seed}"), &film), film)
    });
    let films: Vec<_> = films.collect();
    let _serving = alice.serve(&[]);
    let _node = bob.serve(&["--ui", "127.0.0.1:0"]);
    let page = Page::of(&bob);
    let read = |number: usize| -> Answer {
        page.ask(&format!("GET /content/{}/film", films[number].0), &[&page.bearer()], "")
    };
    let is_read = |number: usize| {
        let answer = read(number);
        assert_eq!(answer.status, 200, "{number}");
        assert!(answer.body == films[number].1, "{number}: {} bytes", answer.body.len());
    };
    // Two do not fit.
    is_read(0);
    is_read(1);
    is_read(0);

    // One that never fits ends early, with no wrong byte, and leaves the room to others.
    let cut = read(2);
    assert!(cut.body.len() < films[2].1.len());
    if cut.status == 200 {
        assert!(films[2].1.starts_with(&cut.body));
    }
    until("what came of it is removed", || tree(&cache).is_empty().then_some(()));
    is_read(1);

    until("nobody reads any more", || (tree(&cache).len() == 1).then_some(()));
    fs::remove_file(cache.join(&films[1].0)).unwrap();
    let filler = disk.fill();
    let refused = read(0);
    assert_eq!(refused.status, 507, "{refused:?}");
    let why = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(why.contains("full: make room there"), "{why}");
    fs::remove_file(filler).unwrap();
    is_read(0);
    disk.grow("32m");
    is_read(2);
}
