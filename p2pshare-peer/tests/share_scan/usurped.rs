//! What is for fewer and comes to lie in the place of a share.

use std::{
    fs,
    path::{Path, PathBuf},
};

use p2pshare_core::{api::Visibility, content::ContentId};
use p2pshare_peer::share::{Refreshed, ShareOptions, UnshareTarget};
use tokio_util::sync::CancellationToken;

use crate::share_support::Setting;

/// A share for all of `Music`, and one for fewer of what lies at `closed` beside it. Both have a file `a`.
pub(crate) async fn with_closed(closed: &str) -> (Setting, PathBuf) {
    let mut setting = Setting::new();
    setting.write("a", "open");
    let closed = setting.beside(closed);
    fs::create_dir_all(&closed).unwrap();
    fs::write(closed.join("a"), "salaries").unwrap();
    let files = setting.files.clone();
    share_closed(&mut setting, &closed).await;
    setting.share(&files).await;
    (setting, closed)
}

pub(crate) async fn share_closed(setting: &mut Setting, path: &Path) {
    let options =
        ShareOptions { visibility: Some(Visibility::Unlisted), ..ShareOptions::default() };
    setting.share_with(path, &options).await;
}

pub(crate) async fn rescan(setting: &Setting) {
    let cancel = CancellationToken::new();
    for share in setting.catalog().shares().await.unwrap() {
        setting.sharer.rescan(share.id, &setting.events.sink(), &cancel).await.unwrap();
    }
}

/// Contents of what is shared for all.
pub(crate) async fn open(setting: &Setting) -> Vec<(String, ContentId)> {
    let shares = setting.catalog().shares().await.unwrap();
    let is_open = |path: &str| {
        shares.iter().any(|share| {
            let is_of = path.split('/').next() == Some(share.name.as_str());
            is_of && share.online && share.visibility == Visibility::Public
        })
    };
    let files = setting.all_files().await.into_iter();
    files
        .map(|file| (file.path.to_string(), file.content))
        .filter(|(path, _)| is_open(path))
        .collect()
}

/// What is shared for all as long as `Music` is what it was.
pub(crate) fn as_before() -> Vec<(String, ContentId)> {
    vec![("Music/a".to_owned(), ContentId::of(b"open"))]
}

pub(crate) fn swap(files: &Path, with: &Path) {
    let old = files.with_file_name("old");
    fs::rename(files, &old).unwrap();
    fs::rename(with, files).unwrap();
}

