//! Sources that are away, lie or stall, and files in the way.

use std::{num::NonZeroUsize, time::Duration};

use p2pshare_core::testing::{Fault, sample};
use p2pshare_peer::download::Cause;
use p2pshare_peer::downloads::{
    DownloadState, DownloadView, FileFilter, FileState, ManagerOptions, NewDownload,
};

use crate::support::{
    MIB, Peer, Seeder, files_below, parts_below, start_index, wait_for, wait_for_state,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_source_it_waits_and_goes_on_when_one_comes() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let films: Vec<_> = (0..4).map(|n| (format!("Films/{n}"), sample(n * MIB + 10, n))).collect();
    seeder.share_all(&films).await;
    seeder.go().await;
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/Films").await;
    let waits = wait_for(&manager, id, |view| view.error.is_some()).await;
    assert_eq!((waits.state, waits.sources, waits.files), (DownloadState::Running, 0, 4));
    assert!(waits.error.unwrap().contains("no source"));
    // It takes nobody's turn while it waits.
    let other = Seeder::start("dora", &index).await;
    other.share("now", &sample(100, 9)).await;
    manager.set_limits(None, NonZeroUsize::MIN);
    let now = bob.add(&manager, "got", "dora:/now").await;
    wait_for_state(&manager, now, DownloadState::Done).await;
    // Over an end of the process as well.
    drop(manager);
    let manager = bob.open().await;
    assert_eq!(manager.view(id).await.unwrap().state, DownloadState::Running);
    seeder.come().await;
    let done = wait_for_state(&manager, id, DownloadState::Done).await;
    assert_eq!((done.files_done, done.error), (4, None));
    assert_eq!(files_below(&bob.folder("got")).len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_tried_at_once_when_it_is_said_that_it_may_be_over() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    seeder.share("film", &sample(MIB + 10, 1)).await;
    seeder.go().await;
    let bob = Peer::start("bob", &index).await;
    let hour = Duration::from_secs(3600);
    let options = ManagerOptions { first_retry: hour, longest_retry: hour, ..bob.options() };
    let manager = bob.open_with(options).await;
    let id = bob.add(&manager, "got", "alice:/film").await;
    wait_for(&manager, id, |view| view.error.is_some()).await;
    seeder.come().await;
    manager.try_again();
    wait_for_state(&manager, id, DownloadState::Done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_small_files_come_it_waits_for_no_source_any_more() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let sizes = std::iter::once(10).chain(std::iter::repeat_n(MIB, 10));
    let files: Vec<_> =
        (0..).zip(sizes).map(|(n, size)| (format!("Box/{n}"), sample(size, n))).collect();
    seeder.share_all(&files).await;
    seeder.go().await;
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/Box").await;
    wait_for(&manager, id, |view| view.error.is_some()).await;
    // The first comes long before the others.
    seeder.limit(1);
    seeder.come().await;
    let comes = |view: &DownloadView| view.files_done > 0 && view.error.is_none();
    let coming = wait_for(&manager, id, comes).await;
    assert_eq!((coming.state, coming.cause), (DownloadState::Running, None));
    seeder.rate.set(None);
    wait_for_state(&manager, id, DownloadState::Done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_in_vain_takes_turns_with_what_was_never_tried() {
    let index = start_index().await;
    let (away, there) = (Seeder::start("alice", &index).await, Seeder::start("dora", &index).await);
    away.share_all(&[("a".into(), sample(10, 1)), ("b".into(), sample(10, 2))]).await;
    away.go().await;
    there.share("now", &sample(100, 9)).await;
    let bob = Peer::start("bob", &index).await;
    // It is always due.
    let options = ManagerOptions {
        at_once: NonZeroUsize::MIN,
        first_retry: Duration::ZERO,
        longest_retry: Duration::ZERO,
        ..bob.options()
    };
    let manager = bob.open_with(options).await;
    for what in ["alice:/a", "alice:/b"] {
        let id = bob.add(&manager, "got", what).await;
        wait_for(&manager, id, |view| view.error.is_some()).await;
    }
    let now = bob.add(&manager, "got", "dora:/now").await;
    wait_for_state(&manager, now, DownloadState::Done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_makes_it_fail_with_the_reason_and_it_can_be_retried() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let (good, bad) = (sample(10, 1), sample(3 * MIB, 2));
    seeder.share("Box/good", &good).await;
    seeder.share("Box/bad", &bad).await;
    // Beyond the end of the small one.
    seeder.faults.set([Fault::CorruptByte(2 * MIB + 5)]);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/Box").await;
    let failed = wait_for_state(&manager, id, DownloadState::Failed).await;
    assert_eq!((failed.files_done, failed.files_failed), (1, 1));
    let files = manager.files(id, FileFilter::All, None, 10).await.unwrap().items;
    let file = files.iter().find(|file| file.name == "Box/bad").unwrap();
    assert_eq!(file.state, FileState::Failed);
    assert!(file.error.as_ref().unwrap().contains("wrong bytes"), "{file:?}");
    let why = failed.error.unwrap();
    assert!(
        why.contains("1 of 2") && why.contains("Box/bad: ") && why.contains("wrong bytes"),
        "{why}"
    );
    assert_eq!((failed.cause, file.cause), (Some(Cause::Verification), Some(Cause::Verification)));
    let only = manager.files(id, FileFilter::Failed, None, 10).await.unwrap().items;
    assert_eq!(only, std::slice::from_ref(file));
    assert!(!bob.folder("got/Box/bad").exists(), "nothing wrong has a name");

    seeder.faults.set([]);
    manager.retry(id).await.unwrap();
    let done = wait_for_state(&manager, id, DownloadState::Done).await;
    assert_eq!((done.files_failed, done.files_done), (0, 2));
    assert_eq!(files_below(&bob.folder("got"))["Box/bad"], bad[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_one_that_stalls_another_is_enough() {
    let index = start_index().await;
    let (stalls, good) =
        (Seeder::start("alice", &index).await, Seeder::start("dora", &index).await);
    let data = sample(12 * MIB, 1);
    for seeder in [&stalls, &good] {
        seeder.share("film", &data).await;
    }
    stalls.faults.set([Fault::Stall(100_000)]);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "dora:/film").await;
    wait_for_state(&manager, id, DownloadState::Done).await;
    assert_eq!(files_below(&bob.folder("got"))["film"], data[..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_shares_any_more_fails_and_what_is_in_the_way_stays() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let data = sample(4 * MIB, 1);
    let content = seeder.share("film", &data).await;
    seeder.go().await;
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/film").await;
    wait_for(&manager, id, |view| view.error.is_some()).await;
    seeder.withdraw("film").await;
    let failed = wait_for_state(&manager, id, DownloadState::Failed).await;
    assert!(failed.error.unwrap().contains(&content.to_string()));

    seeder.come().await;
    seeder.share("film", &data).await;
    std::fs::create_dir_all(bob.folder("got")).unwrap();
    std::fs::write(bob.folder("got/film"), "mine").unwrap();
    manager.retry(id).await.unwrap();
    let failed = wait_for_state(&manager, id, DownloadState::Failed).await;
    assert!(failed.error.unwrap().contains("exists already"));
    assert_eq!(std::fs::read(bob.folder("got/film")).unwrap(), b"mine");
    // What is given up after it failed is cleared away as well.
    manager.cancel(id).await.unwrap();
    assert!(parts_below(&bob.folder("got")).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_gone_is_waited_for_and_made_again_only_when_asked_for() {
    let index = start_index().await;
    let (there, away) = (Seeder::start("alice", &index).await, Seeder::start("dora", &index).await);
    there.share("a", &sample(10, 1)).await;
    away.share("b", &sample(20, 2)).await;
    away.go().await;
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let is_missed =
        |view: &DownloadView| view.error.as_ref().is_some_and(|why| why.contains("is not there"));
    let mut ids = Vec::new();
    for folder in ["back", "again"] {
        let targets = vec!["alice:/a".parse().unwrap(), "dora:/b".parse().unwrap()];
        let new = NewDownload { targets, ..bob.new_download(folder, "alice:/a") };
        let id = manager.add(new).await.unwrap().id;
        wait_for(&manager, id, |view| view.files_done == 1 && view.error.is_some()).await;
        // As if its disk was away.
        std::fs::rename(bob.folder(folder), bob.folder("away").with_extension(folder)).unwrap();
        let missed = wait_for(&manager, id, is_missed).await;
        assert_eq!((missed.state, missed.cause), (DownloadState::Running, Some(Cause::Place)));
        ids.push(id);
    }
    // Who asks for the same again may not know that.
    let targets = vec!["alice:/a".parse().unwrap(), "dora:/b".parse().unwrap()];
    let same = NewDownload { targets, ..bob.new_download("again", "alice:/a") };
    assert_eq!(manager.add(same).await.unwrap().id, ids[1]);
    wait_for(&manager, ids[1], is_missed).await;
    assert!(!bob.folder("again").exists());
    away.come().await;
    manager.resume(ids[1]).await.unwrap();
    wait_for_state(&manager, ids[1], DownloadState::Done).await;
    assert_eq!(files_below(&bob.folder("again")).into_keys().collect::<Vec<_>>(), ["b"]);
    assert!(!bob.folder("back").exists());
    std::fs::rename(bob.folder("away.back"), bob.folder("back")).unwrap();
    wait_for_state(&manager, ids[0], DownloadState::Done).await;
    assert_eq!(files_below(&bob.folder("back")).len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_written_nowhere_is_not_fetched() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    seeder.share_all(&[("Box/a".into(), sample(10, 1)), ("b".into(), sample(10, 2))]).await;
    // What is fetched is wrong, and fails for that.
    seeder.faults.set([Fault::CorruptByte(0)]);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    std::fs::create_dir(bob.folder("got")).unwrap();
    std::fs::write(bob.folder("got/Box"), "mine").unwrap();
    for (what, cause) in [("alice:/Box", Cause::Place), ("alice:/b", Cause::Verification)] {
        let id = bob.add(&manager, "got", what).await;
        let failed = wait_for_state(&manager, id, DownloadState::Failed).await;
        assert_eq!(failed.cause, Some(cause), "{failed:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_takes_nothing_ends_the_download_before_all_is_fetched_for_it() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let files: Vec<_> = (0..500).map(|n| (format!("Box/{n}"), sample(10, n))).collect();
    seeder.share_all(&files).await;
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    // Of this one it is only known when it is made.
    let new = NewDownload { folder: "/proc/none".into(), ..bob.new_download("got", "alice:/Box") };
    let id = manager.add(new).await.unwrap().id;
    let failed = wait_for_state(&manager, id, DownloadState::Failed).await;
    assert_eq!((failed.files_done, failed.cause), (0, Some(Cause::Place)));
    assert!((64..500).contains(&failed.files_failed), "{failed:?}");
    assert!(failed.error.unwrap().contains("making the folder /proc/none failed"));
}
