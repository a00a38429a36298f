//! Files whose names, sizes and kinds are out of the ordinary.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Ended, Index, MIB, Peer, Process, assert_bytes, b3sum, noise, tree};

/// Awkward names, each with bytes that no other has.
fn awkward() -> Vec<(PathBuf, Vec<u8>)> {
    let deep: PathBuf = (1..=30).map(|level| format!("level {level}")).collect();
    let mut files: Vec<(PathBuf, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("one byte".into(), vec![7]),
        ("one piece".into(), noise(MIB, 11)),
        ("one piece and a byte".into(), noise(MIB + 1, 12)),
        (deep.join("at the bottom.txt"), b"deep".to_vec()),
        ("same name/here".into(), b"here".to_vec()),
        ("same name/HERE".into(), b"HERE".to_vec()),
    ];
    let names = [
        "  spaces  around ",
        "emoji 🎷🦀👩‍👩‍👧.flac",
        "Žluťoučký kůň.txt",
        // The same letters, not composed.
        "Z\u{30c}lut\u{30c}ouc\u{30c}ky\u{301} ku\u{30a}n\u{30c} 2.txt",
        "-o",
        "--json",
        "~",
        "$(touch x)`;&|'\"\\",
        "new\nline\tand \u{1b}[31mcolour",
        "\u{202e}txt.exe",
        "con",
        "NUL.txt",
        "com1.tar.gz",
        "a:b",
        "what?.txt",
        "star*.txt",
        "<angle>|\"quote\"",
        "back\\slash",
        "trailing dot.",
        "trailing space ",
        "...",
        ".hidden",
        "film.part",
    ];
    for name in names {
        files.push((name.into(), format!("the file called {name:?}").into_bytes()));
    }
    // 255 bytes: of ASCII, of letters of four bytes, with a long extension.
    let long = ["n".repeat(255), "🎷".repeat(63) + "abc", format!("x.{}", "e".repeat(253))];
    for (name, seed) in long.into_iter().zip(13..) {
        assert_eq!(name.len(), 255);
        files.push((name.into(), noise(2 * MIB + 1, seed)));
    }
    for name in [&b"not \xff Unicode \xfe"[..], b"\xc3\x28", b"cut off \xf0\x9f\x8e"] {
        files.push((OsStr::from_bytes(name).into(), [b"bytes of ", name].concat()));
    }
    files
}

#[test]
fn awkward_files_arrive() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let folder = alice.path("awkward");
    let mut by_content = HashMap::new();
    for (name, bytes) in awkward() {
        let path = folder.join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert!(by_content.insert(b3sum(&bytes), bytes).is_none(), "{name:?}");
    }
    let shared = alice.ok([OsStr::new("share"), OsStr::new("--hidden"), folder.as_os_str()]);
    let files = shared.all("file");
    assert_eq!(files.len(), by_content.len(), "{}", shared.story());
    assert_eq!(shared.one("shared")["skipped"], 0);
    let _serving = alice.serve(&[]);

    // In the very place that the name says, and at once by its own path.
    bob.ok(["get", "alice:/awkward", "-o", "got"]);
    let got = tree(&bob.path("got"));
    assert_eq!(got.len(), by_content.len(), "{got:?}");
    for file in &files {
        let path = file["path"].as_str().unwrap();
        let bytes = &by_content[file["content"].as_str().unwrap()];
        // But for what turns the direction of writing.
        let path = path.replace('\u{202e}', "_");
        assert_bytes(&bob.path("got").join(path), bytes);
    }
    for (number, file) in files.iter().enumerate() {
        let (path, target) = (file["path"].as_str().unwrap(), format!("alone-{number}"));
        bob.ok(["get", &format!("alice:/{path}"), "-o", &target]);
        assert_bytes(&bob.path(target), &by_content[file["content"].as_str().unwrap()]);
    }

    // Again: everything is there, and nothing is hashed.
    let again = bob.ok(["get", "alice:/awkward", "-o", "got"]).one("done");
    assert_eq!((&again["fetched"], &again["failed"]), (&0.into(), &0.into()));
    let again = alice.ok([OsStr::new("share"), folder.as_os_str()]).one("shared");
    assert_eq!((&again["hashed"], &again["removed"]), (&0.into(), &0.into()));
}

