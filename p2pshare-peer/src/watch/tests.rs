//! Following where the system does not tell, or not all.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use notify::{Event, EventKind, event::Flag};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    WatchEvent, WatchOptions,
    dirty::Patience,
    feed::Feed,
    follow::{Folders, Follow, Refused},
    round::Rounds,
    work::Work,
};
use crate::{
    catalog::Catalog,
    data_dir::DataDir,
    share::{ShareEvent, ShareEvents, ShareOptions, Sharer},
};

/// Longest that anything may take before the test is taken for hung.
const PATIENCE: Duration = Duration::from_secs(60);

const OPTIONS: WatchOptions = WatchOptions {
    quiet: Duration::from_millis(50),
    writing: Duration::from_secs(3600),
    presence: Duration::from_millis(50),
    poll: Duration::from_secs(3600),
    thorough: Duration::from_secs(3600),
};

/// A system that follows so many folders and tells nothing.
struct Limited {
    left: usize,
    followed: Arc<Mutex<Vec<PathBuf>>>,
}

impl Follow for Limited {
    fn follow(&mut self, folder: &Path) -> Result<(), Refused> {
        let mut followed = self.followed.lock().unwrap();
        if followed.iter().any(|other| other == folder) {
            return Ok(());
        }
        if followed.len() == self.left {
            return Err(Refused::because("no more than that"));
        }
        followed.push(folder.to_owned());
        Ok(())
    }

    fn leave(&mut self, folder: &Path) {
        self.followed.lock().unwrap().retain(|other| other != folder);
    }
}

struct Setting {
    _folder: tempfile::TempDir,
    root: PathBuf,
    sharer: Sharer,
    feed: Arc<Feed>,
    told: Arc<Mutex<Vec<WatchEvent>>>,
    followed: Arc<Mutex<Vec<PathBuf>>>,
    running: Option<JoinHandle<()>>,
}

impl Setting {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let data_dir = DataDir::open(&root.join("data")).unwrap();
        let sharer = Sharer::new(Catalog::open(&data_dir.catalog()).unwrap(), &data_dir);
        let patience = Patience { quiet: OPTIONS.quiet, writing: OPTIONS.writing };
        let feed = Arc::new(Feed::new(data_dir.path(), patience));
        let (told, followed) = (Arc::default(), Arc::default());
        Self { _folder: folder, root, sharer, feed, told, followed, running: None }
    }

    async fn share(&self, name: &str) -> PathBuf {
        let root = self.root.join(name);
        fs::create_dir_all(&root).unwrap();
        let events: ShareEvents = Arc::new(|_| ());
        let options = ShareOptions::default();
        self.sharer.share(&root, &options, &events, &CancellationToken::new()).await.unwrap();
        root
    }

    fn follow(&mut self, options: WatchOptions, folders: Folders) {
        let told = self.told.clone();
        let events = Arc::new(move |event| told.lock().unwrap().push(event));
        let (sharer, feed) = (self.sharer.clone(), self.feed.clone());
        let work = Work::new(sharer, options, events, feed, folders, CancellationToken::new());
        self.running = Some(tokio::spawn(async move {
            let _ = Rounds::with(work).run().await;
        }));
    }

    fn limited(&self, left: usize) -> Folders {
        Folders::new(Ok(Box::new(Limited { left, followed: self.followed.clone() })))
    }

    async fn files(&self) -> Vec<String> {
        let files = self.sharer.catalog().files(None, None, 1000).await.unwrap();
        files.iter().map(|file| file.path.to_string()).collect()
    }

    fn scans(&self) -> usize {
        let is_scan = |event: &&WatchEvent| {
            matches!(event, WatchEvent::Step { event: ShareEvent::Scanned { .. }, .. })
        };
        self.told.lock().unwrap().iter().filter(is_scan).count()
    }

    fn polled(&self) -> Vec<(String, String)> {
        let told = self.told.lock().unwrap();
        let polled = told.iter().filter_map(|event| match event {
            WatchEvent::Polled { share, reason } => Some((share.name.to_string(), reason.clone())),
            _ => None,
        });
        polled.collect()
    }

    async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "waited in vain: {what}\n{:?}", self.told.lock());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

#[tokio::test]
async fn where_nothing_is_told_shares_are_looked_through_now_and_then() {
    let mut setting = Setting::new().await;
    let root = setting.share("share").await;
    let options = WatchOptions { poll: Duration::from_millis(100), ..OPTIONS };
    setting.follow(options, Folders::new(Err(Refused::because("nobody tells"))));
    for name in ["first", "second"] {
        fs::write(root.join(name), name).unwrap();
        let path = format!("share/{name}");
        setting.until(name, async || setting.files().await.contains(&path)).await;
    }
    fs::remove_file(root.join("first")).unwrap();
    setting.until("it is gone", async || setting.files().await == ["share/second"]).await;
    let once = [("share".to_owned(), "nobody tells".to_owned())];
    assert_eq!(setting.polled(), once, "it is told once");
}

#[tokio::test]
async fn a_share_with_more_folders_than_are_left_takes_none_from_others() {
    let mut setting = Setting::new().await;
    let small = setting.share("a small").await;
    let large = setting.share("b large").await;
    for number in 0..10 {
        fs::create_dir_all(large.join(number.to_string())).unwrap();
    }
    setting.follow(OPTIONS, setting.limited(5));
    setting.until("it is refused", async || !setting.polled().is_empty()).await;
    assert_eq!(setting.polled()[0].0, "b large");
    setting
        .until("only the small one is followed", async || {
            *setting.followed.lock().unwrap() == [small.clone()]
        })
        .await;
}

#[tokio::test]
async fn folders_are_followed_that_are_shared_and_no_others() {
    let mut setting = Setting::new().await;
    let root = setting.share("share").await;
    for folder in ["shown/below", ".git/objects", "ignored/below", "shown/ignored"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join(".p2pignore"), "ignored/").unwrap();
    setting.follow(OPTIONS, setting.limited(1000));
    let wanted = [root.clone(), root.join("shown"), root.join("shown/below")];
    setting
        .until("they are followed", async || {
            let mut followed = setting.followed.lock().unwrap().clone();
            followed.sort();
            followed == wanted
        })
        .await;
    let share = setting.sharer.catalog().share_at(&root).await.unwrap().unwrap();
    setting.sharer.catalog().set_watched(share.id, false).await.unwrap();
    setting.until("none are", async || setting.followed.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn when_the_system_lost_count_everything_is_looked_through() {
    let mut setting = Setting::new().await;
    let root = setting.share("share").await;
    setting.follow(OPTIONS, setting.limited(1000));
    setting.until("it was looked through", async || setting.scans() == 1).await;
    fs::write(root.join("missed"), "missed").unwrap();
    setting.feed.told(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
    setting.until("it is found", async || setting.files().await == ["share/missed"]).await;
    fs::write(root.join("missed too"), "missed too").unwrap();
    setting.feed.told(Err(notify::Error::generic("broken")));
    setting.until("it is found", async || setting.files().await.len() == 2).await;
}
