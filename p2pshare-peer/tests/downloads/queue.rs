//! The queue: what people do with it, and what outlives the process.

use std::num::NonZeroUsize;

use bytes::Bytes;
use futures::FutureExt;
use p2pshare_core::{content::ContentId, testing::sample};
use p2pshare_peer::{
    download::Cause,
    downloads::{
        Added, DownloadFilter, DownloadState, DownloadView, DownloadsError, FileFilter, FileState,
        NewDownload,
    },
};

use crate::support::{
    MIB, Peer, Seeder, files_below, parts_below, start_index, wait_for, wait_for_state,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_many_files_comes_whole() {
    const SMALL: usize = 1500;

    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let mut files: Vec<_> = (0..SMALL)
        .map(|n| (format!("Things/{}/{n}.txt", n % 7), sample((n % 900) as u64, n as u64)))
        .collect();
    files.push(("Things/film.mkv".to_owned(), sample(5 * MIB + 77, 1_000_001)));
    files.push(("Things/song.ogg".to_owned(), sample(3 * MIB, 1_000_002)));
    seeder.share_all(&files).await;
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let mut changes = manager.changes();

    let id = bob.add(&manager, "got", "alice:/Things").await;
    let done = wait_for_state(&manager, id, DownloadState::Done).await;
    let bytes: u64 = files.iter().map(|(_, data)| data.len() as u64).sum();
    assert_eq!((done.files, done.files_done, done.files_failed), (SMALL as u64 + 2, done.files, 0));
    assert_eq!((done.bytes, done.bytes_done, done.title.as_str()), (bytes, bytes, "Things"));
    assert!(done.finished_at.is_some() && done.error.is_none());
    assert!(changes.next().await.unwrap().changed.contains(&id));
    let got = files_below(&bob.folder("got"));
    assert_eq!(got.len(), files.len());
    assert!(files.iter().all(|(name, data)| got[name] == data[..]));

    // Page by page, each once and in order.
    let (mut after, mut seen) = (None, 0);
    loop {
        let page = manager.files(id, FileFilter::All, after, 400).await.unwrap();
        for file in &page.items {
            seen += 1;
            assert_eq!((file.number, file.state), (seen, FileState::Done));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, done.files);
    assert_eq!(manager.totals().await.unwrap().done, 1);
    let map = manager.piece_map(id, 1, 10).await.unwrap();
    assert!(map.cells.iter().all(|cell| *cell == 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paused_goes_on_where_it_was() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let data = sample(16 * MIB, 1);
    seeder.share("film.mkv", &data).await;
    seeder.limit(2);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/film.mkv").await;
    let running = wait_for(&manager, id, |view| view.bytes_done >= 3 * MIB && view.rate > 0).await;
    assert_eq!((running.state, running.sources), (DownloadState::Running, 1));
    assert!(running.eta_seconds.is_some_and(|eta| (1..60).contains(&eta)), "{running:?}");
    let map = manager.piece_map(id, 1, 16).await.unwrap();
    assert_eq!((map.pieces, map.cells.len(), map.sources.len()), (16, 16, 1));
    assert!(map.sources[0].bytes >= 3 * MIB && map.sources[0].source.starts_with("alice"));

    let paused = manager.pause(id).await.unwrap();
    assert_eq!((paused.state, paused.rate, paused.sources), (DownloadState::Paused, 0, 0));
    assert!(paused.bytes_done >= 3 * MIB, "{paused:?}");
    assert_eq!(parts_below(&bob.folder("got")).len(), 2, "the part and its manifest");
    let kept = manager.piece_map(id, 1, 16).await.unwrap();
    assert!(kept.cells.iter().filter(|cell| **cell == 100).count() >= 3, "{kept:?}");
    assert_eq!(manager.pause(id).await.unwrap().state, DownloadState::Paused, "again is nothing");

    seeder.rate.set(None);
    manager.resume(id).await.unwrap();
    let done = wait_for_state(&manager, id, DownloadState::Done).await;
    assert_eq!(done.bytes_done, data.len() as u64);
    assert_eq!(files_below(&bob.folder("got"))["film.mkv"], data[..]);
    assert!(parts_below(&bob.folder("got")).is_empty());
    for refused in [manager.pause(id).await, manager.cancel(id).await, manager.retry(id).await] {
        assert!(matches!(refused, Err(DownloadsError::State { .. })), "{refused:?}");
    }
    manager.forget(id).await.unwrap();
    assert!(matches!(manager.view(id).await, Err(DownloadsError::NotFound(_))));
    assert!(bob.folder("got/film.mkv").exists(), "files stay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_cancelled_leaves_only_what_is_complete() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let small = sample(1000, 2);
    seeder.share_all(&[("Box/a.txt".into(), small.clone())]).await;
    seeder.share("Box/film.mkv", &sample(16 * MIB, 1)).await;
    seeder.limit(2);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/Box").await;
    wait_for(&manager, id, |view| view.bytes_done > 2 * MIB && view.files_done == 1).await;
    assert!(matches!(manager.forget(id).await, Err(DownloadsError::State { .. })));

    let cancelled = manager.cancel(id).await.unwrap();
    assert_eq!(cancelled.state, DownloadState::Cancelled);
    assert_eq!(cancelled.bytes_done, small.len() as u64);
    let left = files_below(&bob.folder("got"));
    assert_eq!(left.len(), 1);
    assert_eq!(left["Box/a.txt"], small[..]);

    // It can be begun again all the same.
    seeder.rate.set(None);
    manager.retry(id).await.unwrap();
    let done = wait_for_state(&manager, id, DownloadState::Done).await;
    assert_eq!(done.files_done, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_is_done_though_nobody_waits_for_it() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    seeder.share("film.mkv", &sample(48 * MIB, 1)).await;
    seeder.limit(2);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/film.mkv").await;
    let comes = |view: &DownloadView| view.state == DownloadState::Running && view.sources > 0;
    let rests = |view: &DownloadView| view.state == DownloadState::Paused && view.sources == 0;
    wait_for(&manager, id, |view| comes(view) && view.bytes_done > MIB).await;

    // Each is polled once, and dropped.
    drop(manager.pause(id).now_or_never());
    wait_for(&manager, id, rests).await;
    drop(manager.resume(id).now_or_never());
    wait_for(&manager, id, comes).await;
    drop(manager.pause_all().now_or_never());
    wait_for(&manager, id, rests).await;
    drop(manager.resume_all().now_or_never());
    wait_for(&manager, id, comes).await;
    drop(manager.cancel(id).now_or_never());
    wait_for(&manager, id, |view| view.finished_at.is_some()).await;
    assert_eq!(manager.view(id).await.unwrap().state, DownloadState::Cancelled);
    assert!(files_below(&bob.folder("got")).is_empty());

    seeder.rate.set(None);
    drop(manager.retry(id).now_or_never());
    wait_for_state(&manager, id, DownloadState::Done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_another_download_goes_on_with_stays() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let data = sample(24 * MIB, 1);
    let content = seeder.share("film.mkv", &data).await;
    seeder.limit(2);
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let first = bob.add(&manager, "got", "alice:/film.mkv").await;
    wait_for(&manager, first, |view| view.bytes_done > 2 * MIB).await;
    manager.pause(first).await.unwrap();
    // Named otherwise it is another download, of the same file.
    let second = bob.add(&manager, "got", &content.to_string()).await;
    wait_for(&manager, second, |view| view.bytes_done > 3 * MIB).await;
    manager.cancel(second).await.unwrap();
    assert_eq!(parts_below(&bob.folder("got")).len(), 2);
    manager.cancel(first).await.unwrap();
    assert!(files_below(&bob.folder("got")).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_twice_is_one_download() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    seeder.share("film.mkv", &sample(MIB, 1)).await;
    let (bob, carol) = (Peer::start("bob", &index).await, Peer::start("carol", &index).await);
    let manager = bob.open().await;
    seeder.go().await;
    let new = || bob.new_download("got", "alice:/film.mkv");
    let first = manager.add(new()).await.unwrap();
    assert!(!first.joined);
    wait_for(&manager, first.id, |view| view.cause == Some(Cause::NoSource)).await;
    let same = manager.add(new()).await.unwrap();
    assert_eq!(same, Added { id: first.id, joined: true });
    // Somebody who wants it is told anew whether it waits.
    wait_for(&manager, first.id, |view| view.cause == Some(Cause::NoSource)).await;

    // Another folder, other targets, other files in the way, another user: another download.
    let other = bob.new_download("elsewhere", "alice:/film.mkv");
    let others =
        [other, NewDownload { overwrite: true, ..new() }, bob.new_download("got", "alice:/")];
    for other in others {
        assert!(!manager.add(other).await.unwrap().joined);
    }
    manager.connect(Some(carol.connection())).await.unwrap();
    let of_carol = manager.add(new()).await.unwrap();
    assert!(!of_carol.joined);
    manager.cancel(of_carol.id).await.unwrap();
    manager.connect(Some(bob.connection())).await.unwrap();

    // One that was paused goes on, one that is settled does not.
    manager.pause(first.id).await.unwrap();
    assert_eq!(manager.add(new()).await.unwrap(), same);
    assert_ne!(manager.view(first.id).await.unwrap().state, DownloadState::Paused);
    manager.cancel(first.id).await.unwrap();
    let again = manager.add(new()).await.unwrap();
    assert!(!again.joined);
    seeder.come().await;
    assert_eq!(manager.add(new()).await.unwrap(), Added { id: again.id, joined: true });
    wait_for_state(&manager, again.id, DownloadState::Done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_at_once_and_the_others_wait_for_their_turn() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    for name in ["a", "b", "c"] {
        let seed = u64::from(name.as_bytes()[0]);
        seeder.share(name, &sample(24 * MIB, seed)).await;
    }
    seeder.limit(2);
    let bob = Peer::start("bob", &index).await;
    let mut options = bob.options();
    options.at_once = NonZeroUsize::MIN;
    let manager = bob.open_with(options).await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(bob.add(&manager, "got", &format!("alice:/{name}")).await);
    }
    wait_for(&manager, ids[0], |view| view.bytes_done > 0).await;
    let totals = manager.totals().await.unwrap();
    assert_eq!((totals.active, totals.queued), (1, 2), "{totals:?}");
    let active = manager.list(DownloadFilter::Active, None, 2).await.unwrap();
    assert_eq!(active.items.iter().map(|view| view.id).collect::<Vec<_>>(), [ids[2], ids[1]]);
    let rest = manager.list(DownloadFilter::Active, active.next, 2).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));

    manager.set_limits(None, NonZeroUsize::new(2).unwrap());
    wait_for_state(&manager, ids[1], DownloadState::Running).await;
    assert_eq!(manager.view(ids[2]).await.unwrap().state, DownloadState::Queued);
    assert_eq!(manager.pause_all().await.unwrap(), 3);
    assert_eq!(manager.totals().await.unwrap().paused, 3);
    seeder.rate.set(None);
    assert_eq!(manager.resume_all().await.unwrap(), 3);
    for id in ids {
        wait_for_state(&manager, id, DownloadState::Done).await;
    }
    assert_eq!(files_below(&bob.folder("got")).len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_that_ends_without_goodbye_goes_on_by_itself() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    let films: Vec<_> = (0..3).map(|n| (format!("Films/{n}"), sample(5 * MIB, n))).collect();
    seeder.share_all(&films).await;
    seeder.limit(4);
    let bob = Peer::start("bob", &index).await;
    let mut manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/Films").await;
    let paused = bob.add(&manager, "other", "alice:/Films/0").await;
    manager.pause(paused).await.unwrap();
    for step in 1..4 {
        wait_for(&manager, id, |view| view.bytes_done >= step * 3 * MIB).await;
        // Nothing is told to stop, and the next one finds what the last one left on the disk.
        drop(manager);
        manager = bob.open().await;
    }
    seeder.rate.set(None);
    wait_for_state(&manager, id, DownloadState::Done).await;
    let got = files_below(&bob.folder("got"));
    assert!(films.iter().all(|(name, data)| got[name] == data[..]) && got.len() == 3);
    assert_eq!(manager.view(paused).await.unwrap().state, DownloadState::Paused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn downloads_belong_to_who_added_them() {
    let index = start_index().await;
    let seeder = Seeder::start("alice", &index).await;
    seeder.share("film", &sample(8 * MIB, 1)).await;
    seeder.limit(2);
    let (bob, carol) = (Peer::start("bob", &index).await, Peer::start("carol", &index).await);
    let manager = bob.open().await;
    let id = bob.add(&manager, "got", "alice:/film").await;
    wait_for(&manager, id, |view| view.bytes_done > 0).await;

    manager.connect(None).await.unwrap();
    assert!(manager.list(DownloadFilter::All, None, 10).await.unwrap().items.is_empty());
    let added = manager.add(bob.new_download("got", "alice:/film")).await;
    assert!(matches!(added, Err(DownloadsError::LoggedOut)));
    manager.connect(Some(carol.connection())).await.unwrap();
    assert!(manager.list(DownloadFilter::All, None, 10).await.unwrap().items.is_empty());
    assert!(matches!(manager.view(id).await, Err(DownloadsError::NotFound(_))));
    assert!(matches!(manager.cancel(id).await, Err(DownloadsError::NotFound(_))));
    assert_eq!(manager.totals().await.unwrap().active, 0);

    seeder.rate.set(None);
    manager.connect(Some(bob.connection())).await.unwrap();
    wait_for_state(&manager, id, DownloadState::Done).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_refused() {
    let index = start_index().await;
    let bob = Peer::start("bob", &index).await;
    let manager = bob.open().await;
    let refused = async |new| {
        let refused = manager.add(new).await;
        assert!(matches!(refused, Err(DownloadsError::Invalid(_))), "{refused:?}");
    };
    refused(NewDownload { targets: Vec::new(), ..bob.new_download("x", "alice:/") }).await;
    refused(NewDownload { folder: "here".into(), ..bob.new_download("x", "alice:/") }).await;
    let many = vec!["alice:/".parse().unwrap(); 1001];
    refused(NewDownload { targets: many, ..bob.new_download("x", "alice:/") }).await;

    // Contents of one name, and one that is named twice.
    let seeder = Seeder::start("alice", &index).await;
    let (one, other): (Bytes, Bytes) = (sample(100, 1), sample(100, 2));
    seeder.share("a/x.txt", &one).await;
    seeder.share("b/x.txt", &other).await;
    let targets = ["alice:/a/x.txt", "alice:/b/x.txt", "alice:/a/x.txt"];
    let targets = targets.iter().map(|target| target.parse().unwrap()).collect();
    let new = NewDownload { targets, ..bob.new_download("got", "alice:/") };
    let id = manager.add(new).await.unwrap().id;
    let done = wait_for_state(&manager, id, DownloadState::Done).await;
    assert_eq!((done.files, done.title.as_str()), (2, "x.txt and 2 more"));
    let got = files_below(&bob.folder("got"));
    assert_eq!((&got["x.txt"][..], &got["x (2).txt"][..]), (&one[..], &other[..]));
    let nothing = bob.add(&manager, "got", &ContentId::of(b"nothing").to_string()).await;
    let failed = wait_for_state(&manager, nothing, DownloadState::Failed).await;
    assert!(failed.error.unwrap().contains("does not exist"));
}
