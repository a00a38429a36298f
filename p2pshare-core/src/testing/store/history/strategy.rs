//! How histories are made up: few of everything, so that they get in each other's way.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};

use super::{Change, History, Op};

/// The users there can be.
pub(super) const USERS: [&str; 4] = ["ann", "bea", "b-e", "cy"];
/// The groups there can be.
pub(super) const GROUPS: [&str; 2] = ["club", "team"];
/// The peers there can be are numbered from 1 to this.
pub(super) const PEERS: u8 = 5;
/// The contents there can be are numbered from 1 to this.
pub(super) const CONTENTS: u8 = 4;
/// Sessions and invites there can be are numbered from 1 to this.
pub(super) const CODES: u8 = 6;
/// Nothing happens at this time or later, in seconds.
pub(super) const END: i64 = 24;

/// Paths there can be: some the folder of others, some that sort around a `/`, some that fold alike.
const PATHS: [&str; 14] = [
    "a",
    "a b",
    "a b/Song 2.flac",
    "a-b",
    "a/b",
    "a/b/song.mp3",
    "a/b/songs 2/x.txt",
    "a/c.tar.gz",
    "A/C.TAR.GZ",
    "Ä/Söng.FLAC",
    "song",
    "song2",
    "b/song.MP3",
    "日本/歌 2.mp3",
];
const VISIBILITIES: [&str; 6] =
    ["public", "public", "unlisted", "group:club", "group:team", "group:club"];

/// Random histories, the first steps of which make users, peers and a group for the others to find.
pub fn histories() -> impl Strategy<Value = History> {
    let start = start();
    let all = start.len();
    let begin = subsequence(start, all - 3..=all);
    (begin, vec(op(), 0..60)).prop_map(|(mut ops, more)| {
        ops.extend(more);
        History(ops)
    })
}

fn start() -> Vec<Op> {
    let user = |name| Op::InsertUser {
        name,
        verifier: 1,
        operator: false,
        disabled: false,
        created_at: 0,
        only_if_first: false,
    };
    let peer = |(peer, owner)| Op::Announce {
        peer,
        owner,
        addresses: 1,
        announced_at: 0,
        last_seen: Some(10),
    };
    let group = |name, owner| Op::InsertGroup { name, owner, created_at: 0 };
    let mut ops: Vec<_> = USERS.into_iter().map(user).collect();
    ops.extend((1..).zip(USERS).map(peer));
    ops.push(group("club", "ann"));
    ops.push(Op::AddMember { name: "club", user: "bea" });
    ops
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => on_users(),
        2 => on_sessions(),
        3 => on_peers(),
        8 => on_catalog(),
        3 => on_groups(),
        2 => on_invites(),
    ]
}

fn on_users() -> impl Strategy<Value = Op> {
    let insert = (user(), verifier(), any::<bool>(), any::<bool>(), time(), any::<bool>());
    prop_oneof![
        4 => insert.prop_map(
            |(name, verifier, operator, disabled, created_at, only_if_first)| Op::InsertUser {
                name,
                verifier,
                operator,
                disabled,
                created_at,
                only_if_first,
            }
        ),
        2 => (user(), verifier(), option::of(verifier()), option::of(option::of(code()))).prop_map(
            |(name, verifier, expected, kept)| Op::SetVerifier { name, verifier, expected, kept }
        ),
        2 => (user(), any::<bool>())
            .prop_map(|(name, disabled)| Op::SetDisabled { name, disabled }),
        1 => (user(), any::<bool>())
            .prop_map(|(name, operator)| Op::SetOperator { name, operator }),
        1 => user().prop_map(|name| Op::DeleteUser { name }),
    ]
}

fn on_sessions() -> impl Strategy<Value = Op> {
    let open = (code(), user(), time(), time(), verifier(), 0..4_u32);
    prop_oneof![
        6 => open.prop_map(|(token, user, created_at, expires_at, verifier, keep)| {
            Op::OpenSession { token, user, created_at, expires_at, verifier, keep }
        }),
        2 => (code(), time())
            .prop_map(|(token, expires_at)| Op::ExtendSession { token, expires_at }),
        1 => code().prop_map(|token| Op::EndSession { token }),
        1 => (user(), option::of(code()))
            .prop_map(|(user, except)| Op::EndSessions { user, except }),
        1 => time().prop_map(|now| Op::PurgeSessions { now }),
    ]
}

