//! A disk that fills up at the receiver.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Index, MIB, Peer, assert_bytes, noise, tree};

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
        assert!(said.contains("no space left"), "{said}");
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

    disk.grow("16m");
    bob.ok(["get", "alice:/many", "-o", "disk"]);
    assert_eq!((0..32).filter_map(whole).count(), 32);
    assert_eq!(tree(&bob.path("disk")).len(), 32, "{:?}", tree(&bob.path("disk")));
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
