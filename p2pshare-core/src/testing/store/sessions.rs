//! Laws of [`SessionStore`](crate::index::store::SessionStore).

use super::fixture::*;
use crate::index::model::{KeptSessions, OpenSession, Session};

/// Sessions of these numbers that are open at 100 seconds.
async fn open_of(store: &Store, numbers: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut open = Vec::new();
    for number in numbers {
        if ok(store.session(&token(number), at(100)).await).is_some() {
            open.push(number);
        }
    }
    open
}

async fn open(store: &Store, session: &Session, keep: u32) -> bool {
    let verifier = verifier(session.user.as_str());
    ok(store.open_session(session, &verifier, keep).await)
}

/// An open session is there as it was given, with what is known of its user.
pub async fn a_session_is_kept_as_given(store: Store) {
    add_users(&store, &["alice"]).await;
    let session = session(1, "alice", 100);
    assert!(open(&store, &session, 9).await);
    let expected = OpenSession { session, operator: false, disabled: false };
    assert_eq!(ok(store.session(&token(1), at(100)).await), Some(expected));
    assert_eq!(ok(store.session(&token(2), at(100)).await), None);
}

/// No session opens for nobody, for a disabled account, or with a verifier that is not the account's.
pub async fn a_session_opens_only_as_the_account_is_now(store: Store) {
    add_users(&store, &["alice"]).await;
    let session = session(1, "alice", 100);
    assert!(!ok(store.open_session(&session, &verifier("old"), 9).await));
    let nobodys = Session { user: user("nobody"), ..session.clone() };
    assert!(!open(&store, &nobodys, 9).await);
    assert!(ok(store.set_disabled(&user("alice"), true).await));
    assert!(!open(&store, &session, 9).await);
    assert_eq!(open_of(&store, [1]).await, [0_u8; 0]);
    assert!(ok(store.set_disabled(&user("alice"), false).await));
    assert!(open(&store, &session, 9).await);
}

/// A refused session ends no other.
pub async fn a_refused_session_changes_nothing(store: Store) {
    add_users(&store, &["alice"]).await;
    assert!(open(&store, &session(1, "alice", 100), 1).await);
    let second = session(2, "alice", 101);
    assert!(!ok(store.open_session(&second, &verifier("old"), 1).await));
    assert_eq!(open_of(&store, [1, 2]).await, [1]);
}

/// A token opens one session: another with it is refused, whoever's it is.
pub async fn a_token_opens_one_session(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    assert!(open(&store, &session(1, "alice", 100), 9).await);
    assert!(!open(&store, &session(1, "alice", 200), 9).await);
    assert!(!open(&store, &session(1, "bob", 100), 9).await);
    let found = ok(store.session(&token(1), at(100)).await);
    assert_eq!(found.map(|open| open.session), Some(session(1, "alice", 100)));
}

/// A login with the old password that runs while the password changes and all sessions end leaves no session.
pub async fn no_login_slips_past_a_change_of_password(store: Store) {
    add_users(&store, &["alice"]).await;
    for round in 0..20 {
        let password = format!("password{round}");
        let old = verifier(&password);
        assert!(ok(store.set_verifier(&user("alice"), &old, None, KeptSessions::All).await));
        let tasks = (0..9).map(|number| {
            let (store, old) = (store.clone(), old.clone());
            async move {
                if number == 4 {
                    let (new, kept) = (verifier("new"), KeptSessions::None);
                    ok(store.set_verifier(&user("alice"), &new, None, kept).await);
                } else {
                    let session = session(number, "alice", 100);
                    ok(store.open_session(&session, &old, 9).await);
                }
            }
        });
        at_once(tasks).await;
        assert_eq!(open_of(&store, 0..9).await, [0_u8; 0], "round {round}");
    }
}

