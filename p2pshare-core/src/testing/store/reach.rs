//! Laws of [`CatalogStore`](crate::index::store::CatalogStore): for the sake of which groups somebody is told of a
//! source, and that nobody else is.

use super::fixture::*;
use crate::{
    api::{CatalogChange::Withdraw, SourceKind, Visibility},
    index::model::{LocateRequest, Location, Viewer},
};

fn request(limit: u32) -> LocateRequest {
    LocateRequest {
        contents: vec![content(1)],
        online_since: at(100),
        now: at(100),
        limit,
        pivot: peer_id(0),
    }
}

async fn locate(store: &Store, viewer: &Viewer) -> Option<Location> {
    let mut located = ok(store.locate(viewer, &request(100)).await);
    assert!(located.len() <= 1, "{located:?}");
    located.pop()
}

/// The sources of content 1 that a viewer is told of: the peer's number, whether it has all, and the groups.
async fn told(store: &Store, viewer: &Viewer) -> Vec<(u8, bool, Vec<String>)> {
    let located = locate(store, viewer).await;
    let sources = located.into_iter().flat_map(|located| located.sources);
    let source = sources.map(|source| {
        let groups = source.groups.iter().map(ToString::to_string).collect();
        (source.peer.as_bytes()[0], source.kind == SourceKind::Full, groups)
    });
    source.collect()
}

/// The numbers of those that hold part of content 1.
async fn parts(store: &Store, viewer: &Viewer) -> Vec<u8> {
    let told = told(store, viewer).await;
    told.into_iter().filter(|(_, full, _)| !full).map(|(peer, ..)| peer).collect()
}

fn names(groups: &[&str]) -> Vec<String> {
    groups.iter().map(|&name| name.to_owned()).collect()
}

/// Alice, bob and carol with a peer each (1, 2, 3); the club is alice's with bob and carol, the team bob's with alice;
/// peer 1 shares content 1 with the club.
async fn a_club_and_a_team(store: &Store) {
    add_users_with_peers(store, &["alice", "bob", "carol"]).await;
    add_group(store, "club", "alice", &["bob", "carol"]).await;
    add_group(store, "team", "bob", &["alice"]).await;
    share(store, "alice", 1, &[entry_for("a", 1, &shared_with("club"))]).await;
}

/// A full source is told of for everybody's sake if it shares with everybody, else for the first of the groups that it
/// shares with and the viewer is in.
pub async fn a_full_source_is_told_for_what_it_shares(store: Store) {
    a_club_and_a_team(&store).await;
    for number in [4, 5, 6] {
        add_peer(&store, number, "alice").await;
    }
    let both = [entry_for("a", 1, &shared_with("team")), entry_for("b", 1, &shared_with("club"))];
    share(&store, "alice", 4, &both).await;
    let open = [entry_for("a", 1, &shared_with("club")), entry_for("b", 1, &Visibility::Unlisted)];
    share(&store, "alice", 5, &open).await;
    share(&store, "alice", 6, &[entry_for("a", 1, &shared_with("team"))]).await;

    let full = |number, groups: &[&str]| (number, true, names(groups));
    let everybody = [full(5, &[])];
    let club = [full(1, &["club"]), full(4, &["club"]), full(5, &[])];
    let team = [full(4, &["team"]), full(5, &[]), full(6, &["team"])];
    let all = [full(1, &["club"]), full(4, &["club"]), full(5, &[]), full(6, &["team"])];
    assert_eq!(told(&store, &viewer("dave", &[])).await, everybody);
    assert_eq!(told(&store, &viewer("dave", &["club"])).await, club);
    assert_eq!(told(&store, &viewer("dave", &["team", "more"])).await, team);
    assert_eq!(told(&store, &viewer("dave", &["team", "club"])).await, all);
    assert_eq!(told(&store, &viewer("alice", &[])).await, all, "one's own");
}

