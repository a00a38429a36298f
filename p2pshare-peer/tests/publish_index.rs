//! Publishing to the rules of an index, without a network between.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod share_support;

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use p2pshare_core::{
    api::{
        Announce, Announced, CatalogChange, CatalogPage, CatalogQuery, Entry, Problem, ProblemKind,
        PublishAnswer, PublishRequest, Visibility,
    },
    auth::{Argon2Authenticator, Argon2Params, GrantSigner, Password, SigningKeys},
    backend::memory::MemoryStore,
    content::ContentId,
    identity::{GroupName, PeerKey, Reach, Username},
    index::{Caller, Index, IndexConfig, IndexError},
    time::{ManualClock, Timestamp},
};
use p2pshare_peer::{
    catalog::Catalog,
    index_client::ClientError,
    publish::{
        AnnounceFailure, CatalogIndex, PublishAccount, PublishError, PublishProgress, Publisher,
        announce,
    },
    share::{ShareOptions, UnshareTarget},
};
use share_support::Setting;
use tokio_util::sync::CancellationToken;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// An index in this process, with a user and their peer.
struct World {
    index: Index,
    clock: Arc<ManualClock>,
    caller: Caller,
    key: PeerKey,
    account: PublishAccount,
}

/// The index, and ways to make it fail.
struct LocalIndex {
    index: Index,
    caller: Caller,
    account: PublishAccount,
    batches: AtomicUsize,
    /// The next batch is done, but its answer is lost.
    lose_answer: AtomicBool,
    refused: Mutex<Option<ProblemKind>>,
    /// A batch of more changes takes longer than the index waits.
    most: AtomicUsize,
}

impl World {
    async fn new() -> Self {
        Self::with(IndexConfig::default()).await
    }

    async fn with(config: IndexConfig) -> Self {
        let clock = Arc::new(ManualClock::new(NOW));
        let params = Argon2Params::new(8, 1, 1).unwrap();
        let signer = GrantSigner::generate().unwrap();
        let key_id = signer.key_id();
        let index = Index::new(
            Arc::new(MemoryStore::new()),
            Arc::new(Argon2Authenticator::new(params)),
            SigningKeys::new(signer),
            clock.clone(),
            config,
        );
        let user: Username = "alice".parse().unwrap();
        let password = || Password::new("correct horse battery".to_owned()).unwrap();
        index.register(&user, password(), None).await.unwrap();
        let session = index.log_in(&user, password()).await.unwrap();
        let caller = index.caller(&session.token).await.unwrap();
        let key = PeerKey::generate().unwrap();
        let account = PublishAccount { index_keys: vec![key_id], user, peer: key.peer_id() };
        Self { index, clock, caller, key, account }
    }

    fn local(&self) -> Arc<LocalIndex> {
        Arc::new(LocalIndex {
            index: self.index.clone(),
            caller: self.caller.clone(),
            account: self.account.clone(),
            batches: AtomicUsize::new(0),
            lose_answer: AtomicBool::new(false),
            refused: Mutex::new(None),
            most: AtomicUsize::new(usize::MAX),
        })
    }

    async fn announced(&self) -> Announced {
        let at = "tcp://127.0.0.1:7".parse().unwrap();
        self.clock.advance(Duration::from_secs(1));
        announce(&*self.local(), &self.account, &self.key, vec![at], &*self.clock).await.unwrap().0
    }

    fn publisher(&self, setting: &Setting) -> (Publisher, Arc<LocalIndex>) {
        let local = self.local();
        let catalog = setting.catalog().clone();
        (Publisher::new(catalog, local.clone(), self.account.clone()), local)
    }

    /// What the index has of the peer.
    async fn entries(&self) -> BTreeMap<String, Entry> {
        let mut entries = BTreeMap::new();
        let mut after = None;
        loop {
            let query = CatalogQuery { after: after.take(), limit: None };
            let page = self.index.entries(&self.caller, self.account.peer, &query).await.unwrap();
            after = page.entries.last().map(|entry| entry.path.clone());
            entries.extend(page.entries.into_iter().map(|entry| (entry.path.to_string(), entry)));
            if !page.more {
                return entries;
            }
        }
    }

    async fn change(&self, changes: Vec<CatalogChange>) {
        let request = PublishRequest::new(changes);
        self.index.publish(&self.caller, self.account.peer, &request).await.unwrap();
    }
}

fn problem(error: &IndexError) -> ClientError {
    ClientError::Problem(Box::new(error.problem()))
}