/// A session is there before the time it ends at, and not from then on.
pub async fn a_session_ends_at_its_time(store: Store) {
    add_users(&store, &["alice"]).await;
    let ends = Session { expires_at: at(200), ..session(1, "alice", 100) };
    assert!(open(&store, &ends, 9).await);
    assert!(ok(store.session(&token(1), at(199)).await).is_some());
    assert_eq!(ok(store.session(&token(1), at(200)).await), None);
    assert_eq!(ok(store.session(&token(1), at(201)).await), None);
}

/// The user's sessions that would end first give way to a new one; of equal ends that which was opened first. Those of
/// others do not.
pub async fn the_sessions_that_end_first_give_way(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    let ending = |number: u8, name, end| Session {
        expires_at: at(end),
        ..session(number, name, 99 - i64::from(number))
    };
    assert!(open(&store, &ending(9, "bob", 201), 3).await);
    for (number, end) in [(3, 250), (1, 250), (2, 240)] {
        assert!(open(&store, &ending(number, "alice", end), 3).await);
    }
    assert_eq!(open_of(&store, 1..10).await, [1, 2, 3, 9]);
    assert!(open(&store, &ending(4, "alice", 260), 3).await);
    assert_eq!(open_of(&store, 1..10).await, [1, 3, 4, 9]);
    assert!(open(&store, &ending(5, "alice", 260), 3).await);
    assert_eq!(open_of(&store, 1..10).await, [1, 4, 5, 9], "of equal ends the older one goes");
    assert!(ok(store.extend_session(&token(1), at(261)).await));
    assert!(open(&store, &ending(6, "alice", 270), 3).await);
    assert_eq!(open_of(&store, 1..10).await, [1, 4, 6, 9], "what was used goes after what was not");
    assert!(open(&store, &ending(7, "alice", 270), 2).await);
    assert_eq!(open_of(&store, 1..10).await, [6, 7, 9], "all that are too many go");
}

/// Sessions from a time when they lasted longer are not kept for that: those that were opened first go.
pub async fn sessions_that_lasted_longer_once_are_not_kept_for_that(store: Store) {
    add_users(&store, &["alice"]).await;
    let lasting = |number: u8, created, end| Session {
        expires_at: at(end),
        ..session(number, "alice", created)
    };
    for (number, created, end) in [(1, 60, 960), (3, 50, 970), (2, 70, 970)] {
        assert!(open(&store, &lasting(number, created, end), 3).await);
    }
    for (number, created, left) in [(4, 80, [1, 2, 4]), (5, 80, [2, 4, 5]), (6, 81, [4, 5, 6])] {
        assert!(open(&store, &lasting(number, created, 200), 3).await);
        assert_eq!(open_of(&store, 1..10).await, left);
    }
}

/// The new session remains, even if it is the first to end or none is to be kept.
pub async fn the_new_session_remains(store: Store) {
    add_users(&store, &["alice"]).await;
    let ending = |number, end| Session { expires_at: at(end), ..session(number, "alice", 100) };
    assert!(open(&store, &ending(1, 250), 2).await);
    assert!(open(&store, &ending(2, 260), 2).await);
    assert!(open(&store, &ending(3, 210), 2).await);
    assert_eq!(open_of(&store, 1..9).await, [2, 3]);
    assert!(open(&store, &ending(4, 205), 0).await);
    assert_eq!(open_of(&store, 1..9).await, [4]);
}

/// A session that was extended ends at the later time, and never earlier than it would have. None is made by that.
pub async fn a_session_that_was_extended_ends_later(store: Store) {
    add_users(&store, &["alice"]).await;
    let short = Session { expires_at: at(200), ..session(1, "alice", 100) };
    assert!(open(&store, &short, 9).await);
    assert!(ok(store.extend_session(&token(1), at(300)).await));
    assert!(ok(store.extend_session(&token(1), at(250)).await));
    let expected = Session { expires_at: at(300), ..short };
    let found = ok(store.session(&token(1), at(299)).await);
    assert_eq!(found.map(|open| open.session), Some(expected));
    assert_eq!(ok(store.session(&token(1), at(300)).await), None);
    assert_eq!(ok(store.purge_sessions(at(299)).await), 0);
    assert!(!ok(store.extend_session(&token(2), at(300)).await));
    assert!(ok(store.end_session(&token(1)).await));
    assert!(!ok(store.extend_session(&token(1), at(400)).await));
    assert_eq!(open_of(&store, [1, 2]).await, [0_u8; 0]);
}

