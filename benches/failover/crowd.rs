//! Clients that work all the time, and look at the end whether all they were told is true.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use p2pshare_core::{
    api::{
        CatalogChange, CatalogQuery, Entry, Login, ProblemKind, PublishRequest, Register,
        SearchQuery, Visibility,
    },
    auth::Password,
    content::ContentId,
    identity::{PeerKey, Username},
    path::SharePath,
};
use p2pshare_peer::{
    account::SavedSession,
    index_client::{ClientError, IndexClient, IndexUrl},
    index_keys::IndexKeys,
    publish::OwnPeer,
};
use tokio::task::JoinHandle;

use crate::{PASSWORD, process::Process};

/// How long a client goes on asking.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files in a batch.
const BATCH: u64 = 20;

/// What one kind of client saw.
#[derive(Default)]
struct Seen {
    calls: AtomicU64,
    /// Calls that cannot be sent twice, and whose caller had to look what became of them.
    asked_again: AtomicU64,
    longest_ms: AtomicU64,
}

impl Seen {
    async fn time<T>(&self, call: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let answer = call.await;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.longest_ms.fetch_max(took, Ordering::Relaxed);
        answer
    }

    fn print(&self, what: &str) {
        println!(
            "{what:>10}  {:>6} calls, the longest took {:>6.2} s, {} asked about again",
            self.calls.load(Ordering::Relaxed),
            self.longest_ms.load(Ordering::Relaxed) as f64 / 1000.0,
            self.asked_again.load(Ordering::Relaxed),
        );
    }
}

#[derive(Default)]
struct Figures {
    logins: Seen,
    publishes: Seen,
    searches: Seen,
    downloads: Seen,
    stop: AtomicBool,
}

impl Figures {
    fn go_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

pub(crate) struct Crowd {
    figures: Arc<Figures>,
    publishers: Vec<JoinHandle<(OwnPeer, u64)>>,
    logins: JoinHandle<Vec<Username>>,
    downloads: JoinHandle<u64>,
    _seeder: Process,
}

impl Crowd {
    pub(crate) async fn start(place: &Path, urls: &[IndexUrl]) -> Self {
        let figures = Arc::new(Figures::default());
        let client = |first: usize| {
            let mut urls = urls.to_vec();
            urls.rotate_left(first % 2);
            IndexClient::new(&urls, PATIENCE).expect("the URLs are good")
        };
        let mut publishers = Vec::new();
        for number in 0..2 {
            let peer = join(client(number), &format!("publisher{number}"), urls).await;
            publishers.push(tokio::spawn(publish(peer, number, Arc::clone(&figures))));
        }
        let logins = tokio::spawn(log_in(client(1), Arc::clone(&figures)));
        let (seeder, content) = seed(place, urls).await;
        let downloads =
            tokio::spawn(download(place.to_owned(), urls.to_vec(), content, Arc::clone(&figures)));
        Self { figures, publishers, logins, downloads, _seeder: seeder }
    }