#[async_trait]
impl CatalogIndex for LocalIndex {
    async fn publish(&self, request: &PublishRequest) -> Result<PublishAnswer, ClientError> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        let refused = *self.refused.lock().unwrap();
        let is_late = request.changes.len() > self.most.load(Ordering::Relaxed);
        if let Some(kind) = refused.or(is_late.then_some(ProblemKind::Timeout)) {
            return Err(ClientError::Problem(Box::new(Problem::new(kind, "refused on purpose"))));
        }
        let published = self.index.publish(&self.caller, self.account.peer, request).await;
        if self.lose_answer.swap(false, Ordering::Relaxed) {
            return Err(ClientError::Unreachable { url: "local".into(), reason: "lost".into() });
        }
        published.map_err(|error| problem(&error))
    }

    async fn entries(&self, query: &CatalogQuery) -> Result<CatalogPage, ClientError> {
        let page = self.index.entries(&self.caller, self.account.peer, query).await;
        page.map_err(|error| problem(&error))
    }

    async fn announce(&self, request: &Announce) -> Result<Announced, ClientError> {
        let announced = self.index.announce(&self.caller, self.account.peer, request, None).await;
        announced.map_err(|error| problem(&error))
    }
}

fn quiet(_: PublishProgress) {}

#[tokio::test]
async fn what_changed_is_published_and_nothing_else() {
    let (world, mut setting) = (World::new().await, Setting::new());
    world.announced().await;
    let gone = setting.write("gone", "gone");
    setting.write("a", "a");
    setting.share_all().await;
    let (publisher, local) = world.publisher(&setting);
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.withdrawn, report.total), (2, 0, Some(2)));
    assert_eq!(world.entries().await["Music/a"].content, ContentId::of(b"a"));

    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.total), (0, None));
    assert_eq!(local.batches.load(Ordering::Relaxed), 1);

    setting.write("a", "changed");
    setting.write("new", "new");
    fs::remove_file(gone).unwrap();
    setting.share_all().await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.withdrawn, report.total), (2, 1, Some(2)));
    let entries = world.entries().await;
    assert_eq!(entries["Music/a"].content, ContentId::of(b"changed"));
    assert_eq!(entries["Music/new"].size, 3);

    // Another visibility, then nothing at all.
    let files = setting.files.clone();
    let unlisted =
        ShareOptions { visibility: Some(Visibility::Unlisted), ..ShareOptions::default() };
    setting.share_with(&files, &unlisted).await;
    publisher.publish(&quiet).await.unwrap();
    assert!(world.entries().await.values().all(|e| e.visibility == Visibility::Unlisted));
    setting.sharer.unshare(&UnshareTarget::Local(files)).await.unwrap();
    publisher.publish(&quiet).await.unwrap();
    assert!(world.entries().await.is_empty());
    assert_eq!(setting.catalog().published_count().await.unwrap(), 0);
    assert_eq!(setting.catalog().pending_count().await.unwrap(), 0);
}

#[tokio::test]
async fn thousands_go_in_batches_and_several_publishers_do_no_harm() {
    let (world, mut setting) = (World::new().await, Setting::new());
    world.announced().await;
    for number in 0..2500 {
        setting.write(format!("{}/{number}", number % 20), format!("{number}"));
    }
    setting.share_all().await;
    let (publisher, local) = world.publisher(&setting);
    let other = Catalog::open(&setting.data_dir.catalog()).unwrap();
    let (second, second_local) = world.publisher(&setting);
    let third = Publisher::new(other, second_local.clone(), world.account.clone());
    let seen = Mutex::new(Vec::new());
    let progress = |progress: PublishProgress| seen.lock().unwrap().push(progress);
    let (a, b, c) = futures::join!(
        publisher.publish(&progress),
        second.publish(&progress),
        third.publish(&progress)
    );
    let published: u64 = [a, b, c].into_iter().map(|report| report.unwrap().published).sum();
    assert_eq!(published, 2500, "each file once");
    let batches = |local: &LocalIndex| local.batches.load(Ordering::Relaxed);
    // Few: fewer at first, and while that takes long.
    let all = batches(&local) + batches(&second_local);
    assert!((3..=10).contains(&all), "{all} batches");
    assert_eq!(world.entries().await.len(), 2500);
    let done: Vec<_> = seen.into_inner().unwrap();
    assert_eq!(done.last(), Some(&PublishProgress { done: 2500, total: 2500 }));
}

