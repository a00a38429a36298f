//! `p2pshare-index store`, and stores as they are named, as the operator uses them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str], password: Option<&str>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2pshare-index"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("P2PSHARE_") {
            command.env_remove(name);
        }
    }
    if let Some(password) = password {
        command.env("P2PSHARE_PASSWORD", password);
    }
    let Output { status, stdout, stderr } =
        command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    (status.code(), text)
}

#[test]
fn a_store_is_copied_once_and_goes_on_if_it_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [one, two] = ["one.db", "two.db"].map(|name| format!("sqlite:{}", at(name)));
    let data = at("data");
    for user in ["alice", "bob"] {
        let arguments = ["user", "create", user, "--store", &one, "--data-dir", &data];
        assert_eq!(run(&arguments, Some("correct horse battery")).0, Some(0));
    }
    let copy = ["store", "copy", "--from", &one, "--to", &two];
    let (code, said) = run(&copy, None);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("copied and compared: 2 accounts"), "{said}");
    let (code, said) = run(&copy, None);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is not empty") && said.contains("--resume"), "{said}");
    let (code, said) = run(&[&copy[..], &["--resume"]].concat(), None);
    assert_eq!(code, Some(0), "{said}");

    // What else was written into the copy is found.
    let arguments = ["user", "create", "carol", "--store", &two, "--data-dir", &data];
    assert_eq!(run(&arguments, Some("correct horse battery")).0, Some(0));
    let (code, said) = run(&[&copy[..], &["--resume"]].concat(), None);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the stores differ"), "{said}");

    let (code, said) = run(&["store", "check", "--store", &two], None);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("in order: 3 accounts"), "{said}");
    assert_eq!(run(&["store", "copy", "--from", &one, "--to", &one], None).0, Some(2));
    assert_eq!(run(&["store", "check", "--store", "memory:"], None).0, Some(2));
}

#[test]
fn a_store_that_is_damaged_is_not_in_order() {
    const PAGE: usize = 4096;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let create = ["user", "create", "alice", "--data-dir", data];
    assert_eq!(run(&create, Some("correct horse battery")).0, Some(0));
    // The store of the data directory, unless another one is named.
    let check = ["store", "check", "--data-dir", data];
    let (code, said) = run(&check, None);
    assert_eq!(code, Some(0), "{said}");
    let file = folder.path().join("index.db");
    let whole = std::fs::read(&file).unwrap();
    let pages = whole.len() / PAGE;
    // The first pages have the schema, without which nothing is opened.
    let damaged = (2..pages).filter(|page| {
        let mut bytes = whole.clone();
        bytes[page * PAGE..][..PAGE].fill(0x55);
        std::fs::write(&file, bytes).unwrap();
        let (code, said) = run(&check, None);
        assert!(code == Some(0) || code == Some(1), "{said}");
        code == Some(1)
    });
    let damaged = damaged.count();
    assert!(damaged > 20 && damaged + 2 == pages, "{damaged} of {pages}");
    std::fs::write(&file, whole).unwrap();
    assert_eq!(run(&check, None).0, Some(0));
}

#[cfg(unix)]
#[test]
fn root_makes_no_store_in_the_folder_of_another_user() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let create = ["user", "create", "alice", "--data-dir", data];
    // Who is not root cannot give the folder away: then it is the own one, where a store may be made.
    let is_given = std::os::unix::fs::chown(folder.path(), Some(4711), None).is_ok();
    let (code, said) = run(&create, Some("correct horse battery"));
    if !is_given {
        return assert_eq!(code, Some(0), "{said}");
    }
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("sudo -u '#4711'"), "{said}");
    let below = folder.path().join("new/index");
    let create_below = ["user", "create", "alice", "--data-dir", below.to_str().unwrap()];
    assert_eq!(run(&create_below, Some("correct horse battery")).0, Some(1));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    std::os::unix::fs::chown(folder.path(), Some(0), None).unwrap();
    assert_eq!(run(&create, Some("correct horse battery")).0, Some(0));
}

#[test]
fn a_path_that_is_mistyped_makes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (missing, target) =
        (format!("sqlite:{}", at("indx.db")), format!("sqlite:{}", at("to.db")));
    let data = at("data");
    for arguments in [
        &["store", "check", "--store", &missing][..],
        &["store", "copy", "--from", &missing, "--to", &target],
        &["user", "list", "--store", &missing, "--data-dir", &data],
        &["user", "disable", "alice", "--store", &missing, "--data-dir", &data],
        &["user", "enable", "alice", "--data-dir", &data],
        &["user", "reset-password", "alice", "--store", &missing, "--data-dir", &data],
    ] {
        let (code, said) = run(arguments, Some("correct horse battery"));
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("there is no store at"), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn no_password_of_a_store_is_told() {
    let uri = "mongodb://ann:s3cret@127.0.0.1:1/x?serverSelectionTimeoutMS=100";
    for arguments in [
        &["store", "check", "--store", uri][..],
        &["user", "list", "--store", uri],
        &["serve", "--store", uri, "--key-file", "/nonexistent/keys.json"],
        &["serve", "--store", "mongodb://"],
        &["serve", "--store", "mongo://ann:s3cret@h"],
    ] {
        let (code, said) = run(arguments, None);
        assert_ne!(code, Some(0), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn an_index_over_a_shared_store_makes_no_key_unasked() {
    let (code, said) = run(&["serve", "--store", "mongodb://127.0.0.1:1/x"], None);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--key-file"), "{said}");
}
