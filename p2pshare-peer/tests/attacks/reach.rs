//! What a group shares, for those who are not in it: at the peers of its members it is not there, whatever they publish
//! and whatever grants they get for that.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use p2pshare_core::{
    api::{
        AddMember, CatalogChange, CreateGroup, Entry, GrantRequest, Located, PublishRequest,
        SourceKind, Visibility,
    },
    content::{ContentId, Manifest, PIECE_LEN, PieceIndex, PieceRun, hash_bytes},
    identity::PeerId,
    testing::sample,
    transfer::MemorySource,
};
use p2pshare_peer::{
    catalog::{Catalog, PartialSources},
    data_dir::DataDir,
    net::PeerTls,
    publish::OwnPeer,
    share::{ShareEvents, ShareOptions, Sharer},
};
use p2pshare_proto::v1::{self, fetch_response::Event, transfer_client::TransferClient};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use crate::{
    grants::Client,
    stranger::stranger_at,
    with_index::{join, serve, start_index},
};

/// Alice and bob are in the group `club`; alice's peer serves a file that she shares with it. Mallory was in it too and
/// knows the content's id.
struct World {
    alice: OwnPeer,
    bob: OwnPeer,
    mallory: OwnPeer,
    /// Where alice's peer listens.
    address: SocketAddr,
    sharer: Sharer,
    folder: PathBuf,
    secret: Bytes,
    stop: CancellationToken,
    _dir: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    async fn new() -> Self {
        let index = start_index().await;
        let alice = join("alice", &index).await;
        let (bob, mallory) = (join("bob", &index).await, join("mallory", &index).await);
        for peer in [&alice, &bob, &mallory] {
            peer.make_known().await.unwrap();
        }
        create(&alice, "club").await;
        for member in ["bob", "mallory"] {
            add(&alice, "club", member).await;
        }

        let dir = tempfile::tempdir().unwrap();
        let secret = sample(2 * PIECE_LEN + 5, 1);
        let folder = dir.path().canonicalize().unwrap().join("secrets");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("plans"), &secret).unwrap();
        let data_dir = DataDir::open(&dir.path().join("data")).unwrap();
        let catalog = Catalog::open(&data_dir.catalog()).unwrap();
        let sharer = Sharer::new(catalog, &data_dir);
        let stop = CancellationToken::new();
        share(&alice, &sharer, &folder, "group:club").await;
        let address = serve(&alice, &data_dir, &PartialSources::new(), &stop, |_| ()).await;
        let world = Self { alice, bob, mallory, address, sharer, folder, secret, stop, _dir: dir };
        remove(&world.alice, "club", "mallory").await;
        world
    }

    fn content(&self) -> ContentId {
        ContentId::of(&self.secret)
    }

    /// How alice's peer answers somebody who has this grant for the secret.
    async fn answers(&self, who: &OwnPeer, grant: &str) -> Vec<String> {
        let alice = self.alice.id();
        answers(who, alice, self.address, &hash_bytes(&self.secret), grant).await
    }

    /// Somebody publishes the secret, and something that nobody has.
    async fn claims(&self, who: &OwnPeer, visibility: &str) {
        publish(who, "mine", self.content(), visibility).await;
        publish(who, "nothing", nothing().id(), visibility).await;
    }

    /// Mallory is told of nobody who has it, and what she asks alice's peer is answered as for what it has not.
    async fn is_shut_to_mallory(&self, what: &str) {
        let mallory = &self.mallory;
        let located = locate(mallory, self.content()).await.expect("she published it");
        assert_eq!((located.sources.len(), located.total), (0, 1), "{what}: {located:?}");
        let secret = self.answers(mallory, &located.grant).await;
        let grant = locate(mallory, nothing().id()).await.expect("she published it").grant;
        let alice = self.alice.id();
        let absent = answers(mallory, alice, self.address, &nothing(), &grant).await;
        assert_eq!(secret, absent, "{what}");
        assert!(absent.iter().all(|answer| answer.contains("NotFound")), "{absent:?}");
    }

    /// Bob, who is in the group, is told of alice's peer and can do everything there.
    async fn is_open_to_bob(&self) {
        let located = locate(&self.bob, self.content()).await.expect("it is there for him");
        let sources = located.sources.iter();
        let alice = sources.clone().find(|source| source.peer == self.alice.id()).unwrap();
        let own = alice.grant.as_ref().expect("a grant for the group");
        assert_eq!(self.answers(&self.bob, own).await, ["manifest ok", "have ok", "fetch ok"]);
    }
}