#[tokio::test]
async fn on_a_slow_line_fewer_go_at_a_time_and_what_is_refused_is_still_told() {
    let quota = IndexConfig { entries_per_user: 300, ..IndexConfig::default() };
    let (world, mut setting) = (World::with(quota).await, Setting::new());
    world.announced().await;
    for number in 0..400 {
        setting.write(format!("{number}"), format!("{number}"));
    }
    setting.share_all().await;
    let (publisher, local) = world.publisher(&setting);
    local.most.store(15, Ordering::Relaxed);
    let error = publisher.publish(&quiet).await.unwrap_err();
    assert!(matches!(error, PublishError::Index(_)), "{error:?}");
    // Not one by one: what takes too long for so few is another matter.
    assert!(local.batches.load(Ordering::Relaxed) < 10);

    local.most.store(60, Ordering::Relaxed);
    let report = publisher.publish(&quiet).await.unwrap();
    let refused: u64 = report.refused.iter().map(|refused| refused.files).sum();
    assert_eq!(report.published + refused, 400, "{report:?}");
    assert_eq!(world.entries().await.len() as u64, report.published);
    assert!(report.published > 200, "{report:?}");
}

#[tokio::test]
async fn a_lost_answer_or_an_interruption_is_made_good() {
    let (world, mut setting) = (World::new().await, Setting::new());
    world.announced().await;
    let path = setting.write("a", "one");
    setting.share_all().await;
    let (publisher, local) = world.publisher(&setting);
    local.lose_answer.store(true, Ordering::Relaxed);
    assert!(matches!(publisher.publish(&quiet).await, Err(PublishError::Index(_))));
    // The index has it, the catalog does not know; meanwhile the file goes.
    assert_eq!(world.entries().await.len(), 1);
    fs::remove_file(&path).unwrap();
    setting.sharer.refresh_file(&path).await.unwrap();
    publisher.publish(&quiet).await.unwrap();
    assert!(world.entries().await.is_empty());

    *local.refused.lock().unwrap() = Some(ProblemKind::QuotaExceeded);
    setting.write("b", "b");
    setting.share_all().await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.refused[0].files), (0, 1));
    *local.refused.lock().unwrap() = None;
    assert_eq!(publisher.publish(&quiet).await.unwrap().published, 1);
}

#[tokio::test]
async fn what_is_withdrawn_does_not_wait_for_room_for_what_is_new() {
    let config = IndexConfig { entries_per_user: 2, ..IndexConfig::default() };
    let (world, mut setting) = (World::with(config).await, Setting::new());
    world.announced().await;
    let (gone, _) = (setting.write("a", "a"), setting.write("b", "b"));
    setting.share_all().await;
    let (publisher, _) = world.publisher(&setting);
    assert_eq!(publisher.publish(&quiet).await.unwrap().published, 2);

    fs::remove_file(&gone).unwrap();
    for name in ["c", "d", "e"] {
        setting.write(name, name);
    }
    setting.share_all().await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.withdrawn, report.refused[0].files), (0, 1, 3));
    assert_eq!(world.entries().await.into_keys().collect::<Vec<_>>(), ["Music/b"]);

    // It is tried again, and fits once there is less.
    for name in ["d", "e"] {
        fs::remove_file(setting.files.join(name)).unwrap();
    }
    setting.share_all().await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.refused.len()), (1, 0));
}

#[tokio::test]
async fn both_sides_are_repaired() {
    let (world, mut setting) = (World::new().await, Setting::new());
    world.announced().await;
    for name in ["a", "b", "c", "d"] {
        setting.write(name, name);
    }
    setting.share_all().await;
    let (publisher, _) = world.publisher(&setting);
    publisher.publish(&quiet).await.unwrap();
    let expected = world.entries().await;
    let entries = world.announced().await.entries;
    assert_eq!(publisher.reconcile(entries, &quiet).await.unwrap(), None);

    let entry = |path: &str| Entry {
        path: path.parse().unwrap(),
        content: ContentId::of(b"other"),
        size: 5,
        visibility: Visibility::Public,
    };
    world
        .change(vec![
            CatalogChange::Withdraw("Music/a".parse().unwrap()),
            CatalogChange::Withdraw("Music/d".parse().unwrap()),
            CatalogChange::Publish(entry("Music/b")),
            CatalogChange::Publish(entry("A/stray")),
            CatalogChange::Publish(entry("Z/stray")),
            CatalogChange::Publish(entry("Z/stray 2")),
        ])
        .await;
    let entries = world.announced().await.entries;
    assert_eq!(entries, 5);
    let repaired = publisher.reconcile(entries, &quiet).await.unwrap().unwrap();
    assert_eq!(repaired.differing, 6);
    assert_eq!((repaired.report.published, repaired.report.withdrawn), (3, 3));
    assert_eq!(world.entries().await, expected);
    assert_eq!(publisher.reconcile_all(&quiet).await.unwrap().differing, 0);
}