/// A location names the groups in which the viewer finds the content, wherever its peers are, each once and in order.
pub async fn a_location_names_the_groups_of_what_is_found(store: Store) {
    a_club_and_a_team(&store).await;
    let shared = [
        entry_for("a", 1, &shared_with("team")),
        entry_for("b", 1, &shared_with("club")),
        entry_for("c", 1, &Visibility::Public),
        entry_for("d", 2, &shared_with("team")),
    ];
    share(&store, "bob", 2, &shared).await;
    assert!(ok(store.peer_leaves(&peer_id(2)).await));
    for (groups, expected) in [
        (vec![], vec![]),
        (vec!["team"], vec!["team"]),
        (vec!["other", "team", "club"], vec!["club", "team"]),
    ] {
        let located = locate(&store, &viewer("dave", &groups)).await.expect("it is public");
        let found: Vec<_> = located.groups.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{groups:?}");
        let none = ok(store.locate(&viewer("dave", &groups), &request(0)).await);
        assert_eq!(none[0].groups, located.groups, "however few sources are asked for");
    }
}

/// A partial source is told to who is in all groups that it is noted for, and to nobody else, whoever else shares the
/// content.
pub async fn a_partial_source_is_told_to_who_is_in_all_its_groups(store: Store) {
    a_club_and_a_team(&store).await;
    // Somebody else has it too.
    share(&store, "carol", 3, &[entry("own", 1)]).await;
    for number in [4, 5, 6] {
        add_peer(&store, number, "bob").await;
    }
    for (number, groups) in [(4, vec![]), (5, vec!["club"]), (6, vec!["club", "team"])] {
        let noted = noted(&store, "bob", number, &part(1, 200, &groups)).await;
        assert_eq!(noted, Some(names(&groups)));
    }
    for (groups, expected) in [
        (vec![], vec![4]),
        (vec!["team"], vec![4]),
        (vec!["club"], vec![4, 5]),
        (vec!["team", "other", "club"], vec![4, 5, 6]),
    ] {
        assert_eq!(parts(&store, &viewer("dave", &groups)).await, expected, "{groups:?}");
    }
    assert_eq!(parts(&store, &viewer("carol", &[])).await, [4], "who shares it with everybody");
    let member = told(&store, &viewer("dave", &["club", "team"])).await;
    assert!(member.contains(&(6, false, names(&["club", "team"]))), "{member:?}");
    let partial = part(1, 200, &["club", "team"]);
    assert_eq!(ok(store.partial_sources_of(&peer_id(6)).await), [partial]);
}

/// Noting a partial source again keeps the groups that it was noted for; removing it forgets them.
pub async fn groups_of_a_partial_source_stay(store: Store) {
    a_club_and_a_team(&store).await;
    let club = Some(names(&["club"]));
    let both = Some(names(&["club", "team"]));
    assert_eq!(noted(&store, "bob", 2, &part(1, 200, &["club"])).await, club);
    assert_eq!(noted(&store, "bob", 2, &part(1, 300, &[])).await, club);
    assert_eq!(ok(store.partial_sources_of(&peer_id(2)).await), [part(1, 300, &["club"])]);
    assert_eq!(noted(&store, "bob", 2, &part(1, 250, &["team"])).await, both);
    assert_eq!(noted(&store, "bob", 2, &part(2, 250, &["team"])).await, Some(names(&["team"])));
    // Also after its time, while it is remembered.
    assert_eq!(noted(&store, "bob", 2, &part(1, 10, &[])).await, both);
    let held = [part(1, 10, &["club", "team"]), part(2, 250, &["team"])];
    assert_eq!(ok(store.partial_sources_of(&peer_id(2)).await), held);
    assert!(ok(store.remove_partial_source(&user("bob"), &peer_id(2), &content(1)).await));
    assert_eq!(noted(&store, "bob", 2, &part(1, 200, &[])).await, Some(vec![]));
}

/// Only a member notes what they hold for a group; otherwise nothing changes.
pub async fn only_members_note_a_partial_source_for_a_group(store: Store) {
    a_club_and_a_team(&store).await;
    assert_eq!(noted(&store, "carol", 3, &part(1, 200, &["club"])).await, Some(names(&["club"])));
    for groups in [vec!["team"], vec!["club", "team"], vec!["missing"], vec!["club", "missing"]] {
        assert_eq!(noted(&store, "carol", 3, &part(1, 300, &groups)).await, None, "{groups:?}");
    }
    assert_eq!(ok(store.partial_sources_of(&peer_id(3)).await), [part(1, 200, &["club"])]);
    assert!(ok(store.remove_member(&group("club"), &user("carol")).await));
    assert_eq!(noted(&store, "carol", 3, &part(1, 300, &["club"])).await, None);
}

