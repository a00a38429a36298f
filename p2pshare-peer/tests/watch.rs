//! Live folders: following real files as the system tells of their changes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod share_support;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use p2pshare_core::{api::Visibility, content::ContentId};
use p2pshare_peer::{
    catalog::Catalog,
    share::{ShareEvent, ShareOptions, UnshareTarget},
    watch::{WatchEvent, WatchEvents, WatchOptions, Watcher},
};
use share_support::Setting;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

/// Longest that anything may take before the test is taken for hung.
const PATIENCE: Duration = Duration::from_secs(60);

const OPTIONS: WatchOptions = WatchOptions {
    quiet: Duration::from_millis(100),
    writing: Duration::from_secs(3600),
    presence: Duration::from_millis(100),
    poll: Duration::from_secs(3600),
    thorough: Duration::from_secs(3600),
};

/// Shares that are followed until this is dropped.
struct Live {
    setting: Setting,
    told: Arc<Mutex<Vec<WatchEvent>>>,
    stop: CancellationToken,
    _running: JoinHandle<()>,
}

impl Live {
    /// Shares the folder, and follows it.
    async fn begin(mut setting: Setting) -> Self {
        setting.share_all().await;
        Self::follow(setting).await
    }

    /// Follows what is shared. When it returns, what happens from then on is noticed.
    async fn follow(setting: Setting) -> Self {
        let (told, stop) = (Arc::<Mutex<Vec<WatchEvent>>>::default(), CancellationToken::new());
        let kept = told.clone();
        let events: WatchEvents = Arc::new(move |event| kept.lock().unwrap().push(event));
        let watcher = Watcher::new(setting.sharer.clone(), OPTIONS);
        let token = stop.clone();
        let running = tokio::spawn(async move { watcher.run(events, token).await.unwrap() });
        let live = Self { setting, told, stop, _running: running };
        let shares = live.catalog().shares().await.unwrap();
        let watched = shares.iter().filter(|share| share.watched && share.online).count();
        live.until("all are looked through", async || live.scans() >= watched).await;
        live
    }

    fn catalog(&self) -> &Catalog {
        self.setting.catalog()
    }

    fn scans(&self) -> usize {
        let is_scan = |event: &&WatchEvent| {
            matches!(event, WatchEvent::Step { event: ShareEvent::Scanned { .. }, .. })
        };
        self.told.lock().unwrap().iter().filter(is_scan).count()
    }

    /// Files whose hashing began.
    fn hashed(&self) -> Vec<PathBuf> {
        let told = self.told.lock().unwrap();
        let hashed = told.iter().filter_map(|event| match event {
            WatchEvent::Step { event: ShareEvent::Hashing { local, .. }, .. } => {
                Some(local.clone())
            }
            _ => None,
        });
        hashed.collect()
    }

    /// Shares a folder, and waits until it is followed.
    async fn share_and_follow(&mut self, folder: &Path) {
        self.setting.share(folder).await;
        let shares = self.catalog().shares().await.unwrap();
        let id = shares.into_iter().find(|share| share.root == folder).unwrap().id;
        let is_scan = |event: &WatchEvent| matches!(event, WatchEvent::Step { share, event: ShareEvent::Scanned { .. } } if *share == id);
        self.until("it is followed", async || self.told.lock().unwrap().iter().any(is_scan)).await;
    }

    async fn listing(&self) -> BTreeMap<String, ContentId> {
        self.setting.listing().await
    }