#[tokio::test]
async fn an_index_that_forgot_the_peer_gets_everything_again() {
    let (world, mut setting) = (World::new().await, Setting::new());
    setting.write("a", "a");
    setting.share_all().await;
    let (publisher, _) = world.publisher(&setting);
    assert!(matches!(publisher.publish(&quiet).await, Err(PublishError::NotAnnounced)));
    world.announced().await;
    publisher.publish(&quiet).await.unwrap();

    world.clock.advance(IndexConfig::default().forget_peers_after * 2);
    world.index.purge().await.unwrap();
    setting.write("b", "b");
    setting.share_all().await;
    assert!(matches!(publisher.publish(&quiet).await, Err(PublishError::NotAnnounced)));
    let entries = world.announced().await.entries;
    assert_eq!(entries, 0);
    publisher.reconcile(entries, &quiet).await.unwrap();
    assert_eq!(world.entries().await.len(), 2);
}

#[tokio::test]
async fn logging_in_elsewhere_publishes_all_anew() {
    let (here, there, mut setting) = (World::new().await, World::new().await, Setting::new());
    here.announced().await;
    there.announced().await;
    setting.write("a", "a");
    let later = setting.write("later gone", "b");
    setting.share_all().await;
    let (to_here, _) = here.publisher(&setting);
    let (to_there, _) = there.publisher(&setting);
    to_here.publish(&quiet).await.unwrap();
    assert_eq!(to_there.publish(&quiet).await.unwrap().published, 2);
    assert_eq!(there.entries().await.len(), 2);

    // While it is published there a file goes; back here that is found out.
    fs::remove_file(&later).unwrap();
    setting.sharer.refresh_file(&later).await.unwrap();
    to_there.publish(&quiet).await.unwrap();
    to_here.publish(&quiet).await.unwrap();
    assert_eq!(here.entries().await.into_keys().collect::<Vec<_>>(), ["Music/a"]);

    // A new key of the same index changes nothing.
    let mut account = here.account.clone();
    account.index_keys.insert(0, there.account.index_keys[0]);
    let renewed = Publisher::new(setting.catalog().clone(), here.local(), account);
    assert_eq!(renewed.publish(&quiet).await.unwrap().published, 0);
}

#[tokio::test]
async fn a_group_that_refuses_does_not_keep_the_rest_back() {
    let (world, mut setting) = (World::new().await, Setting::new());
    world.announced().await;
    setting.write("a", "a");
    setting.share_all().await;
    let private = setting.beside("Private");
    fs::create_dir(&private).unwrap();
    fs::write(private.join("x"), "x").unwrap();
    let group = Visibility::Group("friends".parse().unwrap());
    let options = ShareOptions { visibility: Some(group.clone()), ..ShareOptions::default() };
    setting.share_with(&private, &options).await;
    let (publisher, _) = world.publisher(&setting);
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!(report.published, 1);
    assert_eq!((report.refused[0].visibility.clone(), report.refused[0].files), (group, 1));
    world.index.create_group(&world.caller, "friends".parse().unwrap()).await.unwrap();
    setting.share_with(&private, &options).await;
    assert_eq!(publisher.publish(&quiet).await.unwrap().published, 1);
    assert_eq!(world.entries().await.len(), 2);
}

#[tokio::test]
async fn a_share_that_is_offline_is_withdrawn_and_comes_back_without_hashing() {
    let (world, mut setting) = (World::new().await, Setting::new());
    world.announced().await;
    setting.write("a", "a");
    let share = setting.share_all().await.share;
    let (publisher, _) = world.publisher(&setting);
    publisher.publish(&quiet).await.unwrap();
    let away = setting.beside("away");
    let rescan = async |setting: &Setting| {
        let events = setting.events.sink();
        setting.sharer.rescan(share.id, &events, &CancellationToken::new()).await.unwrap()
    };
    fs::rename(&setting.files, &away).unwrap();
    rescan(&setting).await;
    assert_eq!(publisher.publish(&quiet).await.unwrap().withdrawn, 1);
    assert!(world.entries().await.is_empty());
    assert_eq!(setting.catalog().pending_count().await.unwrap(), 0);
    fs::rename(&away, &setting.files).unwrap();
    assert_eq!(rescan(&setting).await.hashed, 0);
    assert_eq!(publisher.publish(&quiet).await.unwrap().published, 1);
}