/// As long as a content can be, and held by nobody.
fn nothing() -> Manifest {
    hash_bytes(&sample(2 * PIECE_LEN + 5, 2))
}

async fn share(who: &OwnPeer, sharer: &Sharer, folder: &Path, visibility: &str) {
    let visibility: Visibility = visibility.parse().unwrap();
    let reach = match &visibility {
        Visibility::Group(group) => who.client().reach_of(group).await.unwrap(),
        Visibility::Public | Visibility::Unlisted => None,
    };
    let options = ShareOptions { visibility: Some(visibility), reach, ..ShareOptions::default() };
    let events: ShareEvents = Arc::new(|_| ());
    sharer.share(folder, &options, &events, &CancellationToken::new()).await.unwrap();
}

async fn create(owner: &OwnPeer, group: &str) {
    let request = CreateGroup { name: group.parse().unwrap() };
    owner.client().create_group(&request).await.unwrap();
}

async fn add(owner: &OwnPeer, group: &str, user: &str) {
    let member = AddMember { username: user.parse().unwrap() };
    owner.client().add_member(&group.parse().unwrap(), &member).await.unwrap();
}

async fn remove(owner: &OwnPeer, group: &str, user: &str) {
    let (group, user) = (group.parse().unwrap(), user.parse().unwrap());
    owner.client().remove_member(&group, &user).await.unwrap();
}

async fn publish(who: &OwnPeer, path: &str, content: ContentId, visibility: &str) {
    let visibility: Visibility = visibility.parse().unwrap();
    let path = format!("{path} {}", visibility.to_string().replace(':', " "));
    let entry = Entry { path: path.parse().unwrap(), content, size: 2 * PIECE_LEN + 5, visibility };
    let request = PublishRequest::new(vec![CatalogChange::Publish(entry)]);
    who.client().publish(&who.id(), &request).await.unwrap();
}

async fn locate(who: &OwnPeer, content: ContentId) -> Option<Located> {
    let request =
        GrantRequest { contents: vec![content], peer: Some(who.id()), max_sources: Some(100) };
    who.client().grants(&request).await.unwrap().contents.pop()
}

/// What a peer answers to each call about a content, but for the id in it and what is another in each answer.
async fn answers(
    who: &OwnPeer,
    peer: PeerId,
    address: SocketAddr,
    manifest: &Manifest,
    grant: &str,
) -> Vec<String> {
    let config = PeerTls::new(who.key()).unwrap().for_peer(peer).unwrap();
    let channel = stranger_at(address, config).await.unwrap();
    let client = Client { calls: TransferClient::new(channel), manifest: manifest.clone() };
    let told = |(call, answer): (&str, Result<(), Status>)| match answer {
        Ok(()) => format!("{call} ok"),
        Err(status) => {
            let headers = status.metadata().clone().into_headers();
            let mut headers: Vec<_> = headers.iter().filter(|(name, _)| *name != "date").collect();
            headers.sort_by_key(|(name, _)| name.as_str());
            let message = status.message().replace(&manifest.id().to_string(), "ID");
            format!("{call}: {:?} {message:?} {headers:?}", status.code())
        }
    };
    let answers = client.every_fetch(Some(grant)).await.into_iter();
    // This one says nothing of what is not there, and is for small contents.
    answers.filter(|(call, _)| *call != "fetch_many").map(told).collect()
}