    async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            if Instant::now() > deadline {
                let told = self.told.lock().unwrap();
                let last = &told[told.len().saturating_sub(20)..];
                panic!("waited in vain: {what}\n{last:#?}");
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until just these files are shared, below the folder's name.
    async fn until_shared(&self, files: &[(&str, &[u8])]) {
        let wanted: BTreeMap<_, _> = files
            .iter()
            .map(|(name, bytes)| (format!("Music/{name}"), ContentId::of(bytes)))
            .collect();
        self.until(&format!("{files:?} are shared"), async || self.listing().await == wanted).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.setting.files.join(name)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn what_is_done_at_a_share_is_told_from_its_begin_to_its_end() {
    let setting = Setting::new();
    setting.write("kept", "kept");
    let live = Live::begin(setting).await;
    live.setting.write("new", "new");
    live.until_shared(&[("kept", b"kept"), ("new", b"new")]).await;
    live.until("it rests", async || {
        matches!(live.told.lock().unwrap().last(), Some(WatchEvent::Rested { .. }))
    })
    .await;
    let told = live.told.lock().unwrap();
    let is_hashing = |event: &WatchEvent| {
        matches!(event, WatchEvent::Step { event: ShareEvent::Hashing { .. }, .. })
    };
    let at = told.iter().rposition(is_hashing).unwrap();
    let is_for_hashing =
        |event: &&WatchEvent| matches!(event, WatchEvent::Begun { files, .. } if *files > 0);
    let begun = told[..at].iter().rfind(is_for_hashing);
    assert!(matches!(begun, Some(WatchEvent::Begun { files: 1, bytes: 3, .. })), "{begun:?}");
}

#[tokio::test]
async fn what_is_new_changed_renamed_or_gone_is_followed() {
    let setting = Setting::new();
    setting.write("kept", "kept");
    let live = Live::begin(setting).await;
    live.setting.write("new", "new");
    live.setting.write("deep/er/and/deeper/file", "deep");
    let kept = ("kept", &b"kept"[..]);
    let deep = ("deep/er/and/deeper/file", &b"deep"[..]);
    live.until_shared(&[kept, ("new", b"new"), deep]).await;

    live.setting.write("new", "other");
    live.setting.write("deep/er/second", "second");
    live.until_shared(&[kept, ("new", b"other"), deep, ("deep/er/second", b"second")]).await;

    // As editors save: a file beside it takes its place.
    let saved = live.setting.write(".new.tmp", "saved");
    fs::rename(saved, live.path("new")).unwrap();
    fs::remove_dir_all(live.path("deep")).unwrap();
    live.until_shared(&[kept, ("new", b"saved")]).await;

    let hashed = live.hashed().len();
    fs::rename(live.path("new"), live.path("newer")).unwrap();
    fs::hard_link(live.path("newer"), live.path("link")).unwrap();
    live.until_shared(&[kept, ("newer", b"saved"), ("link", b"saved")]).await;
    fs::remove_file(live.path("newer")).unwrap();
    live.until_shared(&[kept, ("link", b"saved")]).await;
    assert_eq!(live.hashed().len(), hashed, "nothing of that needs to be hashed");
}

#[tokio::test]
async fn a_folder_of_a_thousand_files_is_renamed_and_moved_without_hashing() {
    let mut setting = Setting::new();
    let other = setting.beside("Other");
    fs::create_dir(&other).unwrap();
    setting.share(&other).await;
    for number in 0..1000 {
        setting.write(format!("folder/{}/{number}", number % 7), format!("{number}"));
    }
    // A share of which nothing is left counts as one whose disk is not there.
    setting.write("stays", "stays");
    let live = Live::begin(setting).await;
    let all_are_below = async |folder: &str| {
        let mut listing = live.listing().await;
        listing.remove("Music/stays");
        listing.len() == 1000 && listing.keys().all(|path| path.starts_with(folder))
    };
    assert!(all_are_below("Music/folder/").await);
    fs::rename(live.path("folder"), live.path("renamed")).unwrap();
    live.until("it is renamed", async || all_are_below("Music/renamed/").await).await;
    for number in 0..1000 {
        let place = live.path(&format!("renamed/{}", number % 7));
        fs::rename(place.join(number.to_string()), place.join(format!("n{number}"))).unwrap();
    }
    let is_renamed = |path: &String| path.rsplit('/').next().unwrap().starts_with('n');
    live.until("each is renamed", async || {
        let mut listing = live.listing().await;
        listing.remove("Music/stays");
        listing.len() == 1000 && listing.keys().all(is_renamed)
    })
    .await;
    fs::rename(live.path("renamed"), other.join("moved")).unwrap();
    live.until("it is in the other share", async || all_are_below("Other/moved/").await).await;
    assert_eq!(live.hashed(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_file_is_left_until_its_writer_is_done() {
    let live = Live::begin(Setting::new()).await;
    let mut slow = File::create(live.path("slow")).unwrap();
    for part in 0..3 {
        slow.write_all(format!("part {part};").as_bytes()).unwrap();
        // Many times longer than files must be left alone.
        let marker = format!("marker {part}");
        live.setting.write(&marker, &marker);
        live.until("a file that is done", async || {
            live.listing().await.contains_key(&format!("Music/{marker}"))
        })
        .await;
        assert!(!live.listing().await.contains_key("Music/slow"));
    }
    // Also when everything is looked at.
    fs::write(live.path(".p2pignore"), "marker*").unwrap();
    live.until("the markers are ignored", async || live.listing().await.is_empty()).await;
    drop(slow);
    live.until_shared(&[("slow", b"part 0;part 1;part 2;")]).await;
    let is_slow = |path: &&PathBuf| path.ends_with("slow");
    assert_eq!(live.hashed().iter().filter(is_slow).count(), 1, "no part of it was hashed");
}

#[tokio::test]
async fn patterns_hold_as_soon_as_they_are_there_and_as_long() {
    let setting = Setting::new();
    for name in ["a.tmp", "b", "sub/c.tmp", "sub/d"] {
        setting.write(name, name);
    }
    let live = Live::begin(setting).await;
    fs::write(live.path(".p2pignore"), "*.tmp\n").unwrap();
    live.until_shared(&[("b", b"b"), ("sub/d", b"sub/d")]).await;
    fs::write(live.path("sub/.p2pignore"), "!c.tmp\n/d\n").unwrap();
    live.until_shared(&[("b", b"b"), ("sub/c.tmp", b"sub/c.tmp")]).await;
    live.setting.write("sub/new.tmp", "ignored");
    live.setting.write("sub/new", "new");
    live.until_shared(&[("b", b"b"), ("sub/c.tmp", b"sub/c.tmp"), ("sub/new", b"new")]).await;
    fs::rename(live.path(".p2pignore"), live.path(".gone")).unwrap();
    fs::remove_file(live.path("sub/.p2pignore")).unwrap();
    live.until("all are shared", async || live.listing().await.len() == 6).await;

    fs::write(live.path(".p2pignore"), "[z-a]\nb\n").unwrap();
    live.until("b is ignored", async || !live.listing().await.contains_key("Music/b")).await;
    let told = live.told.lock().unwrap();
    let trouble = told.iter().find_map(|event| match event {
        WatchEvent::Trouble(what) => Some(what.clone()),
        _ => None,
    });
    assert!(trouble.as_ref().is_some_and(|what| what.contains("line 1")), "{trouble:?}");
}

#[tokio::test]
async fn a_share_that_goes_away_and_comes_back_keeps_its_hashes() {
    let setting = Setting::new();
    setting.write("a", "a");
    setting.write("sub/b", "b");
    let live = Live::begin(setting).await;
    let (root, away) = (live.setting.files.clone(), live.setting.beside("away"));
    let is_online = async |wanted: bool| live.catalog().shares().await.unwrap()[0].online == wanted;
    fs::rename(&root, &away).unwrap();
    live.until("it is offline", async || is_online(false).await).await;
    let absent = || {
        let is_absent = |event: &&WatchEvent| matches!(event, WatchEvent::Absent { .. });
        live.told.lock().unwrap().iter().filter(is_absent).count()
    };
    live.until("it is told", async || absent() > 0).await;
    // As a folder on which a disk is not mounted.
    fs::create_dir(&root).unwrap();
    assert_eq!(live.listing().await.len(), 2);
    fs::remove_dir(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    live.until("it is online", async || is_online(true).await).await;
    assert_eq!(absent(), 1);
    assert_eq!(live.hashed(), Vec::<PathBuf>::new());
    // And is followed again.
    live.setting.write("sub/c", "c");
    live.until_shared(&[("a", b"a"), ("sub/b", b"b"), ("sub/c", b"c")]).await;
}

#[tokio::test]
async fn a_folder_that_was_renamed_and_shared_anew_is_followed() {
    let setting = Setting::new();
    setting.write("kept", "kept");
    setting.write("below/kept", "kept too");
    let mut live = Live::begin(setting).await;
    let (first, second) = (live.setting.files.clone(), live.setting.beside("Other"));
    // There and back again: each time the share of the name that it had ends last.
    for (turn, (from, to)) in [(&first, &second), (&second, &first)].into_iter().enumerate() {
        fs::rename(from, to).unwrap();
        live.share_and_follow(to).await;
        live.setting.sharer.unshare(&UnshareTarget::Local(from.clone())).await.unwrap();
        // Whoever follows what is shared later has seen that the other has ended.
        let later = live.setting.beside(&format!("Later {turn}"));
        fs::create_dir(&later).unwrap();
        live.share_and_follow(&later).await;
        let name = to.file_name().unwrap().to_str().unwrap();
        for file in ["new", "below/new"] {
            let listed = async || live.listing().await.contains_key(&format!("{name}/{file}"));
            fs::write(to.join(file), file).unwrap();
            live.until(&format!("{name}/{file} is shared"), listed).await;
            fs::remove_file(to.join(file)).unwrap();
            live.until(&format!("{name}/{file} is gone"), async || !listed().await).await;
        }
    }
}

#[tokio::test]
async fn shares_that_others_add_change_or_end_are_followed_or_not() {
    let mut setting = Setting::new();
    let (second, third) = (setting.beside("Second"), setting.beside("Third"));
    for folder in [&second, &third] {
        fs::create_dir(folder).unwrap();
    }
    let unwatched = ShareOptions { watched: Some(false), ..ShareOptions::default() };
    setting.share_with(&third, &unwatched).await;
    let live = Live::begin(setting).await;

    // As by a command, with a catalog of its own.
    let other = Catalog::open(live.catalog().path()).unwrap();
    let sharer = p2pshare_peer::share::Sharer::new(other, &live.setting.data_dir);
    let (events, cancel) = (live.setting.events.sink(), CancellationToken::new());
    fs::write(second.join("there"), "there").unwrap();
    let report = sharer.share(&second, &ShareOptions::default(), &events, &cancel).await.unwrap();
    assert_eq!((report.hashed, report.share.watched), (1, true));
    live.until("the new share is looked through", async || live.scans() >= 2).await;
    fs::write(second.join("new"), "new").unwrap();
    fs::write(third.join("unseen"), "unseen").unwrap();
    let has = async |path: &str| live.listing().await.contains_key(path);
    live.until("the new share is followed", async || has("Second/new").await).await;
    assert_eq!(live.hashed(), [second.join("new")], "what another process hashes is not hashed");

    let third_share = live.catalog().share_at(&third).await.unwrap().unwrap();
    assert!(!has("Third/unseen").await);
    live.catalog().set_watched(third_share.id, true).await.unwrap();
    live.until("it is watched now", async || has("Third/unseen").await).await;

    fs::write(live.path(".hidden"), "hidden").unwrap();
    let hidden = ShareOptions { hidden: Some(true), ..ShareOptions::default() };
    let files = live.setting.files.clone();
    sharer.share(&files, &hidden, &events, &cancel).await.unwrap();
    fs::create_dir(live.path(".folder")).unwrap();
    fs::write(live.path(".folder/new"), "new").unwrap();
    live.until("hidden ones are followed", async || has("Music/.folder/new").await).await;

    sharer.unshare(&UnshareTarget::Local(second.clone())).await.unwrap();
    sharer.unshare(&UnshareTarget::Local(live.path(".folder"))).await.unwrap();
    fs::write(second.join("later"), "later").unwrap();
    fs::write(live.path(".folder/later"), "later").unwrap();
    live.setting.write("last", "last");
    live.until("the last one", async || has("Music/last").await).await;
    assert!(!has("Second/later").await && !has("Music/.folder/later").await);
}

#[tokio::test]
async fn links_follow_what_they_lead_to() {
    let setting = Setting::new();
    setting.write("target", "one");
    symlink("target", setting.files.join("link")).unwrap();
    let outside = setting.beside("outside");
    fs::write(&outside, "outside").unwrap();
    symlink(&outside, setting.files.join("leads out")).unwrap();
    let live = Live::begin(setting).await;
    live.until_shared(&[("target", b"one"), ("link", b"one")]).await;
    live.setting.write("target", "changed");
    live.until_shared(&[("target", b"changed"), ("link", b"changed")]).await;
    // A folder that becomes a link is not gone into.
    live.setting.write("folder/file", "file");
    live.until("the folder's file", async || live.listing().await.len() == 3).await;
    fs::rename(live.path("folder"), live.setting.beside("elsewhere")).unwrap();
    symlink(live.setting.beside("elsewhere"), live.path("folder")).unwrap();
    live.until_shared(&[("target", b"changed"), ("link", b"changed")]).await;
    fs::remove_file(live.path("target")).unwrap();
    live.until_shared(&[]).await;
}

#[tokio::test]
async fn a_single_file_is_followed_also_when_another_takes_its_place() {
    let mut setting = Setting::new();
    let file = setting.beside("notes.txt");
    fs::write(&file, "one").unwrap();
    setting.share(&file).await;
    let live = Live::follow(setting).await;
    let is = async |bytes: &str| {
        live.listing().await.get("notes.txt") == Some(&ContentId::of(bytes.as_bytes()))
    };
    fs::write(&file, "two").unwrap();
    live.until("it has changed", async || is("two").await).await;
    let beside = live.setting.beside("notes.txt~");
    fs::write(&beside, "three").unwrap();
    fs::rename(&beside, &file).unwrap();
    live.until("it was replaced", async || is("three").await).await;
    fs::write(&file, "four").unwrap();
    live.until("it has changed again", async || is("four").await).await;
    assert_eq!(live.listing().await.len(), 1);
}

/// As when it was moved to another disk.
#[cfg(unix)]
#[tokio::test]
async fn a_folder_behind_a_link_is_followed() {
    let mut setting = Setting::new();
    setting.write("first", "first");
    setting.share_all().await;
    let moved = setting.beside("moved");
    fs::rename(&setting.files, &moved).unwrap();
    symlink(&moved, &setting.files).unwrap();
    let live = Live::follow(setting).await;
    fs::write(moved.join("second"), "second").unwrap();
    live.until_shared(&[("first", b"first"), ("second", b"second")]).await;
}

/// What lies in its place was for fewer, and is for all then.
#[tokio::test]
async fn a_share_that_was_put_away_is_back_once_what_lies_there_is_for_all() {
    let mut setting = Setting::new();
    setting.write("first", "first");
    setting.share_all().await;
    let closed = setting.beside("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("first"), "plans").unwrap();
    let is_for =
        |visibility| ShareOptions { visibility: Some(visibility), ..ShareOptions::default() };
    setting.share_with(&closed, &is_for(Visibility::Unlisted)).await;
    let live = Live::follow(setting).await;
    let is_online = async || {
        let share = live.catalog().share_at(&live.setting.files).await.unwrap();
        share.unwrap().online
    };
    fs::rename(&live.setting.files, live.setting.beside("old")).unwrap();
    symlink(&closed, &live.setting.files).unwrap();
    live.until("it is put away", async || !is_online().await).await;
    live.until("that is told, with the reason", async || {
        let told = live.told.lock().unwrap();
        told.iter().any(|event| matches!(event, WatchEvent::Absent { usurped: true, .. }))
    })
    .await;
    live.setting.sharer.add(&closed, &is_for(Visibility::Public)).await.unwrap();
    live.until("it is back", async || is_online().await).await;
    let plans = ContentId::of(b"plans");
    live.until("it is published", async || live.listing().await.get("Music/first") == Some(&plans))
        .await;
}

#[tokio::test]
async fn one_process_follows_at_a_time_and_another_takes_over() {
    let live = Live::begin(Setting::new()).await;
    let catalog = Catalog::open(live.catalog().path()).unwrap();
    let sharer = p2pshare_peer::share::Sharer::new(catalog, &live.setting.data_dir);
    let second = Watcher::new(sharer, OPTIONS);
    assert!(second.is_running().await.unwrap());
    let told = Arc::<Mutex<Vec<WatchEvent>>>::default();
    let (kept, stop) = (told.clone(), CancellationToken::new());
    let running = tokio::spawn({
        let (second, stop) = (second.clone(), stop.clone());
        async move { second.run(Arc::new(move |event| kept.lock().unwrap().push(event)), stop).await }
    });
    live.setting.write("first", "first");
    live.until_shared(&[("first", b"first")]).await;
    assert!(told.lock().unwrap().is_empty(), "it waits");
    live.stop.cancel();
    live.until("the other one begins", async || !told.lock().unwrap().is_empty()).await;
    live.setting.write("second", "second");
    live.until_shared(&[("first", b"first"), ("second", b"second")]).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert!(!second.is_running().await.unwrap());
}

#[tokio::test]
async fn the_peers_own_data_and_unfinished_downloads_are_not_followed() {
    let mut setting = Setting::new();
    let above = setting.files.parent().unwrap().to_owned();
    setting.share(&above).await;
    let live = Live::follow(setting).await;
    live.setting.write("film.mkv.0123456789abcdef.part", "part");
    fs::write(above.join("data/other"), "secret").unwrap();
    live.setting.write("done", "done");
    let is_done = |path: &String| path.ends_with("/Music/done");
    live.until("the last one", async || live.listing().await.keys().any(is_done)).await;
    let listing = live.listing().await;
    let secret = |path: &&String| path.contains("/data/") || path.contains(".part");
    assert_eq!(listing.keys().find(secret), None);
}

#[test]
fn the_folder_of_the_tests_is_followed_by_the_system() {
    // Where this fails the other tests cannot hold: raise fs.inotify.max_user_instances or max_user_watches.
    let watcher = notify::recommended_watcher(|_| ());
    let followed = watcher.and_then(|mut watcher| {
        notify::Watcher::watch(&mut watcher, Path::new("."), notify::RecursiveMode::NonRecursive)
    });
    assert!(followed.is_ok(), "{followed:?}");
}