fn on_peers() -> impl Strategy<Value = Op> {
    let announce = (peer(), user(), 0..3_u8, time(), option::weighted(0.8, time()));
    prop_oneof![
        8 => announce.prop_map(|(peer, owner, addresses, announced_at, last_seen)| {
            Op::Announce { peer, owner, addresses, announced_at, last_seen }
        }),
        3 => vec((peer(), time()), 0..4).prop_map(|seen| Op::TouchPeers { seen }),
        2 => peer().prop_map(|peer| Op::PeerLeaves { peer }),
        1 => peer().prop_map(|peer| Op::DeletePeer { peer }),
        1 => (time(), 0..3_u32).prop_map(|(before, limit)| Op::PurgePeers { before, limit }),
    ]
}

fn on_catalog() -> impl Strategy<Value = Op> {
    let published = (path(), content(), 9..12_u64, select(&VISIBILITIES[..]));
    let change = prop_oneof![
        4 => published.prop_map(|(path, content, size, visibility)| {
            Change::Publish { path, content, size, visibility }
        }),
        1 => path().prop_map(Change::Withdraw),
    ];
    let publish = (owned(), vec(change, 0..6), time());
    prop_oneof![
        8 => publish.prop_map(|((peer, owner), changes, now)| {
            Op::Publish { owner, peer, changes, now }
        }),
        2 => (owned(), content(), time(), subsequence(&GROUPS[..], 0..=GROUPS.len())).prop_map(
            |((peer, owner), content, until, groups)| {
                Op::AddPartialSource { owner, peer, content, until, groups }
            }
        ),
        1 => (owned(), content()).prop_map(|((peer, owner), content)| {
            Op::RemovePartialSource { owner, peer, content }
        }),
    ]
}

fn on_groups() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (group(), user(), time())
            .prop_map(|(name, owner, created_at)| Op::InsertGroup { name, owner, created_at }),
        4 => (group(), user()).prop_map(|(name, user)| Op::AddMember { name, user }),
        2 => (group(), user()).prop_map(|(name, user)| Op::RemoveMember { name, user }),
        1 => (group(), user()).prop_map(|(name, owner)| Op::SetGroupOwner { name, owner }),
        1 => group().prop_map(|name| Op::DeleteGroup { name }),
    ]
}

fn on_invites() -> impl Strategy<Value = Op> {
    let insert = (code(), user(), option::of(group()), 0..3_u32, time(), time());
    prop_oneof![
        4 => insert.prop_map(|(hash, created_by, group, uses_left, created_at, expires_at)| {
            Op::InsertInvite { hash, created_by, group, uses_left, created_at, expires_at }
        }),
        4 => (code(), user(), time())
            .prop_map(|(hash, name, now)| Op::RedeemInvite { hash, name, now }),
        1 => code().prop_map(|hash| Op::DeleteInvite { hash }),
        1 => time().prop_map(|now| Op::PurgeInvites { now }),
    ]
}

/// A peer and a user: mostly those who belong together after the start.
fn owned() -> impl Strategy<Value = (u8, &'static str)> {
    let pairs: Vec<_> = (1..).zip(USERS).collect();
    prop_oneof![4 => select(pairs), 1 => (peer(), user())]
}

fn user() -> impl Strategy<Value = &'static str> {
    select(&USERS[..])
}

fn group() -> impl Strategy<Value = &'static str> {
    select(&GROUPS[..])
}

fn path() -> impl Strategy<Value = &'static str> {
    select(&PATHS[..])
}

fn peer() -> impl Strategy<Value = u8> {
    1..=PEERS
}

fn content() -> impl Strategy<Value = u8> {
    1..=CONTENTS
}

fn code() -> impl Strategy<Value = u8> {
    1..=CODES
}

fn verifier() -> impl Strategy<Value = u8> {
    1..=2_u8
}

fn time() -> impl Strategy<Value = i64> {
    0..END
}