#[tokio::test]
async fn announcing_says_when_the_clock_is_wrong() {
    let world = World::new().await;
    let local = world.local();
    let send = async |clock: &ManualClock| {
        announce(&*local, &world.account, &world.key, Vec::new(), clock).await
    };
    // Twice in the same moment: the second is signed for a later one.
    let (_, first) = send(&world.clock).await.unwrap();
    let (_, second) = send(&world.clock).await.unwrap();
    assert!(second > first);
    let slow = ManualClock::new(NOW.saturating_sub(Duration::from_secs(3600)));
    let error = send(&slow).await.unwrap_err();
    assert!(matches!(error, AnnounceFailure::Clock { .. }), "{error}");
    assert!(error.to_string().contains("clock"), "{error}");
    let other = PeerKey::generate().unwrap();
    let wrong = announce(&*local, &world.account, &other, Vec::new(), &*world.clock).await;
    assert!(matches!(wrong, Err(AnnounceFailure::Sign(_))));
}

/// Sharing with a group, as the index knows it at the moment.
async fn for_group(world: &World, name: &GroupName) -> ShareOptions {
    let groups = world.index.groups(&world.caller).await.unwrap().groups;
    let reach = groups.into_iter().find(|group| group.name == *name).map(|group| group.reach);
    let visibility = Some(Visibility::Group(name.clone()));
    ShareOptions { visibility, reach, ..ShareOptions::default() }
}

#[tokio::test]
async fn what_is_for_a_group_stays_with_it_and_is_not_for_a_later_one_of_its_name() {
    let (world, mut setting) = (World::new().await, Setting::new());
    world.announced().await;
    let group: GroupName = "lab".parse().unwrap();
    let made = world.index.create_group(&world.caller, group.clone()).await.unwrap();
    setting.write("a", "a");
    let files = setting.files.clone();
    // Which one is not known here when it is shared: it is the one that is there when it is published.
    let by_name = ShareOptions { reach: None, ..for_group(&world, &group).await };
    setting.share_with(&files, &by_name).await;
    let (publisher, _) = world.publisher(&setting);
    assert_eq!(publisher.publish(&quiet).await.unwrap().published, 1);
    let catalog = setting.catalog().clone();
    let share = async || catalog.shares().await.unwrap().remove(0);
    assert_eq!((share().await.reach, share().await.refused), (Some(made.reach), None));
    let content = ContentId::of(b"a");
    let served = async |reach| !catalog.files_for(reach, content, 1).await.unwrap().is_empty();
    assert!(served(made.reach).await && !served(Reach::Everyone).await);

    // The group goes, and another one gets its name: nothing is told to it, however often that is tried.
    world.index.delete_group(&world.caller, &group).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let other = world.index.create_group(&world.caller, group.clone()).await.unwrap();
    assert_ne!(other.reach, made.reach);
    let repaired = publisher.reconcile(0, &quiet).await.unwrap().unwrap();
    assert_eq!((repaired.report.published, repaired.report.refused[0].files), (0, 1));
    setting.share_with(&files, &by_name).await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.refused[0].files), (0, 1));
    assert!(share().await.refused.is_some_and(|why| why.contains("not the group")));
    assert_eq!(share().await.reach, Some(made.reach));
    assert!(world.entries().await.is_empty());
    assert!(!served(other.reach).await);

    // Until its user says that it is meant.
    let named = for_group(&world, &group).await;
    let refused = setting.sharer.add(&files, &named).await.unwrap_err();
    assert!(refused.to_string().contains("nothing was changed"), "{refused}");
    assert_eq!(share().await.reach, Some(made.reach));
    let meant = ShareOptions { other_group: true, ..named };
    setting.share_with(&files, &meant).await;
    assert_eq!(publisher.publish(&quiet).await.unwrap().published, 1);
    assert_eq!((share().await.reach, share().await.refused), (Some(other.reach), None));
    assert!(served(other.reach).await && !served(made.reach).await);
    assert_eq!(setting.catalog().pending_count().await.unwrap(), 0);
    // To say it once more changes nothing.
    setting.share_with(&files, &meant).await;
    assert_eq!(setting.catalog().pending_count().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_meant_for_a_group_that_is_not_there_does_not_stay_public() {
    let (world, mut setting) = (World::new().await, Setting::new());
    world.announced().await;
    setting.write("a", "a");
    setting.share_all().await;
    let (publisher, _) = world.publisher(&setting);
    publisher.publish(&quiet).await.unwrap();
    assert_eq!(world.entries().await.len(), 1);

    let group: GroupName = "lab".parse().unwrap();
    let files = setting.files.clone();
    let narrow = for_group(&world, &group).await;
    setting.share_with(&files, &narrow).await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.withdrawn, report.refused[0].files), (1, 1));
    assert!(world.entries().await.is_empty());
    // It is withdrawn once. Whoever makes such a group later, it is not for that before its user says so.
    for made in [false, true] {
        if made {
            world.index.create_group(&world.caller, group.clone()).await.unwrap();
        }
        let report = publisher.publish(&quiet).await.unwrap();
        assert_eq!((report.withdrawn, report.published, report.refused[0].files), (0, 0, 1));
        assert!(report.refused[0].reason.contains("again"), "{:?}", report.refused);
    }
    // What is shared now is for the new one, and takes nothing else along.
    let later = setting.beside("later");
    fs::create_dir(&later).unwrap();
    fs::write(later.join("x"), "x").unwrap();
    let by_name = ShareOptions { reach: None, ..for_group(&world, &group).await };
    setting.share_with(&later, &by_name).await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.refused[0].files), (1, 1));
    assert_eq!(world.entries().await.into_keys().collect::<Vec<_>>(), ["later/x"]);
    let meant = for_group(&world, &group).await;
    setting.share_with(&files, &meant).await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.refused.len()), (1, 0));
    assert_eq!(setting.catalog().shares().await.unwrap()[0].refused, None);
}