    /// Stops all and checks that what was acknowledged is there, at each index alone.
    pub(crate) async fn finish(self, urls: &[IndexUrl]) {
        self.figures.stop.store(true, Ordering::Relaxed);
        let users = self.logins.await.expect("no login failed");
        let downloads = self.downloads.await.expect("no download failed");
        let mut files = 0;
        for (number, publisher) in self.publishers.into_iter().enumerate() {
            let (peer, batches) = publisher.await.expect("no publish failed");
            check_files(&peer, number, batches).await;
            files += batches * BATCH;
        }
        for url in urls {
            let one = IndexClient::new(std::slice::from_ref(url), PATIENCE).expect("a good URL");
            for user in &users {
                one.log_in(&login(user)).await.expect("who registered can log in");
            }
        }
        println!();
        self.figures.logins.print("logins");
        self.figures.publishes.print("publishes");
        self.figures.searches.print("searches");
        self.figures.downloads.print("downloads");
        println!(
            "checked: {} accounts, {files} files, {downloads} downloads; nothing is lost",
            users.len()
        );
    }
}

fn login(user: &Username) -> Login {
    Login { username: user.clone(), password: password() }
}

fn password() -> Password {
    Password::new(PASSWORD.to_owned()).expect("it is long enough")
}

/// Registers. It cannot be sent twice, so that it may have been done when the answer is lost: then the name is taken.
async fn register(client: &IndexClient, user: &Username, seen: &Seen) {
    let request = Register { username: user.clone(), password: password(), invite: None };
    let mut asked_again = false;
    loop {
        match client.register(&request).await {
            Ok(_) => return,
            Err(ClientError::Problem(problem))
                if asked_again && problem.kind() == Some(ProblemKind::AlreadyExists) =>
            {
                return;
            }
            Err(ClientError::Problem(problem)) => panic!("{user} was refused: {problem:?}"),
            Err(_) => {
                asked_again = true;
                seen.asked_again.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// A new user with a peer that is announced.
async fn join(client: IndexClient, name: &str, urls: &[IndexUrl]) -> OwnPeer {
    let user: Username = name.parse().expect("it is a name");
    register(&client, &user, &Seen::default()).await;
    let opened = client.log_in(&login(&user)).await.expect("who registered can log in");
    let client = client.with_session(opened.token.clone());
    let keys = opened.index.public_keys.clone();
    let session = SavedSession::new(urls, opened, keys);
    let key = Arc::new(PeerKey::generate().expect("a key can be made"));
    let peer = OwnPeer::new(client, user, IndexKeys::new(&session, None), key);
    peer.make_known().await.expect("the peer is announced");
    peer
}

fn file(publisher: usize, batch: u64, number: u64) -> Entry {
    let path = format!("publisher{publisher}/batch{batch}/track{number}.flac");
    Entry {
        content: ContentId::of(path.as_bytes()),
        path: SharePath::parse(&path).expect("it is a path"),
        size: 1000 + number,
        visibility: Visibility::Public,
    }
}

/// Publishes batch after batch, and searches for each: what was acknowledged is found.
async fn publish(peer: OwnPeer, publisher: usize, figures: Arc<Figures>) -> (OwnPeer, u64) {
    let (mut batch, id) = (0, peer.id());
    while figures.go_on() {
        let changes =
            (0..BATCH).map(|number| CatalogChange::Publish(file(publisher, batch, number)));
        let request = PublishRequest::new(changes.collect());
        let publish = peer.client().publish(&id, &request);
        let published = figures.publishes.time(publish).await.expect("the batch is published");
        assert_eq!(
            published.published.total,
            (batch + 1) * BATCH,
            "a batch is lost, or there twice"
        );
        let query = SearchQuery {
            q: format!("publisher{publisher} batch{batch}"),
            ..SearchQuery::default()
        };
        let found = figures.searches.time(peer.client().search(&query)).await;
        let found = found.expect("the search is answered").hits.len() as u64;
        assert!(found >= BATCH, "of a batch that was acknowledged {found} files are found");
        batch += 1;
    }
    (peer, batch)
}

/// Registers one user after another and logs them in.
async fn log_in(client: IndexClient, figures: Arc<Figures>) -> Vec<Username> {
    let mut users = Vec::new();
    while figures.go_on() {
        let user: Username = format!("user{}", users.len()).parse().expect("it is a name");
        figures.logins.time(register(&client, &user, &figures.logins)).await;
        let opened = figures.logins.time(client.log_in(&login(&user))).await;
        let token = opened.expect("who registered can log in").token;
        // The other index may be asked: it takes the session too.
        client.with_session(token).me().await.expect("the session is open");
        users.push(user);
    }
    users
}

fn with_indexes<'a>(urls: &'a [String], folder: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let mut arguments: Vec<&str> = urls.iter().flat_map(|url| ["--index", url]).collect();
    arguments.extend(["--data-dir", folder, "--json"]);
    arguments.extend(rest);
    arguments
}

/// A peer that shares one file and serves it; gives the file's content id.
async fn seed(place: &Path, urls: &[IndexUrl]) -> (Process, ContentId) {
    let mut bytes = vec![0; 3 << 20];
    rand::fill(&mut bytes[..]);
    fs::write(place.join("shared.bin"), &bytes).expect("a file to share");
    let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
    for rest in [&["register", "seeder"][..], &["share", "shared.bin"]] {
        peer_done(place, with_indexes(&urls, "seeder", rest)).await;
    }
    let serve = with_indexes(&urls, "seeder", &["serve", "--listen", "127.0.0.1:0"]);
    let mut seeder = Process::start("peer", place, &serve);
    seeder.wait_for("ready");
    peer_done(place, with_indexes(&urls, "leecher", &["register", "leecher"])).await;
    (seeder, ContentId::of(&bytes))
}

/// Runs a command of a peer, which must succeed.
async fn peer_done(place: &Path, arguments: Vec<&str>) {
    let told = format!("{arguments:?}");
    let process = Process::start("peer", place, &arguments);
    let ended = tokio::task::spawn_blocking(move || process.finish());
    let (status, said) = ended.await.expect("no panic");
    assert!(status.success(), "{told} ended with {status}: {said:?}");
}

/// Downloads the file again and again, each time into another folder.
async fn download(
    place: PathBuf,
    urls: Vec<IndexUrl>,
    content: ContentId,
    figures: Arc<Figures>,
) -> u64 {
    let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
    let id = content.to_string();
    let mut names = BTreeSet::new();
    while figures.go_on() {
        let name = format!("download{}", names.len());
        let target = place.join(&name);
        fs::create_dir(&target).expect("a folder for a download");
        let folder = target.to_str().expect("the folder's name is text");
        let get = with_indexes(&urls, "leecher", &["get", &id, "--output", folder]);
        figures.downloads.time(peer_done(&place, get)).await;
        let got = fs::read_dir(&target).expect("the folder is there").flatten().next();
        let got = fs::read(got.expect("the file is there").path()).expect("it can be read");
        assert_eq!(ContentId::of(&got), content, "what was downloaded is another file");
        names.insert(name);
    }
    names.len() as u64
}

async fn check_files(peer: &OwnPeer, publisher: usize, batches: u64) {
    let mut found = BTreeSet::new();
    let mut query = CatalogQuery::default();
    loop {
        let page = peer.client().entries(&peer.id(), &query).await.expect("the list is there");
        query.after = page.entries.last().map(|entry| entry.path.clone());
        found.extend(page.entries.into_iter().map(|entry| entry.path));
        if !page.more {
            break;
        }
    }
    let expected: BTreeSet<_> = (0..batches)
        .flat_map(|batch| (0..BATCH).map(move |number| file(publisher, batch, number).path))
        .collect();
    assert_eq!(found, expected, "what is there is not what was acknowledged");
}