/// What a scan says of a path that it leaves out.
#[track_caller]
fn assert_skipped(shared: &Ended, name: &str) {
    let warnings = shared.all("warning");
    let told = warnings.iter().any(|warning| warning["message"].as_str().unwrap().contains(name));
    assert!(told, "nothing is said of {name}\n{}", shared.story());
}

#[test]
fn what_is_no_file_is_left_out_and_told() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let folder = alice.path("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("good"), b"good").unwrap();
    let made = Command::new("mkfifo").arg(folder.join("a pipe")).status().unwrap();
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("a socket")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("dangling")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.join("outside")).unwrap();
    std::os::unix::fs::symlink("loop", folder.join("loop")).unwrap();
    std::os::unix::fs::symlink(".", folder.join("itself")).unwrap();

    let shared = alice.ok([OsStr::new("share"), folder.as_os_str()]);
    assert_eq!(shared.one("shared")["files"], 1, "{}", shared.story());
    for name in ["a pipe", "a socket", "dangling", "outside", "loop", "itself"] {
        assert_skipped(&shared, name);
    }
    let said = alice.fails(1, [OsStr::new("share"), folder.join("a pipe").as_os_str()]);
    assert!(said.contains("a pipe"), "{said}");
    alice.fails(4, ["share", "not there"]);

    let _serving = alice.serve(&[]);
    bob.ok(["get", "alice:/folder"]);
    assert_eq!(tree(&bob.home()), [Path::new("folder/good")]);
}

/// Runs a command as somebody who is not root and whose files these are; `None` where that cannot be.
fn as_nobody(peer: &Peer, args: &[&str]) -> Option<Ended> {
    const NOBODY: u32 = 65534;
    let mut command = peer.command(args);
    command.arg("--json");
    if fs::metadata(peer.home()).unwrap().uid() == 0 {
        let mut chown = Command::new("chown");
        chown.arg("-R").arg(NOBODY.to_string()).arg(peer.home().parent().unwrap());
        assert!(chown.status().unwrap().success());
        let mut probe = Command::new(command.get_program());
        probe.uid(NOBODY).arg("--version").output().ok()?;
        command.uid(NOBODY);
    }
    Some(Process::start(command).wait())
}

#[test]
fn a_file_that_may_not_be_read_does_not_keep_the_others_from_being_shared() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let folder = alice.path("folder");
    fs::create_dir_all(folder.join("closed folder")).unwrap();
    for name in ["good", "closed file", "closed folder/inside"] {
        fs::write(folder.join(name), name).unwrap();
    }
    for name in ["closed file", "closed folder"] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let Some(shared) = as_nobody(&alice, &["share", folder.to_str().unwrap()]) else {
        println!(
            "SKIPPED: root reads every file, and {} cannot be run by another user here",
            env!("CARGO_BIN_EXE_p2pshare-peer")
        );
        return;
    };
    let shared = shared.expect_code(0);
    assert_eq!(shared.one("shared")["files"], 1, "{}", shared.story());
    assert_skipped(&shared, "closed file");
    assert_skipped(&shared, "closed folder");
    fs::set_permissions(folder.join("closed folder"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn what_is_named_before_a_mistake_is_shared_and_published() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    fs::write(alice.path("good"), b"good").unwrap();
    let ended = alice.run(["share", "good", "none"]).expect_code(4);
    assert!(ended.error().0.contains("none does not exist"), "{}", ended.story());
    assert_eq!(ended.one("published")["published"], 1);
    assert!(alice.fails(4, ["share", "none"]).contains("none does not exist"));
}