/// Of many opened at once no more remain than are to be kept.
pub async fn no_more_sessions_remain_than_are_kept(store: Store) {
    add_users(&store, &["alice"]).await;
    let logins = (0..16).map(|number| {
        let store = store.clone();
        async move { open(&store, &session(number, "alice", 100), 3).await }
    });
    assert!(at_once(logins).await.into_iter().all(|opened| opened));
    assert_eq!(open_of(&store, 0..16).await.len(), 3);
}

/// Ending one session ends that one.
pub async fn one_session_is_ended(store: Store) {
    add_users(&store, &["alice"]).await;
    for number in [1, 2] {
        assert!(open(&store, &session(number, "alice", 100), 9).await);
    }
    assert!(ok(store.end_session(&token(1)).await));
    assert!(!ok(store.end_session(&token(1)).await));
    assert!(!ok(store.end_session(&token(7)).await));
    assert_eq!(open_of(&store, [1, 2]).await, [2]);
}

/// Ending all sessions of a user leaves the one excepted and those of others, and says how many ended.
pub async fn all_sessions_of_a_user_are_ended(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    for (number, name) in [(1, "alice"), (2, "alice"), (3, "alice"), (4, "bob")] {
        assert!(open(&store, &session(number, name, 100), 9).await);
    }
    assert_eq!(ok(store.end_sessions(&user("alice"), Some(&token(2))).await), 2);
    assert_eq!(open_of(&store, 1..5).await, [2, 4]);
    let of_another = ok(store.end_sessions(&user("alice"), Some(&token(4))).await);
    assert_eq!(of_another, 1);
    assert_eq!(open_of(&store, 1..5).await, [4]);
    assert_eq!(ok(store.end_sessions(&user("alice"), None).await), 0);
    assert_eq!(ok(store.end_sessions(&user("nobody"), None).await), 0);
}

/// The sessions of a user are told as they were given, ended or not, in order of token, until they are purged.
pub async fn sessions_of_a_user_are_in_order(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    let ended = Session { expires_at: at(150), ..session(2, "alice", 110) };
    let own = [session(1, "alice", 120), ended, session(3, "alice", 100)];
    for session in own.iter().rev().chain([&session(9, "bob", 100)]) {
        assert!(open(&store, session, 9).await);
    }
    assert_eq!(ok(store.sessions_of(&user("alice")).await), own);
    assert_eq!(ok(store.sessions_of(&user("bob")).await), [session(9, "bob", 100)]);
    assert_eq!(ok(store.sessions_of(&user("nobody")).await), []);
    assert_eq!(ok(store.purge_sessions(at(150)).await), 1);
    let left = [own[0].clone(), own[2].clone()];
    assert_eq!(ok(store.sessions_of(&user("alice")).await), left);
}

/// Purging forgets what ended at the time given or before, and nothing else.
pub async fn expired_sessions_are_purged(store: Store) {
    add_users(&store, &["alice"]).await;
    for number in 1..=4_u8 {
        let session =
            Session { expires_at: at(200 + i64::from(number)), ..session(number, "alice", 100) };
        assert!(open(&store, &session, 9).await);
    }
    assert_eq!(ok(store.purge_sessions(at(200)).await), 0);
    assert_eq!(ok(store.purge_sessions(at(202)).await), 2);
    assert_eq!(ok(store.purge_sessions(at(202)).await), 0);
    assert_eq!(open_of(&store, 1..5).await, [3, 4]);
    assert!(!ok(store.end_session(&token(1)).await));
}
