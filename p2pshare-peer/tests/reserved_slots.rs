//! Upload slots for certain users and for the members of groups.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod with_index;

use std::{num::NonZeroU16, time::Duration};

use futures::FutureExt;
use p2pshare_core::{
    api::{AddMember, CreateGroup},
    identity::{GroupName, Username},
    transfer::Turn,
};
use p2pshare_peer::{
    catalog::PartialSources,
    daemon::{SlotUsers, SlotsFor, upload_slots},
    data_dir::DataDir,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use with_index::{join, serve, start_index};

#[tokio::test]
async fn members_of_a_group_get_the_slots_that_are_kept_for_it() {
    let index = start_index().await;
    let (alice, _bob) = (join("alice", &index).await, join("bob", &index).await);
    let lab: GroupName = "lab".parse().unwrap();
    alice.client().create_group(&CreateGroup { name: lab.clone() }).await.unwrap();
    let user = |name: &str| name.parse::<Username>().unwrap();
    alice.client().add_member(&lab, &AddMember { username: user("bob") }).await.unwrap();

    let slots = upload_slots(std::num::NonZeroUsize::MIN);
    let reserved = [
        SlotUsers::User(user("carol")),
        SlotUsers::Group(lab),
        SlotUsers::Group("not-there".parse().unwrap()),
    ];
    let reserved = reserved.map(|whom| SlotsFor { whom, slots: NonZeroU16::MIN });
    let (folder, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let dir = DataDir::open(folder.path()).unwrap();
    serve(&alice, &dir, &PartialSources::new(), &stop, |options| {
        options.upload_slots = slots.clone();
        options.slots_for = reserved.to_vec();
    })
    .await;
    assert_eq!(slots.capacity(), 4);

    let common = slots.acquire(user("eve")).unwrap().granted().await.unwrap();
    let mut dave = slots.acquire(user("dave")).unwrap();
    assert!(matches!(dave.next().await, Ok(Turn::Queued { position: 1 })));
    let _carol = slots.acquire(user("carol")).unwrap().granted().await.unwrap();
    // Who is in the group may not be known yet.
    let bob = slots.acquire(user("bob")).unwrap().granted();
    let _bob = timeout(Duration::from_secs(100), bob).await.unwrap().unwrap();
    assert!(dave.next().now_or_never().is_none(), "he is in no group");
    drop(common);
    assert!(matches!(dave.next().await, Ok(Turn::Granted(_))));
    stop.cancel();
}