/// The end of a membership forgets what the member's peers are noted for in the group, whole, and nothing else.
pub async fn leaving_forgets_partial_sources(store: Store) {
    a_club_and_a_team(&store).await;
    add_peer(&store, 4, "bob").await;
    for (owner, number, partial) in [
        ("bob", 2, part(1, 200, &["club", "team"])),
        ("bob", 2, part(2, 200, &["team"])),
        ("bob", 2, part(3, 200, &[])),
        ("bob", 4, part(1, 200, &["club"])),
        ("carol", 3, part(1, 200, &["club"])),
    ] {
        assert!(noted(&store, owner, number, &partial).await.is_some());
    }
    assert!(ok(store.remove_member(&group("club"), &user("bob")).await));
    let left = [part(2, 200, &["team"]), part(3, 200, &[])];
    assert_eq!(ok(store.partial_sources_of(&peer_id(2)).await), left);
    assert_eq!(ok(store.partial_sources_of(&peer_id(4)).await), []);
    assert_eq!(ok(store.partial_sources_of(&peer_id(3)).await), [part(1, 200, &["club"])]);
    assert!(ok(store.add_member(&group("club"), &user("bob")).await));
    assert_eq!(parts(&store, &viewer("dave", &["club", "team"])).await, [3], "none comes back");
}

/// Deleting a group, or its owner, forgets every partial source that is noted for it: with its name none comes back,
/// and none is told to more than it was noted for.
pub async fn deleting_a_group_forgets_partial_sources(store: Store) {
    a_club_and_a_team(&store).await;
    share(&store, "carol", 3, &[entry("own", 1)]).await;
    assert!(noted(&store, "bob", 2, &part(1, 200, &["club", "team"])).await.is_some());
    assert!(noted(&store, "bob", 2, &part(2, 200, &["team"])).await.is_some());
    assert!(ok(store.delete_group(&group("club")).await));
    assert_eq!(ok(store.partial_sources_of(&peer_id(2)).await), [part(2, 200, &["team"])]);
    add_group(&store, "club", "carol", &[]).await;
    assert_eq!(parts(&store, &viewer("carol", &["club", "team"])).await, [0; 0]);

    assert!(noted(&store, "alice", 1, &part(3, 200, &["team"])).await.is_some());
    assert!(ok(store.delete_user(&user("bob")).await));
    assert_eq!(ok(store.partial_sources_of(&peer_id(1)).await), []);
}

/// A note for a group and the end of the membership at once: either the note is not made, or it is forgotten.
pub async fn no_note_slips_past_the_end_of_a_membership(store: Store) {
    a_club_and_a_team(&store).await;
    for round in 0..8 {
        let (noting, ending) = (store.clone(), store.clone());
        let note = tokio::spawn(async move {
            for number in 1..5 {
                noted(&noting, "carol", 3, &part(number, 200 + round, &["club"])).await;
            }
        });
        let end = tokio::spawn(async move {
            assert!(ok(ending.remove_member(&group("club"), &user("carol")).await));
        });
        for done in [note.await, end.await] {
            done.expect("the store does not panic");
        }
        assert_eq!(ok(store.partial_sources_of(&peer_id(3)).await), [], "in round {round}");
        assert!(ok(store.add_member(&group("club"), &user("carol")).await));
    }
}

/// What is noted for a group stays so when the content is no longer found in it.
pub async fn what_is_withdrawn_from_a_group_is_told_to_no_others(store: Store) {
    a_club_and_a_team(&store).await;
    assert!(noted(&store, "bob", 2, &part(1, 200, &["club"])).await.is_some());
    publish(&store, "alice", 1, &[Withdraw(path("a"))], 100).await;
    share(&store, "carol", 3, &[entry("own", 1)]).await;
    assert!(noted(&store, "bob", 2, &part(1, 300, &[])).await.is_some());
    assert_eq!(parts(&store, &viewer("dave", &[])).await, [0; 0]);
    assert_eq!(parts(&store, &viewer("dave", &["club"])).await, [2]);
}
