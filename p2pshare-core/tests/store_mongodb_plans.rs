//! Every question that the MongoDB store asks is answered by an index: told by the servers' own plans.
#![cfg(feature = "mongodb")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mongodb::bson::{Document, doc};
use p2pshare_core::{
    api::{CatalogChange, Entry, Kind, Sort, Visibility},
    auth::{TokenHash, Verifier},
    backend::mongodb::{MongoStore, MongoUri},
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    index::{
        model::{
            GroupRecord, InviteHash, InviteRecord, KeptSessions, LocateRequest, OverviewRequest,
            PartialSource, Peer, Session, User, Viewer,
        },
        search::{Filter, Query, Search},
        store::{
            CatalogStore, GroupStore, IndexStore, InviteStore, PeerStore, SessionStore,
            StoreResult, UserStore,
        },
    },
    path::SharePath,
    testing::{mongod::ReplicaSet, store::block_on},
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// As many entries were published since then as a rare word has at most.
const LATELY: Timestamp = Timestamp::from_millis(1_011_000);

/// More entries than a word can have before it counts as common.
const ENTRIES: u64 = 12_000;

#[test]
fn no_question_scans_a_collection() {
    let Some(set) = ReplicaSet::start(1, 1000) else { return };
    block_on(async {
        let uri: MongoUri = set.database("plans").parse().expect("scripts/mongod prints a URI");
        let store = MongoStore::open(&uri).await.expect("a new database opens");
        fill(&store).await;

        let client = mongodb::Client::with_uri_str(set.uri()).await.expect("the URI is good");
        let database = client.database("plans");
        note_plans(&database).await;
        ask_everything(&store).await;
        change_everything(&store).await;
        let plans = plans(&database).await;
        let scans: Vec<_> = plans.iter().filter(|(plan, _)| plan.contains("COLLSCAN")).collect();
        assert!(scans.is_empty(), "these scan: {scans:#?}\nall plans: {plans:#?}");
        for index in [
            "w: 1, n: 1, k: 1",
            "o: 1, v: 1, _id.t: 1",
            "c: 1, s: 1",
            "n: 1, k: 1",
            "at: -1, k: 1",
            "s: -1, k: 1",
            "owner: 1, _id: 1",
            "_id.c: 1, until: 1",
        ] {
            let used = plans.keys().any(|plan| plan.contains(index));
            assert!(used, "no question used the index {{ {index} }}: {plans:#?}");
        }
    });
}

/// A search in the order of an index ends early, however many entries match.
#[test]
fn a_search_for_what_is_common_reads_few_entries() {
    let Some(set) = ReplicaSet::start(1, 1000) else { return };
    block_on(async {
        let uri: MongoUri = set.database("plans").parse().expect("scripts/mongod prints a URI");
        let store = MongoStore::open(&uri).await.expect("a new database opens");
        fill(&store).await;
        let client = mongodb::Client::with_uri_str(set.uri()).await.expect("the URI is good");
        let database = client.database("plans");
        note_plans(&database).await;
        for (words, sort) in [
            ("common", Sort::Relevance),
            ("com", Sort::Relevance),
            ("common", Sort::Largest),
            ("common", Sort::Newest),
            ("", Sort::Relevance),
            ("", Sort::Smallest),
        ] {
            store.search(&viewer(), &search(words, sort)).await.expect("the store answers");
        }
        // Nor does one for what is new, whatever matches.
        for sort in [Sort::Relevance, Sort::Newest, Sort::Oldest, Sort::Sources] {
            for words in ["", "common", "common -flac"] {
                let filter = Filter { since: Some(LATELY), ..Filter::default() };
                let search = Search { filter, ..search(words, sort) };
                store.search(&viewer(), &search).await.expect("the store answers");
            }
        }
        let finds = database.collection::<Document>("system.profile");
        let mut finds = finds
            .find(doc! { "op": { "$in": ["query", "getmore"] }, "ns": "plans.entries" })
            .await
            .expect("plans are there");
        let mut seen = 0;
        while finds.advance().await.expect("plans are there") {
            let plan = finds.deserialize_current().expect("plans are documents");
            let examined = plan.get_i32("docsExamined").unwrap_or(0);
            assert!(examined <= 1000, "{plan:#?}");
            seen += 1;
        }
        assert!(seen >= 18, "{seen} questions were asked");
    });
}

/// Makes the server note the plan of every question from now on.
async fn note_plans(database: &mongodb::Database) {
    // With room for all of them.
    let room = doc! { "create": "system.profile", "capped": true, "size": 64 << 20 };
    database.run_command(room).await.expect("there is room for plans");
    database.run_command(doc! { "profile": 2 }).await.expect("plans can be noted");
}

/// How often each plan was used, with the collection and the kind of question.
async fn plans(database: &mongodb::Database) -> BTreeMap<String, u32> {
    let noted = database.collection::<Document>("system.profile");
    let of_store =
        doc! { "ns": { "$ne": "plans.system.profile" }, "planSummary": { "$exists": true } };
    let mut noted = noted.find(of_store).await.expect("plans are there");
    let mut plans = BTreeMap::new();
    while noted.advance().await.expect("plans are there") {
        let plan: Document = noted.deserialize_current().expect("plans are documents");
        let text = |field: &str| plan.get_str(field).unwrap_or_default().to_owned();
        let plan = format!("{} {} {}", text("ns"), text("op"), text("planSummary"));
        *plans.entry(plan).or_insert(0) += 1;
    }
    plans
}

fn name(text: &str) -> Username {
    text.parse().expect("it is a name")
}

fn group() -> GroupName {
    "club".parse().expect("it is a name")
}

fn verifier() -> Verifier {
    Verifier::parse("$plain$v=1$c2FsdA$YWxpY2U").expect("it is a verifier")
}

fn user(text: &str) -> User {
    User {
        name: name(text),
        verifier: verifier(),
        operator: false,
        disabled: false,
        created_at: NOW,
    }
}

fn peer(number: u8) -> Peer {
    let address = "tcp://127.0.0.1:7401".parse().expect("it is an address");
    Peer {
        id: PeerId::from_bytes([number; 32]),
        owner: name("alice"),
        addresses: vec![address],
        announced_at: NOW,
        last_seen: Some(NOW),
    }
}

fn viewer() -> Viewer {
    Viewer { user: name("bob"), groups: vec![group()] }
}

fn search(words: &str, sort: Sort) -> Search {
    Search {
        query: Query::parse(words).expect("it is a query"),
        filter: Filter::default(),
        sort,
        after: None,
        limit: 25,
        online_since: NOW,
    }
}

fn entry(number: u64, visibility: Visibility) -> CatalogChange {
    let path = format!("common folder {}/rare{number} number {number}.flac", number / 100);
    CatalogChange::Publish(Entry {
        content: ContentId::of(path.as_bytes()),
        path: SharePath::parse(&path).expect("it is a path"),
        size: number,
        visibility,
    })
}

fn done<T>(result: StoreResult<T>) -> T {
    result.unwrap_or_else(|error| panic!("the store failed: {error}"))
}

async fn fill(store: &MongoStore) {
    for user in ["alice", "bob"].map(user) {
        done(store.insert_user(&user, false).await);
    }
    let club = GroupRecord { name: group(), owner: name("bob"), created_at: NOW };
    done(store.insert_group(&club).await);
    done(store.add_member(&group(), &name("alice")).await);
    done(store.announce(&peer(1)).await);
    for from in (0..ENTRIES).step_by(1000) {
        let changes: Vec<_> =
            (from..from + 1000).map(|number| entry(number, Visibility::Public)).collect();
        let at = NOW.saturating_add(Duration::from_millis(from));
        done(store.publish(&name("alice"), &peer(1).id, &changes, at).await);
    }
}

async fn ask_everything(store: &MongoStore) {
    let sorts =
        [Sort::Relevance, Sort::Largest, Sort::Smallest, Sort::Newest, Sort::Oldest, Sort::Sources];
    for sort in sorts {
        for words in
            ["", "common", "comm", "rare4321", "common rare", "common 4321 -x", "common nothing"]
        {
            done(store.search(&viewer(), &search(words, sort)).await);
        }
        let filter = Filter {
            extensions: vec!["flac".to_owned()],
            kind: Some(Kind::Audio),
            min_size: Some(1),
            max_size: Some(5),
            owner: Some(name("alice")),
            since: Some(NOW),
        };
        done(store.search(&viewer(), &Search { filter, ..search("", sort) }).await);
        for words in ["", "common"] {
            let filter = Filter { since: Some(LATELY), ..Filter::default() };
            done(store.search(&viewer(), &Search { filter, ..search(words, sort) }).await);
        }
    }
    let content = ContentId::of(b"common folder 1/rare123 number 123.flac");
    done(store.content(&viewer(), &content, NOW, 5).await);
    let request = LocateRequest {
        contents: vec![content],
        online_since: NOW,
        now: NOW,
        limit: 5,
        pivot: PeerId::from_bytes([7; 32]),
    };
    done(store.locate(&viewer(), &request).await);
    let alice = name("alice");
    let folder = SharePath::parse("common folder 3").expect("it is a path");
    done(store.user_files(&viewer(), &alice, Some(&folder), None, 20).await);
    done(store.user_folder(&viewer(), &alice, None, None, 20).await);
    done(store.entries(&peer(1).id, None, 10).await);
    done(store.count_entries(&peer(1).id).await);
    done(store.count_user_entries(&alice).await);
    let paths = BTreeSet::from([folder]);
    done(store.count_known_paths(&alice, &peer(1).id, &paths).await);
    done(store.user(&alice).await);
    done(store.users(None, 10).await);
    done(store.peer(&peer(1).id).await);
    done(store.peers_of(&alice).await);
    done(store.group(&group()).await);
    done(store.groups_of(&alice).await);
    done(store.members(&group()).await);
    done(store.session(&TokenHash::from_bytes([1; 32]), NOW).await);
    done(store.invite(&InviteHash([1; 32])).await);
    done(store.invites_by(&alice).await);
    done(store.good_invites(NOW, Some((Timestamp::MAX, InviteHash([1; 32]))), 10).await);
    let request = OverviewRequest {
        prefix: "al".to_owned(),
        after: None,
        limit: 10,
        now: NOW,
        online_since: NOW,
    };
    done(store.overviews(&request).await);
    done(store.check().await);
}

async fn change_everything(store: &MongoStore) {
    let (alice, bob, id) = (name("alice"), name("bob"), peer(1).id);
    done(store.insert_user(&user("cy"), true).await);
    done(store.insert_user(&user("cy"), false).await);
    done(store.set_verifier(&alice, &verifier(), Some(&verifier()), KeptSessions::None).await);
    done(store.set_operator(&alice, true).await);
    let session = Session {
        token: TokenHash::from_bytes([1; 32]),
        user: alice.clone(),
        created_at: NOW,
        expires_at: Timestamp::MAX,
    };
    assert!(done(store.open_session(&session, &verifier(), 1).await));
    done(store.extend_session(&session.token, NOW).await);
    done(store.end_sessions(&alice, None).await);
    done(store.end_session(&session.token).await);
    done(store.purge_sessions(NOW).await);
    let newer = Peer { announced_at: Timestamp::MAX, ..peer(1) };
    done(store.announce(&newer).await);
    done(store.touch_peers(&[(id, NOW.saturating_add(Duration::from_secs(1)))]).await);
    let content = ContentId::of(b"x");
    let partial = PartialSource { content, until: NOW, groups: vec![group()] };
    assert_eq!(done(store.add_partial_source(&alice, &id, &partial).await), Some(vec![group()]));
    assert_eq!(done(store.partial_sources_of(&id).await), [partial]);
    done(store.remove_partial_source(&alice, &id, &content).await);
    let shared = Visibility::Group(group());
    done(store.publish(&alice, &id, &[entry(1, shared.clone()), entry(9999, shared)], NOW).await);
    let withdraw = SharePath::parse("common folder 0/rare2 number 2.flac").expect("it is a path");
    done(store.publish(&alice, &id, &[CatalogChange::Withdraw(withdraw)], NOW).await);
    let invite = InviteRecord {
        hash: InviteHash([1; 32]),
        created_by: alice.clone(),
        group: Some(group()),
        uses_left: 2,
        created_at: NOW,
        expires_at: Timestamp::MAX,
    };
    done(store.insert_invite(&invite).await);
    done(store.redeem_invite(&invite.hash, &user("dee"), NOW).await);
    done(store.delete_invite(&invite.hash).await);
    done(store.purge_invites(NOW).await);
    done(store.set_group_owner(&group(), &alice).await);
    done(store.remove_member(&group(), &bob).await);
    done(store.delete_group(&group()).await);
    done(store.peer_leaves(&id).await);
    done(store.purge_peers(NOW, 5).await);
    done(store.set_disabled(&bob, true).await);
    done(store.delete_peer(&id).await);
    done(store.delete_user(&bob).await);
}
