//! Laws of [`CatalogStore`](crate::index::store::CatalogStore): what exists for whom.

use super::fixture::*;
use crate::{
    api::{CatalogChange::Publish, Entry, FileListing, Visibility},
    index::model::{LocateRequest, Viewer},
};

/// What one viewer gets to know of one file of alice, through every question there is.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    search: bool,
    content: bool,
    locate: bool,
    files: bool,
    folder: bool,
}

const VISIBLE: Seen = Seen { search: true, content: true, locate: true, files: true, folder: true };
const HIDDEN: Seen =
    Seen { search: false, content: false, locate: false, files: false, folder: false };
const REACHABLE: Seen = Seen { content: true, locate: true, ..HIDDEN };

async fn seen(store: &Store, viewer: &Viewer, file: &Entry) -> Seen {
    let owner = user("alice");
    let words = search(file.path.as_str());
    let hits = hits(store, viewer, &words).await;
    let content = ok(store.content(viewer, &file.content, at(0), 9).await);
    let located = ok(store.locate(viewer, &locate(&[file])).await);
    let files = ok(store.user_files(viewer, &owner, None, None, 9).await);
    let folder = ok(store.user_folder(viewer, &owner, None, None, 9).await);
    Seen {
        search: hits.iter().any(|hit| hit.content == file.content),
        content: !content.is_empty(),
        locate: !located.is_empty(),
        files: files.iter().any(|seen| seen.path == file.path),
        folder: folder.iter().any(|seen| match seen {
            FileListing::Folder(path) => *path == file.path,
            FileListing::File(seen) => seen.path == file.path,
        }),
    }
}

fn locate(files: &[&Entry]) -> LocateRequest {
    LocateRequest {
        contents: files.iter().map(|file| file.content).collect(),
        online_since: at(0),
        now: at(100),
        limit: 9,
        pivot: peer_id(0),
    }
}

/// Public is for all, unlisted for who knows the id, a group's for its members, one's own for oneself.
pub async fn each_sees_what_is_for_them(store: Store) {
    add_users_with_peers(&store, &["alice", "bob", "carol"]).await;
    add_group(&store, "club", "alice", &["bob"]).await;
    let public = entry("public", 1);
    let unlisted = entry_for("unlisted", 2, &Visibility::Unlisted);
    let grouped = entry_for("grouped", 3, &shared_with("club"));
    share(&store, "alice", 1, &[public.clone(), unlisted.clone(), grouped.clone()]).await;
    let own = viewer("alice", &["club"]);
    let member = viewer("bob", &["club"]);
    let stranger = viewer("carol", &["other"]);
    for (file, viewer, expected) in [
        (&public, &own, VISIBLE),
        (&public, &member, VISIBLE),
        (&public, &stranger, VISIBLE),
        (&unlisted, &own, VISIBLE),
        (&unlisted, &member, REACHABLE),
        (&unlisted, &stranger, REACHABLE),
        (&grouped, &own, VISIBLE),
        (&grouped, &member, VISIBLE),
        (&grouped, &stranger, HIDDEN),
    ] {
        let (who, what) = (&viewer.user, &file.path);
        assert_eq!(seen(&store, viewer, file).await, expected, "{what} for {who}");
    }
}

/// The viewer's own list of groups decides, as it was when they asked.
pub async fn the_viewers_groups_decide(store: Store) {
    add_users_with_peers(&store, &["alice", "bob"]).await;
    add_group(&store, "club", "alice", &["bob"]).await;
    let grouped = entry_for("grouped", 1, &shared_with("club"));
    share(&store, "alice", 1, std::slice::from_ref(&grouped)).await;
    assert_eq!(seen(&store, &viewer("bob", &[]), &grouped).await, HIDDEN);
    let many = ["a", "b", "club", "d"];
    assert_eq!(seen(&store, &viewer("nobody", &many), &grouped).await, VISIBLE);
    assert_eq!(seen(&store, &viewer("alice", &[]), &grouped).await, VISIBLE, "one's own");
}

/// An entry that the viewer does not see adds no name, no time, no source to a hit of the same content.
pub async fn what_is_not_seen_adds_nothing_to_a_hit(store: Store) {
    add_users_with_peers(&store, &["alice", "bob", "carol"]).await;
    add_group(&store, "club", "bob", &[]).await;
    share(&store, "alice", 1, &[entry("song alice", 1)]).await;
    let hidden = entry_for("song bob", 1, &shared_with("club"));
    let unlisted = entry_for("song carol", 1, &Visibility::Unlisted);
    let hidden = [Publish(hidden)];
    let unlisted = [Publish(unlisted)];
    publish(&store, "bob", 2, &hidden, 300).await;
    publish(&store, "carol", 3, &unlisted, 200).await;

    let stranger = viewer("dave", &[]);
    let found = hits(&store, &stranger, &search("song")).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].names.len(), found[0].sources), (1, 1));
    assert_eq!(found[0].published_at, at(100));
    assert_eq!(hits(&store, &stranger, &search("bob")).await, []);
    assert_eq!(hits(&store, &stranger, &search("carol")).await, []);
    let details = ok(store.content(&stranger, &content(1), at(0), 9).await);
    assert_eq!((details[0].names.len(), details[0].sources), (2, 2));
    assert_eq!(details[0].published_at, at(200));
    let located = ok(store.locate(&stranger, &locate(&[&entry("any", 1)])).await);
    assert_eq!((located[0].total, located[0].sources.len()), (2, 2));

    let member = viewer("dave", &["club"]);
    let found = hits(&store, &member, &search("song")).await;
    assert_eq!((found[0].names.len(), found[0].sources), (2, 2));
    assert_eq!(found[0].published_at, at(300));
    let details = ok(store.content(&member, &content(1), at(0), 9).await);
    assert_eq!((details[0].names.len(), details[0].sources), (3, 3));
}

/// A change of visibility holds at once.
pub async fn a_change_of_visibility_holds(store: Store) {
    add_users_with_peers(&store, &["alice"]).await;
    add_group(&store, "club", "alice", &[]).await;
    let stranger = viewer("bob", &[]);
    for (visibility, expected) in [
        (Visibility::Public, VISIBLE),
        (shared_with("club"), HIDDEN),
        (Visibility::Unlisted, REACHABLE),
        (Visibility::Public, VISIBLE),
    ] {
        let file = entry_for("file", 1, &visibility);
        share(&store, "alice", 1, std::slice::from_ref(&file)).await;
        assert_eq!(seen(&store, &stranger, &file).await, expected, "{visibility}");
    }
}

/// A folder of which the viewer sees no file is not there for them.
pub async fn a_folder_of_hidden_files_is_hidden(store: Store) {
    add_users_with_peers(&store, &["alice"]).await;
    add_group(&store, "club", "alice", &[]).await;
    let entries = [
        entry_for("club/a", 1, &shared_with("club")),
        entry_for("own/a", 2, &Visibility::Unlisted),
    ];
    share(&store, "alice", 1, &entries).await;
    let owner = user("alice");
    for (viewer, count) in
        [(viewer("alice", &["club"]), 2), (viewer("bob", &["club"]), 1), (viewer("bob", &[]), 0)]
    {
        let listed = ok(store.user_folder(&viewer, &owner, None, None, 9).await);
        assert_eq!(listed.len(), count, "{viewer:?}");
    }
}
