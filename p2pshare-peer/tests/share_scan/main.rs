//! Sharing real files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod moments;
#[path = "../share_support/mod.rs"]
mod share_support;
mod usurped;

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use p2pshare_core::{api::Visibility, content::ContentId};
use p2pshare_peer::{
    catalog::Catalog,
    data_dir::DataDir,
    share::{Refreshed, ShareError, ShareEvent, ShareOptions, Sharer, SkipReason, UnshareTarget},
};
use share_support::Setting;
use tokio_util::sync::CancellationToken;

fn paths(listing: &std::collections::BTreeMap<String, ContentId>) -> Vec<&str> {
    listing.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_folder_is_shared_below_its_name_and_again_hashes_nothing() {
    let mut setting = Setting::new();
    setting.write("a.txt", "a");
    setting.write("sub/b.txt", "b");
    setting.write("sub/empty", "");
    setting.write("big", vec![7; 17 << 20]);
    let report = setting.share_all().await;
    assert_eq!((report.files, report.hashed, report.skipped), (4, 4, 0));
    assert_eq!(report.hashed_bytes, 2 + (17 << 20));
    assert_eq!(setting.events.hashed(), (4, 2 + (17 << 20)));
    let listing = setting.listing().await;
    assert_eq!(paths(&listing), ["Music/a.txt", "Music/big", "Music/sub/b.txt", "Music/sub/empty"]);
    assert_eq!(listing["Music/sub/b.txt"], ContentId::of(b"b"));
    assert_eq!(listing["Music/big"], ContentId::of(&vec![7; 17 << 20]));
    let manifest = setting.catalog().manifest(listing["Music/big"]).await.unwrap().unwrap();
    assert_eq!(manifest.len(), 17 << 20);

    let report = setting.share_all().await;
    assert_eq!((report.files, report.unchanged, report.hashed), (4, 4, 0));
    assert_eq!(setting.events.hashed(), (0, 0));
}

#[tokio::test]
async fn only_what_changed_is_hashed_and_what_is_gone_is_removed() {
    let mut setting = Setting::new();
    setting.write("kept", "kept");
    setting.write("changed", "one");
    let gone = setting.write("gone", "gone");
    setting.share_all().await;
    setting.write("changed", "two!");
    setting.write("new", "new");
    fs::remove_file(gone).unwrap();
    let report = setting.share_all().await;
    assert_eq!((report.unchanged, report.hashed, report.removed), (1, 2, 1));
    let listing = setting.listing().await;
    assert_eq!(paths(&listing), ["Music/changed", "Music/kept", "Music/new"]);
    assert_eq!(listing["Music/changed"], ContentId::of(b"two!"));
}

#[tokio::test]
async fn a_moved_or_linked_file_keeps_its_hash() {
    let mut setting = Setting::new();
    let large = setting.write("large", vec![1; 3 << 20]);
    setting.write("old name", "content");
    setting.share_all().await;
    fs::create_dir(setting.files.join("folder")).unwrap();
    fs::rename(&large, setting.files.join("folder/large")).unwrap();
    fs::rename(setting.files.join("old name"), setting.files.join("new name")).unwrap();
    fs::hard_link(setting.files.join("new name"), setting.files.join("link")).unwrap();
    let report = setting.share_all().await;
    assert_eq!((report.moved, report.hashed, report.removed), (3, 0, 0));
    assert_eq!(setting.events.hashed(), (0, 0));
    let listing = setting.listing().await;
    assert_eq!(paths(&listing), ["Music/folder/large", "Music/link", "Music/new name"]);
    assert_eq!(listing["Music/link"], ContentId::of(b"content"));
    assert!(setting.catalog().manifest(listing["Music/folder/large"]).await.unwrap().is_some());
}

#[tokio::test]
async fn files_that_swap_names_keep_their_own_contents() {
    let mut setting = Setting::new();
    let (a, b) = (setting.write("a", vec![1; 2 << 20]), setting.write("b", vec![2; 2 << 20]));
    setting.share_all().await;
    let tmp = setting.beside("tmp");
    fs::rename(&a, &tmp).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(&tmp, &b).unwrap();
    setting.share_all().await;
    let listing = setting.listing().await;
    assert_eq!(listing["Music/a"], ContentId::of(&vec![2; 2 << 20]));
    assert_eq!(listing["Music/b"], ContentId::of(&vec![1; 2 << 20]));
    for content in listing.into_values() {
        assert!(setting.catalog().manifest(content).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn shares_of_the_same_name_are_told_apart() {
    let mut setting = Setting::new();
    setting.write("x", "1");
    let other = setting.beside("other/Music");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("x"), "2").unwrap();
    let song = setting.beside("Music.txt");
    fs::write(&song, "3").unwrap();
    setting.share_all().await;
    setting.share(&other).await;
    setting.share(&song).await;
    assert_eq!(paths(&setting.listing().await), ["Music (2)/x", "Music.txt", "Music/x"]);
    let below = setting.catalog().files(Some("Music".parse().unwrap()), None, 10).await.unwrap();
    assert_eq!(below.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["Music/x"]);
    let mut after = None;
    for expected in ["Music (2)/x", "Music.txt", "Music/x"] {
        let page = setting.catalog().files(None, after, 1).await.unwrap();
        assert_eq!(page[0].path.as_str(), expected);
        after = Some(page[0].path.clone());
    }
    assert!(setting.catalog().files(None, after, 1).await.unwrap().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn awkward_names_are_shared() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let mut setting = Setting::new();
    let long = "é".repeat(127);
    let deep = (0..40).map(|n| format!("d{n}/")).collect::<String>();
    let abyss = (0..70).map(|n| format!("d{n}/")).collect::<String>();
    setting.write("with space 🎉.txt", "1");
    setting.write(&long, "2");
    setting.write(format!("{deep}file"), "3");
    setting.write(format!("{abyss}file"), "4");
    setting.write(OsStr::from_bytes(b"caf\xe9"), "5");
    setting.write(OsStr::from_bytes(b"caf\xe8"), "6");
    setting.write("a:b", "7");
    setting.write("a_b", "8");
    setting.write("new\nline", "9");
    setting.write("nul.txt", "10");
    let report = setting.share_all().await;
    let listing = setting.listing().await;
    assert_eq!((report.hashed, report.skipped), (9, 1));
    for (path, content) in [
        ("Music/with space 🎉.txt", "1"),
        (&format!("Music/{long}"), "2"),
        (&format!("Music/{deep}file"), "3"),
        ("Music/new_line", "9"),
        ("Music/_nul.txt", "10"),
    ] {
        assert_eq!(listing.get(path), Some(&ContentId::of(content.as_bytes())), "{path}");
    }
    let of = |names: [&str; 2]| {
        let mut contents = names.map(|name| listing[name]);
        contents.sort();
        contents
    };
    let mut expected = ["5", "6"].map(|text| ContentId::of(text.as_bytes()));
    expected.sort();
    assert_eq!(of(["Music/caf_", "Music/caf_ (2)"]), expected);
    assert_eq!(listing["Music/a_b"], ContentId::of(b"8"), "who is called so has the name");
    assert_eq!(listing["Music/a_b (2)"], ContentId::of(b"7"));
    assert_eq!(setting.events.renamed().len(), 5, "{:?}", setting.events.renamed());
    assert!(matches!(setting.events.skipped()["file"], SkipReason::NoName(_)));

    // The names stay what they are.
    let report = setting.share_all().await;
    assert_eq!((report.unchanged, report.hashed), (9, 0), "what has no name is not read in vain");
    assert_eq!(setting.listing().await, listing);
}

#[tokio::test]
async fn hidden_files_are_shared_only_if_asked() {
    let mut setting = Setting::new();
    setting.write("seen", "1");
    setting.write(".hidden", "2");
    setting.write(".folder/x", "3");
    setting.share_all().await;
    assert_eq!(paths(&setting.listing().await), ["Music/seen"]);
    let files = setting.files.clone();
    let all = ShareOptions { hidden: Some(true), ..ShareOptions::default() };
    setting.share_with(&files, &all).await;
    assert_eq!(setting.listing().await.len(), 3);
    setting.share(&files).await;
    assert_eq!(setting.listing().await.len(), 3, "what was asked before stays");
    setting.share(&files.join(".folder")).await;
    assert!(setting.listing().await.contains_key(".folder/x"));
}

#[cfg(unix)]
#[tokio::test]
async fn links_do_not_lead_out_of_the_share() {
    use std::os::unix::fs::symlink;

    let mut setting = Setting::new();
    setting.write("folder/target", "inside");
    let outside = setting.beside("outside");
    fs::write(&outside, "secret").unwrap();
    let link = |to: &Path, name: &str| symlink(to, setting.files.join(name)).unwrap();
    link(Path::new("folder/target"), "inside");
    link(&outside, "outside");
    link(Path::new("folder"), "to folder");
    link(Path::new("nowhere"), "broken");
    link(Path::new("."), "loop");
    setting.share_all().await;
    let listing = setting.listing().await;
    assert_eq!(paths(&listing), ["Music/folder/target", "Music/inside"]);
    let skipped = setting.events.skipped();
    assert_eq!(skipped["outside"], SkipReason::LinkOutside);
    assert_eq!(skipped["to folder"], SkipReason::LinkToFolder);
    assert_eq!(skipped["broken"], SkipReason::BrokenLink);

    let files = setting.files.clone();
    let follow = ShareOptions { follow_links: Some(true), ..ShareOptions::default() };
    setting.share_with(&files, &follow).await;
    let listing = setting.listing().await;
    assert_eq!(
        paths(&listing),
        ["Music/folder/target", "Music/inside", "Music/outside", "Music/to folder/target"]
    );
}

#[cfg(unix)]
#[tokio::test]
async fn pipes_and_unfinished_downloads_are_skipped() {
    let mut setting = Setting::new();
    setting.write("film.0123456789abcdef.part", "half");
    setting.write("film.0123456789abcdef.part.manifest", "half");
    setting.write("kept.part", "whole");
    let pipe = setting.files.join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let report = setting.share_all().await;
    assert_eq!((report.hashed, report.skipped), (1, 3));
    assert_eq!(setting.events.skipped()["pipe"], SkipReason::Special);
    assert_eq!(paths(&setting.listing().await), ["Music/kept.part"]);
    let cancel = CancellationToken::new();
    let shared = setting
        .sharer
        .share(&pipe, &ShareOptions::default(), &setting.events.sink(), &cancel)
        .await;
    assert!(matches!(shared, Err(ShareError::Special(_))));
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_read_is_reported_and_the_rest_is_shared() {
    use std::os::unix::fs::PermissionsExt;

    let mut setting = Setting::new();
    setting.write("good", "1");
    let bad = setting.write("bad", "2");
    let folder = setting.write("closed/x", "3").parent().unwrap().to_owned();
    let close = |mode| {
        fs::set_permissions(&bad, fs::Permissions::from_mode(mode)).unwrap();
        let of_folder = if mode == 0 { 0 } else { 0o700 };
        fs::set_permissions(&folder, fs::Permissions::from_mode(of_folder)).unwrap();
    };
    close(0);
    let may_read_all = File::open(&bad).is_ok();
    let report = setting.share_all().await;
    close(0o600);
    assert!(setting.listing().await.contains_key("Music/good"));
    if may_read_all {
        eprintln!("this user may read everything: unreadable files are not tested");
        return;
    }
    assert_eq!((report.hashed, report.skipped), (1, 2));
    assert!(matches!(setting.events.skipped()["bad"], SkipReason::Unreadable(_)));
    assert!(matches!(setting.events.skipped()["closed"], SkipReason::Unreadable(_)));
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_read_at_the_moment_is_not_gone() {
    let mut setting = Setting::new();
    setting.write("other", "other");
    let kept = setting.write("sub/kept", "kept");
    setting.share_all().await;
    // The system says neither that there are no patterns nor that they are shut.
    let patterns = setting.files.join("sub/.p2pignore");
    std::os::unix::fs::symlink("n".repeat(300), &patterns).unwrap();
    let report = setting.share_all().await;
    assert_eq!((report.removed, report.skipped), (0, 1));
    assert!(matches!(setting.events.skipped()["sub"], SkipReason::NotNow(_)));
    assert_eq!(paths(&setting.listing().await), ["Music/other", "Music/sub/kept"]);

    fs::remove_file(&patterns).unwrap();
    fs::remove_file(&kept).unwrap();
    let report = setting.share_all().await;
    assert_eq!((report.removed, report.skipped), (1, 0));
}

#[tokio::test]
async fn the_peers_own_secrets_are_never_shared() {
    let mut setting = Setting::new();
    setting.data_dir.peer_key().unwrap();
    let root = setting.files.parent().unwrap().to_owned();
    setting.write("a", "a");
    fs::create_dir(setting.data_dir.path().join("files")).unwrap();
    fs::write(setting.data_dir.path().join("files/b"), "b").unwrap();
    setting.share(&root).await;
    let names: Vec<_> = setting
        .all_files()
        .await
        .into_iter()
        .map(|file| file.local.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(setting.events.skipped()["peer.key"], SkipReason::OwnData);
    let key = setting.data_dir.path().join("peer.key");
    let shared = setting
        .sharer
        .share(&key, &ShareOptions::default(), &setting.events.sink(), &CancellationToken::new())
        .await;
    assert!(matches!(shared, Err(ShareError::OwnData(_))));
}

#[tokio::test]
async fn the_data_of_other_peers_and_of_an_index_is_never_shared() {
    let mut setting = Setting::new();
    let other = DataDir::open(&setting.files.join("alice")).unwrap();
    let key = setting.write("alice/session.json", "secret");
    let database = setting.write("index/index.db", "secret");
    setting.write("alice/.hidden", "secret");
    setting.write("alice/cache/part", "secret");
    setting.write("alice/music/song", "song");
    setting.write("keys.json", "not an index's");
    let files = setting.files.clone();
    let all = ShareOptions { hidden: Some(true), ..ShareOptions::default() };
    setting.share_with(&files, &all).await;
    assert_eq!(setting.listing().await.len(), 6, "they are no data directories yet");

    other.peer_key().unwrap();
    setting.write("index/keys.json", "secret");
    let report = setting.share_all().await;
    let listing = setting.listing().await;
    assert_eq!(paths(&listing), ["Music/alice/music/song", "Music/keys.json"]);
    assert_eq!((report.removed, report.hashed), (4, 0));
    let skipped = setting.events.skipped();
    for name in ["peer.key", "session.json", ".hidden", "cache", "index.db", "keys.json"] {
        assert_eq!(skipped[name], SkipReason::OwnData, "{name}");
    }

    let index = database.parent().unwrap();
    let places: [&Path; 5] = [other.path(), &key, index, &database, setting.data_dir.path()];
    for place in places {
        let (events, cancel) = (setting.events.sink(), CancellationToken::new());
        let shared = setting.sharer.share(place, &ShareOptions::default(), &events, &cancel).await;
        assert!(matches!(shared, Err(ShareError::OwnData(_))), "{}", place.display());
    }
    setting.share(&other.path().join("music")).await;
    assert!(setting.listing().await.contains_key("music/song"));
}

#[cfg(unix)]
#[tokio::test]
async fn links_do_not_lead_into_the_data_of_others() {
    use std::os::unix::fs::symlink;

    let mut setting = Setting::new();
    let other = DataDir::open(&setting.beside("alice")).unwrap();
    other.peer_key().unwrap();
    symlink(other.path().join("peer.key"), setting.files.join("file")).unwrap();
    symlink(other.path(), setting.files.join("folder")).unwrap();
    let files = setting.files.clone();
    let follow = ShareOptions { follow_links: Some(true), ..ShareOptions::default() };
    setting.share_with(&files, &follow).await;
    assert_eq!(paths(&setting.listing().await), [] as [&str; 0]);
    let skipped = setting.events.skipped();
    assert_eq!(skipped["file"], SkipReason::OwnData);
    assert_eq!(skipped["peer.key"], SkipReason::OwnData);
}

#[tokio::test]
async fn a_file_that_never_stands_still_is_reported() {
    let mut setting = Setting::new();
    setting.write("still", "still");
    let path = setting.write("busy", vec![0; 24 << 20]);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let stop = stop.clone();
        move || {
            let mut file = File::options().append(true).open(path).unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"more").unwrap();
                thread::yield_now();
            }
        }
    });
    let report = setting.share_all().await;
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!((report.hashed, report.skipped), (1, 1));
    assert_eq!(setting.events.skipped()["busy"], SkipReason::Changing);
    let retries =
        setting.events.all().iter().filter(|e| matches!(e, ShareEvent::Retrying { .. })).count();
    assert_eq!(retries, 2);
    setting.share_all().await;
    assert_eq!(setting.listing().await.len(), 2, "it is shared once it stands still");
}

#[tokio::test]
async fn cancelling_keeps_what_is_done() {
    let mut setting = Setting::new();
    for number in 0..200 {
        setting.write(format!("{number}"), format!("{number}"));
    }
    setting.write("large", vec![0; 32 << 20]);
    let cancel = CancellationToken::new();
    let events = {
        let (cancel, recorder) = (cancel.clone(), setting.events.sink());
        Arc::new(move |event| {
            if matches!(&event, ShareEvent::Hashing { bytes, .. } if *bytes > 1000) {
                cancel.cancel();
            }
            recorder(event);
        })
    };
    let events: p2pshare_peer::share::ShareEvents = events;
    let options = ShareOptions::default();
    let files = setting.files.clone();
    let report = setting.sharer.share(&files, &options, &events, &cancel).await.unwrap();
    assert!(report.cancelled);
    assert_eq!(setting.listing().await.len(), 200);
    let report = setting.share_all().await;
    assert_eq!((report.unchanged, report.hashed, report.cancelled), (200, 1, false));
}

#[tokio::test]
async fn a_share_whose_disk_is_gone_keeps_its_hashes() {
    let mut setting = Setting::new();
    setting.write("a", "a");
    let share = setting.share_all().await.share;
    let away = setting.beside("away");
    let rescan = async |setting: &Setting| {
        let events = setting.events.sink();
        setting.sharer.rescan(share.id, &events, &CancellationToken::new()).await.unwrap()
    };
    fs::rename(&setting.files, &away).unwrap();
    let report = rescan(&setting).await;
    assert!(!report.share.online);
    assert_eq!((report.removed, setting.listing().await.len()), (0, 1));
    fs::create_dir(&setting.files).unwrap();
    assert!(!rescan(&setting).await.share.online, "an empty folder may be where a disk belongs");
    fs::remove_dir(&setting.files).unwrap();
    fs::rename(&away, &setting.files).unwrap();
    let report = rescan(&setting).await;
    assert!(report.share.online);
    assert_eq!((report.unchanged, report.hashed), (1, 0));
}

#[tokio::test]
async fn what_is_unshared_stays_away() {
    let mut setting = Setting::new();
    setting.write("keep", "keep");
    let single = setting.write("single", "single");
    setting.write("folder/one", "one");
    setting.write("folder/two", "two");
    setting.write("copy 1", "copy");
    setting.write("copy 2", "copy");
    setting.share_all().await;
    let unshare = async |target: UnshareTarget| setting.sharer.unshare(&target).await;
    assert_eq!(unshare(UnshareTarget::Local(single.clone())).await.unwrap().files, 1);
    let folder = UnshareTarget::Path("Music/folder".parse().unwrap());
    assert_eq!(unshare(folder.clone()).await.unwrap().files, 2);
    let copies = UnshareTarget::Content(ContentId::of(b"copy"));
    assert_eq!(unshare(copies).await.unwrap().files, 2);
    assert!(matches!(unshare(folder).await, Err(ShareError::NotShared(_))));
    assert_eq!(paths(&setting.listing().await), ["Music/keep"]);

    setting.write("folder/three", "three");
    let share = setting.share_all().await.share;
    assert_eq!(paths(&setting.listing().await), ["Music/keep"]);
    assert_eq!(setting.catalog().totals(share.id).await.unwrap().excluded, 4);

    setting.share(&single).await;
    assert_eq!(paths(&setting.listing().await), ["Music/keep", "single"]);

    // Even once it is gone from the disk.
    fs::remove_dir_all(&setting.files).unwrap();
    let unshared = setting.sharer.unshare(&UnshareTarget::Local(setting.files.clone())).await;
    let unshared = unshared.unwrap();
    assert_eq!((unshared.files, unshared.shares.len()), (1, 1));
    assert_eq!(paths(&setting.listing().await), ["single"]);
}

#[tokio::test]
async fn one_changed_file_is_refreshed() {
    let mut setting = Setting::new();
    let path = setting.write("a", "one");
    setting.share_all().await;
    let refresh = async |setting: &Setting| setting.sharer.refresh_file(&path).await.unwrap();
    assert_eq!(refresh(&setting).await, Refreshed::Unchanged);
    setting.write("a", "other");
    assert_eq!(refresh(&setting).await, Refreshed::Hashed);
    assert_eq!(setting.listing().await["Music/a"], ContentId::of(b"other"));
    fs::remove_file(&path).unwrap();
    assert_eq!(refresh(&setting).await, Refreshed::Removed);
    assert_eq!(refresh(&setting).await, Refreshed::NotShared);
    assert!(setting.listing().await.is_empty());
}

#[tokio::test]
async fn sharing_again_does_not_make_it_public() {
    let mut setting = Setting::new();
    setting.write("a", "a");
    let files = setting.files.clone();
    let unlisted =
        ShareOptions { visibility: Some(Visibility::Unlisted), ..ShareOptions::default() };
    setting.share_with(&files, &unlisted).await;
    assert_eq!(setting.share_all().await.share.visibility, Visibility::Unlisted);
}

#[tokio::test]
async fn what_does_not_exist_is_not_shared() {
    let setting = Setting::new();
    let share = async |path: &Path| {
        let (events, cancel) = (setting.events.sink(), CancellationToken::new());
        setting.sharer.share(path, &ShareOptions::default(), &events, &cancel).await
    };
    assert!(matches!(share(&setting.beside("nothing")).await, Err(ShareError::NotFound(_))));
    let file = setting.write("a", "a");
    assert!(matches!(share(&file.join("below")).await, Err(ShareError::NotFound(_))));
    assert!(setting.catalog().shares().await.unwrap().is_empty());
}

#[tokio::test]
async fn five_thousand_files_are_shared_by_two_at_once_and_noticed() {
    let mut setting = Setting::new();
    for number in 0..5000 {
        setting.write(format!("{}/{number}", number % 50), format!("{number}"));
    }
    let daemon = Catalog::open(&setting.data_dir.catalog()).unwrap();
    let mut changes = daemon.changes().await.unwrap();
    let other = Sharer::new(daemon.clone(), &setting.data_dir);
    let (files, events) = (setting.files.clone(), setting.events.sink());
    let (options, cancel) = (ShareOptions::default(), CancellationToken::new());
    let (first, second) = futures::join!(
        other.share(&files, &options, &events, &cancel),
        setting.sharer.share(&files, &options, &events, &cancel),
    );
    assert_eq!((first.unwrap().files, second.unwrap().files), (5000, 5000));
    changes.changed().await.unwrap();
    assert_eq!(setting.listing().await.len(), 5000);
    let report = setting.share_all().await;
    assert_eq!((report.unchanged, report.hashed, report.removed), (5000, 0, 0));
    let totals = daemon.totals(report.share.id).await.unwrap();
    assert_eq!(totals.files, 5000);
    let page = daemon.files(Some("Music/7".parse().unwrap()), None, 30).await.unwrap();
    assert!(page.len() == 30 && page.iter().all(|f| f.path.as_str().starts_with("Music/7/")));
}