/// Among several small files that are asked for together, those of a group are there for its members alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_of_a_group_come_together_for_its_members_alone() {
    let world = World::new().await;
    let (note, news) = (Bytes::from_static(b"for the club"), Bytes::from_static(b"for all"));
    fs::write(world.folder.join("note"), &note).unwrap();
    let open = world.folder.with_file_name("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("news"), &news).unwrap();
    share(&world.alice, &world.sharer, &world.folder, "group:club").await;
    share(&world.alice, &world.sharer, &open, "public").await;
    let [note_id, news_id] = [&note, &news].map(|text| ContentId::of(text));
    let published = || async {
        let news = locate(&world.bob, news_id).await?;
        let note = locate(&world.bob, note_id).await?;
        (!news.sources.is_empty() && !note.sources.is_empty()).then_some((note, news))
    };
    let (for_bob, news_for_bob) = loop {
        match published().await {
            Some(located) => break located,
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    // She knows what it is, and says that she has it.
    publish(&world.mallory, "mine", note_id, "public").await;
    let for_mallory = locate(&world.mallory, note_id).await.unwrap();
    let news_for_mallory = locate(&world.mallory, news_id).await.unwrap();
    let of_alice = |located: Located| {
        let sources = located.sources.into_iter();
        let own = sources.filter(|source| source.peer == world.alice.id());
        own.filter_map(|source| source.grant).next().unwrap_or(located.grant)
    };
    for (who, note_grant, news_grant, expected) in [
        (&world.bob, of_alice(for_bob), of_alice(news_for_bob), "for the club for all"),
        (&world.mallory, of_alice(for_mallory), of_alice(news_for_mallory), " for all"),
    ] {
        let config = PeerTls::new(who.key()).unwrap().for_peer(world.alice.id()).unwrap();
        let channel = stranger_at(world.address, config).await.unwrap();
        let one = |text: &Bytes, grant: String| v1::SmallContent {
            content_id: Bytes::copy_from_slice(ContentId::of(text).as_bytes()),
            length: text.len() as u64,
            grant,
        };
        let contents = vec![one(&note, String::new()), one(&news, news_grant)];
        let mut request = Request::new(v1::FetchManyRequest { contents });
        let bearer = format!("Bearer {note_grant}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let answers = TransferClient::new(channel).fetch_many(request).await.unwrap();
        let answers: Vec<_> = answers.into_inner().try_collect().await.unwrap();
        let mut came = [&b""[..]; 2].map(<[u8]>::to_vec);
        for answer in answers {
            if let Some(Event::Segment(segment)) = answer.event {
                came[usize::from(segment.offset >= note.len() as u64)].extend(&segment.data[..]);
            }
        }
        assert_eq!(String::from_utf8(came.join(&b' ')).unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_left_a_group_gets_nothing_of_it_by_publishing_it() {
    let world = World::new().await;
    assert!(locate(&world.mallory, world.content()).await.is_none());
    for visibility in ["public", "unlisted"] {
        world.claims(&world.mallory, visibility).await;
        world.is_shut_to_mallory(visibility).await;
    }
    // In a group of her own, into which she takes the members.
    create(&world.mallory, "trap").await;
    for member in ["alice", "bob"] {
        add(&world.mallory, "trap", member).await;
    }
    world.claims(&world.mallory, "group:trap").await;
    world.is_shut_to_mallory("group").await;
    // What she gets as a source of her own group opens nothing of another.
    let located = locate(&world.bob, world.content()).await.unwrap();
    assert_eq!(located.total, 2);
    world.is_open_to_bob().await;
    let own = located.sources.iter().find_map(|source| source.grant.clone()).unwrap();
    let answers = world.answers(&world.mallory, &own).await;
    assert!(answers.iter().all(|answer| answer.contains(&format!("{:?}", Code::PermissionDenied))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_an_old_name_opens_nothing_of_the_old_one() {
    let world = World::new().await;
    world.is_open_to_bob().await;
    // Alice's peer is not told: for it the share is for a group of this name still.
    world.alice.client().delete_group(&"club".parse().unwrap()).await.unwrap();
    create(&world.mallory, "club").await;
    world.claims(&world.mallory, "group:club").await;
    world.is_shut_to_mallory("a group of the same name").await;
    // Nor does the grant that is shown to those who share with the new group.
    world.mallory.announce(vec!["tcp://127.0.0.1:9".parse().unwrap()]).await.unwrap();
    let request = GrantRequest { contents: vec![world.content()], peer: None, max_sources: None };
    let located = world.mallory.client().grants(&request).await.unwrap().contents.remove(0);
    let grant = located.sources[0].grant.as_ref().expect("a grant for the new group");
    let answers = world.answers(&world.mallory, grant).await;
    assert!(answers.iter().all(|answer| answer.contains("NotFound")), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_file_is_shared_at_the_moment_decides() {
    let world = World::new().await;
    world.claims(&world.mallory, "public").await;
    world.is_shut_to_mallory("before").await;
    let grant = locate(&world.mallory, world.content()).await.unwrap().grant;
    let bobs = locate(&world.bob, world.content()).await.unwrap();
    let source = bobs.sources.iter().find(|source| source.peer == world.alice.id()).unwrap();
    let bobs = source.grant.clone().unwrap();
    let ok = ["manifest ok", "have ok", "fetch ok"];
    for visibility in ["public", "unlisted"] {
        share(&world.alice, &world.sharer, &world.folder, visibility).await;
        assert_eq!(world.answers(&world.mallory, &grant).await, ok, "{visibility}");
        assert_eq!(world.answers(&world.bob, &bobs).await, ok, "{visibility}");
        share(&world.alice, &world.sharer, &world.folder, "group:club").await;
        let answers = world.answers(&world.mallory, &grant).await;
        assert!(answers.iter().all(|answer| answer.contains("NotFound")), "{answers:?}");
        assert_eq!(world.answers(&world.bob, &bobs).await, ok, "{visibility}");
    }
    // Shared both ways it is there for both.
    let open = world.folder.with_file_name("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("plans"), &world.secret).unwrap();
    share(&world.alice, &world.sharer, &open, "public").await;
    assert_eq!(world.answers(&world.mallory, &grant).await, ok);
    assert_eq!(world.answers(&world.bob, &bobs).await, ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_downloads_in_a_group_is_there_for_its_members_alone() {
    let world = World::new().await;
    let member = &world.alice;
    world.claims(&world.mallory, "public").await;
    create(&world.mallory, "trap").await;
    for caught in ["alice", "bob"] {
        add(&world.mallory, "trap", caught).await;
    }
    world.claims(&world.mallory, "group:trap").await;

    let folder = tempfile::tempdir().unwrap();
    let partial = PartialSources::new();
    let dir = DataDir::open(folder.path()).unwrap();
    let address = serve(&world.bob, &dir, &partial, &world.stop, |_| ()).await;
    let (manifest, run) = (hash_bytes(&world.secret), PieceRun::new(PieceIndex(0), 1));
    let download = MemorySource::new();
    download.insert_empty(manifest.clone());
    assert!(download.gain(&manifest.id(), &world.secret, run));
    let _kept = partial.insert(manifest.id(), Arc::new(download));
    let told = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let located = locate(member, manifest.id()).await.unwrap();
            let bob = located.sources.into_iter().find(|source| source.peer == world.bob.id());
            match bob {
                Some(bob) if !partial.is_untold(&manifest.id()) => return bob,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let bob = told.await.expect("a member is told of it");
    assert_eq!(bob.kind, SourceKind::Partial);
    // He finds it in both groups, and downloads as somebody who is in both: Mallory is in one only.
    let located = locate(&world.mallory, manifest.id()).await.unwrap();
    assert_eq!(located.sources, []);
    let at_bob = async |who: &OwnPeer, manifest: &Manifest, grant: &str| {
        answers(who, world.bob.id(), address, manifest, grant).await
    };
    let secret = at_bob(&world.mallory, &manifest, &located.grant).await;
    let grant = locate(&world.mallory, nothing().id()).await.unwrap().grant;
    assert_eq!(secret, at_bob(&world.mallory, &nothing(), &grant).await);
    assert!(secret.iter().all(|answer| answer.contains("NotFound")), "{secret:?}");
    let members = at_bob(member, &manifest, &bob.grant.expect("one for the group")).await;
    assert_eq!(members[..2], ["manifest ok", "have ok"]);
    assert!(members[2].contains("not-held"), "he has a part of it: {members:?}");
}