#[tokio::test]
async fn a_full_quota_leaves_nothing_with_those_who_could_see_it_before() {
    let config = IndexConfig { entries_per_user: 3, ..IndexConfig::default() };
    let (world, mut setting) = (World::with(config).await, Setting::new());
    world.announced().await;
    let group: GroupName = "lab".parse().unwrap();
    world.index.create_group(&world.caller, group.clone()).await.unwrap();
    for name in ["a", "b", "c"] {
        setting.write(name, name);
    }
    setting.share_all().await;
    let (publisher, _) = world.publisher(&setting);
    assert_eq!(publisher.publish(&quiet).await.unwrap().published, 3);

    // One more than there is room for, and all of it for fewer.
    setting.write("d", "d");
    let files = setting.files.clone();
    let meant = for_group(&world, &group).await;
    setting.share_with(&files, &meant).await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.refused[0].files), (3, 1));
    let entries = world.entries().await;
    assert!(
        entries.len() == 3
            && entries.values().all(|e| e.visibility == Visibility::Group(group.clone()))
    );
    let share = setting.catalog().shares().await.unwrap().remove(0);
    assert!(share.refused.is_some());
    assert_eq!(setting.catalog().totals(share.id).await.unwrap().pending, 1);

    // A file that gets another name needs no more room, wherever its new name is in the order.
    fs::remove_file(setting.files.join("d")).unwrap();
    fs::rename(setting.files.join("c"), setting.files.join("0")).unwrap();
    setting.share_with(&files, &meant).await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.published, report.withdrawn, report.refused.len()), (1, 2, 0));
}

#[tokio::test]
async fn what_is_for_a_group_that_is_gone_is_not_sent_again_and_again() {
    let (world, mut setting) = (World::new().await, Setting::new());
    world.announced().await;
    let group: GroupName = "lab".parse().unwrap();
    world.index.create_group(&world.caller, group.clone()).await.unwrap();
    for number in 0..2500 {
        setting.write(format!("{}/{number}", number % 20), format!("{number}"));
    }
    let files = setting.files.clone();
    let by_name = ShareOptions { reach: None, ..for_group(&world, &group).await };
    setting.share_with(&files, &by_name).await;
    let (publisher, local) = world.publisher(&setting);
    assert_eq!(publisher.publish(&quiet).await.unwrap().published, 2500);
    world.index.delete_group(&world.caller, &group).await.unwrap();
    let repaired = publisher.reconcile(0, &quiet).await.unwrap().unwrap();
    assert_eq!(repaired.report.refused[0].files, 2500);

    local.batches.store(0, Ordering::Relaxed);
    setting.write("new", "new");
    setting.share_with(&files, &ShareOptions::default()).await;
    let report = publisher.publish(&quiet).await.unwrap();
    assert_eq!((report.refused[0].files, local.batches.load(Ordering::Relaxed)), (2501, 1));
}