#[tokio::test]
async fn one_file_of_it_is_not_taken_for_the_one_that_was_there() {
    let (mut setting, closed) = with_closed("closed").await;
    let path = setting.files.join("a");
    swap(&setting.files, &closed);
    // Nobody has looked at all of it yet.
    assert_eq!(setting.sharer.refresh_file(&path).await.unwrap(), Refreshed::Removed);
    assert_eq!(open(&setting).await, []);
    rescan(&setting).await;
    assert_eq!(open(&setting).await, []);
    assert_eq!(setting.sharer.refresh_file(&path).await.unwrap(), Refreshed::Unchanged);

    // Back as it was, nothing is hashed again.
    fs::rename(&setting.files, &closed).unwrap();
    fs::rename(setting.beside("old"), &setting.files).unwrap();
    setting.events = Default::default();
    rescan(&setting).await;
    assert_eq!((open(&setting).await, setting.events.hashed().0), (as_before(), 0));
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_it_is_not_followed() {
    let (mut setting, closed) = with_closed("closed").await;
    let old = setting.beside("old");
    fs::rename(&setting.files, &old).unwrap();
    for target in [closed.clone(), closed.join("below")] {
        fs::create_dir_all(closed.join("below")).unwrap();
        std::os::unix::fs::symlink(&target, &setting.files).unwrap();
        rescan(&setting).await;
        assert_eq!(open(&setting).await, [], "{}", target.display());
        fs::remove_file(&setting.files).unwrap();
    }
    setting.events = Default::default();
    // One that leads elsewhere is: to another disk, most likely. Links in it stay links in it.
    std::os::unix::fs::symlink(&old, &setting.files).unwrap();
    std::os::unix::fs::symlink("a", old.join("latest")).unwrap();
    rescan(&setting).await;
    let latest = ("Music/latest".to_owned(), ContentId::of(b"open"));
    assert_eq!(open(&setting).await, [as_before(), vec![latest]].concat());
    assert!(setting.events.skipped().is_empty(), "{:?}", setting.events.skipped());
}

#[tokio::test]
async fn what_lies_in_it_is_not_meant_either() {
    let mut setting = Setting::new();
    let closed = setting.beside("closed");
    for (folder, text) in [(&setting.files, "open"), (&closed, "salaries")] {
        fs::create_dir_all(folder.join("In")).unwrap();
        fs::write(folder.join("In/a"), text).unwrap();
    }
    let inner = setting.files.join("In");
    setting.share(&inner).await;
    share_closed(&mut setting, &closed).await;
    swap(&setting.files, &closed);
    rescan(&setting).await;
    assert_eq!(open(&setting).await, []);
    // Nor when its own share has ended.
    setting.sharer.unshare(&UnshareTarget::Local(closed)).await.unwrap();
    rescan(&setting).await;
    assert_eq!(open(&setting).await, []);
}

/// A folder for all in one for fewer, that is put there anew each time.
#[tokio::test]
async fn what_is_shared_for_all_in_it_is_meant() {
    let mut setting = Setting::new();
    setting.write("In/a", "1");
    let (files, inner) = (setting.files.clone(), setting.files.join("In"));
    share_closed(&mut setting, &files).await;
    setting.share(&inner).await;
    let again = async |text: &str| {
        fs::rename(&inner, setting.beside(text)).unwrap();
        setting.write("In/a", text);
        rescan(&setting).await;
        let now = ("In/a".to_owned(), ContentId::of(text.as_bytes()));
        assert_eq!(open(&setting).await, [now]);
    };
    again("2").await;
    // It stays so when the one around it ends.
    setting.sharer.unshare(&UnshareTarget::Local(files)).await.unwrap();
    again("3").await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_share_for_fewer_that_is_itself_behind_a_link_is_known() {
    let (setting, closed) = with_closed("closed").await;
    let disk = setting.beside("disk");
    fs::create_dir(&disk).unwrap();
    fs::rename(&closed, disk.join("moved")).unwrap();
    std::os::unix::fs::symlink(disk.join("moved"), &closed).unwrap();
    rescan(&setting).await;
    let old = setting.beside("old");
    fs::rename(&setting.files, &old).unwrap();
    // To the link, to where it leads, and to what that lies in.
    for (target, name) in [(&closed, "a"), (&disk.join("moved"), "a"), (&disk, "b")] {
        fs::write(disk.join("b"), "open").unwrap();
        std::os::unix::fs::symlink(target, &setting.files).unwrap();
        rescan(&setting).await;
        let shared = open(&setting).await;
        let meant = [(format!("Music/{name}"), ContentId::of(b"open"))];
        assert!(shared.iter().all(|one| meant.contains(one)), "{}: {shared:?}", target.display());
        fs::remove_file(&setting.files).unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn its_own_folder_is_its_own_wherever_a_link_leads_to_it() {
    let (setting, closed) = with_closed("closed").await;
    fs::rename(&setting.files, closed.join("Music")).unwrap();
    std::os::unix::fs::symlink(closed.join("Music"), &setting.files).unwrap();
    rescan(&setting).await;
    assert_eq!(open(&setting).await, as_before());
}

/// Of a folder for fewer around one for all: by a link, and in its very place.
#[cfg(unix)]
#[tokio::test]
async fn nothing_of_what_is_around_it_is_meant() {
    let mut setting = Setting::new();
    setting.write("In/a", "open");
    setting.write("secret/a", "salaries");
    let (files, inner) = (setting.files.clone(), setting.files.join("In"));
    share_closed(&mut setting, &files).await;
    setting.share(&inner).await;
    let before = open(&setting).await;
    assert_eq!(before, [("In/a".to_owned(), ContentId::of(b"open"))]);
    let kept = setting.beside("kept");
    fs::rename(&inner, &kept).unwrap();
    std::os::unix::fs::symlink("secret", &inner).unwrap();
    rescan(&setting).await;
    assert_eq!(open(&setting).await, []);
    fs::remove_file(&inner).unwrap();
    fs::rename(&kept, &inner).unwrap();
    rescan(&setting).await;
    assert_eq!(open(&setting).await, before);

    let whole = setting.beside("whole");
    fs::rename(&files, &whole).unwrap();
    fs::create_dir(&files).unwrap();
    fs::rename(&whole, &inner).unwrap();
    rescan(&setting).await;
    assert_eq!(open(&setting).await, []);
}

/// It was for all, and then under another name for fewer: that was said last.
#[tokio::test]
async fn what_was_shared_for_fewer_since_is_not_its_own_any_more() {
    let mut setting = Setting::new();
    setting.write("a", "open");
    setting.share_all().await;
    let (files, closed) = (setting.files.clone(), setting.beside("closed"));
    for ends in [false, true] {
        fs::rename(&files, &closed).unwrap();
        share_closed(&mut setting, &closed).await;
        rescan(&setting).await;
        if ends {
            setting.sharer.unshare(&UnshareTarget::Local(closed.clone())).await.unwrap();
        }
        fs::rename(&closed, &files).unwrap();
        rescan(&setting).await;
        assert_eq!(open(&setting).await, [], "ends: {ends}");
        setting.share_all().await;
        assert_eq!(open(&setting).await, as_before(), "ends: {ends}");
        rescan(&setting).await;
        assert_eq!(open(&setting).await, as_before(), "ends: {ends}");
    }
}

/// Or on a disk that is there twice, as a copy of it is.
#[tokio::test]
async fn what_lies_in_two_places_is_of_both() {
    let mut setting = Setting::new();
    let (one, other) = (setting.write("one", "open"), setting.beside("other"));
    fs::hard_link(&one, &other).unwrap();
    setting.share(&one).await;
    share_closed(&mut setting, &other).await;
    rescan(&setting).await;
    assert_eq!(open(&setting).await, [("one".to_owned(), ContentId::of(b"open"))]);
    let shares = setting.catalog().shares().await.unwrap();
    assert!(shares.iter().all(|share| share.online), "{shares:?}");
    // It still is when one of them has gone, as when the copy of the disk is unmounted.
    fs::remove_file(&other).unwrap();
    rescan(&setting).await;
    assert_eq!(open(&setting).await, [("one".to_owned(), ContentId::of(b"open"))]);
}

/// As when something is built anew each time, in what was shared for fewer under another name.
#[tokio::test]
async fn a_folder_that_was_for_fewer_may_have_one_for_all_in_it() {
    let mut setting = Setting::new();
    let [before, now] = ["before", "now"].map(|name| setting.beside(name));
    fs::create_dir(&before).unwrap();
    share_closed(&mut setting, &before).await;
    fs::rename(&before, &now).unwrap();
    let built = now.join("dist");
    for text in ["1", "2"] {
        let _ = fs::remove_dir_all(&built);
        fs::create_dir(&built).unwrap();
        fs::write(built.join("a"), text).unwrap();
        if text == "1" {
            setting.share(&built).await;
        }
        rescan(&setting).await;
        assert_eq!(open(&setting).await, [("dist/a".to_owned(), ContentId::of(text.as_bytes()))]);
    }
}

#[tokio::test]
async fn a_folder_for_fewer_in_the_place_of_one_below_the_root_is_not_met_by_one_file() {
    let (mut setting, closed) = with_closed("closed").await;
    let path = setting.write("sub/a", "more");
    setting.share_all().await;
    fs::rename(path.parent().unwrap(), setting.beside("old")).unwrap();
    fs::rename(&closed, path.parent().unwrap()).unwrap();
    assert_eq!(setting.sharer.refresh_file(&path).await.unwrap(), Refreshed::Removed);
    assert_eq!(open(&setting).await, as_before());
}

#[cfg(unix)]
#[tokio::test]
async fn a_name_that_has_become_a_link_is_unshared_and_not_what_it_leads_to() {
    let (setting, closed) = with_closed("closed").await;
    fs::rename(&setting.files, setting.beside("old")).unwrap();
    std::os::unix::fs::symlink(&closed, &setting.files).unwrap();
    rescan(&setting).await;
    let unshared = setting.sharer.unshare(&UnshareTarget::Local(setting.files.clone())).await;
    assert_eq!(unshared.unwrap().shares.len(), 1);
    let left = setting.catalog().shares().await.unwrap();
    assert_eq!(left.iter().map(|share| &share.root).collect::<Vec<_>>(), [&closed]);
}
