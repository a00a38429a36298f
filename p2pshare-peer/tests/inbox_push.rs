//! Pushing into an inbox.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::FutureExt;
use p2pshare_core::{
    content::{Layout, Manifest, PieceIndex, hash_bytes},
    path::SharePath,
    transfer::{PushOffer, PushReceiver, PushTarget, TransferError},
};
use p2pshare_peer::inbox::{Inbox, InboxOptions, Received};
use tempfile::TempDir;

struct Setting {
    _folder: TempDir,
    root: PathBuf,
    inbox: Inbox,
}

fn setting() -> Setting {
    setting_with(InboxOptions { reserve_bytes: 0, ..InboxOptions::default() })
}

fn setting_with(options: InboxOptions) -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap().join("inbox");
    let inbox = Inbox::open(&root, options).unwrap();
    Setting { _folder: folder, root, inbox }
}

fn offer(from: &str, name: &str, content: &[u8]) -> PushOffer {
    PushOffer {
        from: from.parse().unwrap(),
        name: SharePath::parse(name).unwrap(),
        manifest: hash_bytes(content),
    }
}

fn piece(layout: Layout, content: &[u8], piece: u32) -> Vec<Bytes> {
    let start = usize::try_from(layout.piece_offset(PieceIndex(piece))).unwrap();
    let end = start + layout.piece_len(PieceIndex(piece));
    vec![Bytes::copy_from_slice(&content[start..end])]
}

async fn send(target: &PushTarget, content: &[u8]) {
    let layout = target.sink.manifest().layout();
    let missing: Vec<_> = target.sink.held().missing().collect();
    for index in missing {
        target.sink.put(index, piece(layout, content, index.0)).await.unwrap();
    }
    target.sink.finish().await.unwrap();
}

async fn push(inbox: &Inbox, from: &str, name: &str, content: &[u8]) -> String {
    let target = inbox.accept(&offer(from, name, content)).await.unwrap();
    send(&target, content).await;
    target.name.to_string()
}

fn refused(result: Result<PushTarget, TransferError>) -> String {
    match result.map(|target| target.name) {
        Err(error @ TransferError::Refused(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn files(root: &Path) -> Vec<String> {
    let mut names: Vec<_> = ignore::WalkBuilder::new(root)
        .standard_filters(false)
        .build()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .map(|entry| entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn contents_come_into_the_senders_folder() {
    let received = Arc::new(Mutex::new(Vec::<Received>::new()));
    let told = received.clone();
    let setting = setting_with(InboxOptions {
        reserve_bytes: 0,
        on_received: Some(Arc::new(move |one| told.lock().unwrap().push(one))),
        ..InboxOptions::default()
    });
    let large = vec![5; (3 << 20) + 1];
    push(&setting.inbox, "alice", "a 🎉.txt", b"hello").await;
    push(&setting.inbox, "alice", "deep/er/large", &large).await;
    push(&setting.inbox, "bob", "a 🎉.txt", b"other").await;
    push(&setting.inbox, "bob", "empty", b"").await;
    assert_eq!(
        files(&setting.root),
        ["alice/a 🎉.txt", "alice/deep/er/large", "bob/a 🎉.txt", "bob/empty"]
    );
    assert_eq!(fs::read(setting.root.join("alice/deep/er/large")).unwrap(), large);
    let received = received.lock().unwrap();
    assert_eq!(received.len(), 4);
    assert_eq!(received[1].path, setting.root.join("alice/deep/er/large"));
    assert_eq!((received[0].from.as_str(), received[0].bytes), ("alice", 5));
}

/// Its sender goes away in the moment in which the file gets its name.
#[tokio::test]
async fn what_came_is_told_once_though_nobody_waits_for_its_end() {
    let (told, mut received) = tokio::sync::mpsc::unbounded_channel();
    let setting = setting_with(InboxOptions {
        reserve_bytes: 0,
        on_received: Some(Arc::new(move |one: Received| told.send(one).unwrap())),
        ..InboxOptions::default()
    });
    let offer = offer("alice", "a.txt", b"hello");
    let target = setting.inbox.accept(&offer).await.unwrap();
    let layout = target.sink.manifest().layout();
    target.sink.put(PieceIndex(0), piece(layout, b"hello", 0)).await.unwrap();
    assert!(target.sink.finish().now_or_never().is_none());
    drop(target);
    let told = tokio::time::timeout(Duration::from_secs(60), received.recv()).await;
    let name = told.expect("its receiver is told").unwrap().name;
    assert_eq!(name.as_str(), "a.txt");
    let again = setting.inbox.accept(&offer).await.unwrap();
    assert!(again.sink.held().is_full());
    again.sink.finish().await.unwrap();
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn nothing_is_overwritten_and_what_is_there_is_not_wanted_again() {
    let setting = setting();
    let two = vec![2; 2 << 20];
    assert_eq!(push(&setting.inbox, "alice", "a.txt", b"one").await, "a.txt");
    assert_eq!(push(&setting.inbox, "alice", "a.txt", &two).await, "a (2).txt");
    for content in [&b"one"[..], &two] {
        let target = setting.inbox.accept(&offer("alice", "a.txt", content)).await.unwrap();
        assert!(target.sink.held().is_full());
        target.sink.finish().await.unwrap();
    }
    assert_eq!(files(&setting.root), ["alice/a (2).txt", "alice/a.txt"]);
    assert_eq!(fs::read(setting.root.join("alice/a.txt")).unwrap(), b"one");
}

#[tokio::test]
async fn an_interrupted_push_goes_on_where_it_was() {
    let setting = setting();
    let content: Vec<u8> = (0..(4 << 20) + 7).map(|n: u32| n.to_le_bytes()[1]).collect();
    let offer = offer("alice", "film", &content);
    let target = setting.inbox.accept(&offer).await.unwrap();
    let layout = target.sink.manifest().layout();
    for index in [0, 3] {
        target.sink.put(PieceIndex(index), piece(layout, &content, index)).await.unwrap();
    }
    assert!(!setting.root.join("alice/film").exists());
    drop(target);
    // As after a restart.
    let again = Inbox::open(&setting.root, InboxOptions::default()).unwrap();
    let target = again.accept(&offer).await.unwrap();
    assert_eq!(target.sink.held().iter().map(|piece| piece.0).collect::<Vec<_>>(), [0, 3]);
    send(&target, &content).await;
    assert_eq!(fs::read(setting.root.join("alice/film")).unwrap(), content);
    assert_eq!(files(&setting.root), ["alice/film"]);
}

#[tokio::test]
async fn pushes_at_once_share_or_keep_apart() {
    let setting = setting();
    let (one, two) = (vec![1; 2 << 20], vec![2; 2 << 20]);
    let first = setting.inbox.accept(&offer("alice", "a", &one)).await.unwrap();
    let same = setting.inbox.accept(&offer("alice", "a", &one)).await.unwrap();
    let other = setting.inbox.accept(&offer("alice", "a", &two)).await.unwrap();
    assert_eq!((same.name.as_str(), other.name.as_str()), ("a", "a (2)"));
    let layout = first.sink.manifest().layout();
    first.sink.put(PieceIndex(0), piece(layout, &one, 0)).await.unwrap();
    assert_eq!(same.sink.held().len(), 1, "two connections fill one file");
    send(&other, &two).await;
    send(&same, &one).await;
    first.sink.finish().await.unwrap();
    assert_eq!(files(&setting.root), ["alice/a", "alice/a (2)"]);
}

#[tokio::test]
async fn limits_are_kept() {
    let setting = setting_with(InboxOptions {
        max_bytes: 10,
        max_pushes: 2,
        reserve_bytes: 0,
        ..InboxOptions::default()
    });
    let said = refused(setting.inbox.accept(&offer("alice", "a", &[0; 11])).await);
    assert!(said.contains("at most 10"), "{said}");
    let running = [
        setting.inbox.accept(&offer("alice", "a", b"1")).await.unwrap(),
        setting.inbox.accept(&offer("alice", "b", b"2")).await.unwrap(),
    ];
    let busy = setting.inbox.accept(&offer("bob", "c", b"3")).await.map(|target| target.name);
    assert!(matches!(busy, Err(TransferError::Unavailable(_))), "{busy:?}");
    drop(running);
    push(&setting.inbox, "bob", "c", b"3").await;

    let full = setting_with(InboxOptions { reserve_bytes: u64::MAX, ..InboxOptions::default() });
    let said = refused(full.inbox.accept(&offer("alice", "a", b"1")).await);
    assert!(said.contains("not enough room"), "{said}");
    assert!(files(&full.root).is_empty(), "what was refused leaves nothing");
}

#[tokio::test]
async fn wrong_bytes_leave_nothing_under_the_name() {
    let setting = setting();
    let content = p2pshare_core::content::ContentId::of(b"whatever");
    let claim = Manifest::single(content, 1 << 20).unwrap();
    let offer = PushOffer { manifest: claim, ..offer("alice", "a", b"") };
    let target = setting.inbox.accept(&offer).await.unwrap();
    let wrong = target.sink.put(PieceIndex(0), vec![vec![0; 1 << 20].into()]).await;
    assert!(wrong.is_err());
    assert!(target.sink.finish().await.is_err());
    assert!(!setting.root.join("alice/a").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn links_in_the_inbox_lead_nowhere() {
    use std::os::unix::fs::symlink;

    let setting = setting();
    let outside = setting.root.with_file_name("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(setting.root.join("bob")).unwrap();
    symlink(&outside, setting.root.join("alice")).unwrap();
    symlink(&outside, setting.root.join("bob/folder")).unwrap();
    symlink(outside.join("target"), setting.root.join("bob/file")).unwrap();
    symlink(&setting.root, setting.root.with_file_name("link")).unwrap();
    refused(setting.inbox.accept(&offer("alice", "a", b"1")).await);
    refused(setting.inbox.accept(&offer("bob", "folder/a", b"1")).await);
    assert_eq!(push(&setting.inbox, "bob", "file", b"1").await, "file (2)");
    assert!(fs::read_dir(&outside).unwrap().next().is_none());

    // The inbox itself may be a link.
    let link = setting.root.with_file_name("link");
    let inbox = Inbox::open(&link, InboxOptions::default()).unwrap();
    push(&inbox, "carol", "a", b"1").await;
    assert!(setting.root.join("carol/a").exists());
}

#[tokio::test]
async fn a_file_in_the_way_of_a_folder_is_refused() {
    let setting = setting();
    push(&setting.inbox, "alice", "a", b"1").await;
    let said = refused(setting.inbox.accept(&offer("alice", "a/b", b"2")).await);
    assert!(!said.contains(setting.root.to_str().unwrap()), "it says where the inbox is: {said}");
    push(&setting.inbox, "alice", "c/d", b"1").await;
    assert_eq!(push(&setting.inbox, "alice", "c", b"2").await, "c (2)");
}

#[test]
fn what_is_no_folder_is_no_inbox() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Inbox::open(&file, InboxOptions::default()).unwrap_err();
    assert!(error.to_string().contains("inbox"), "{error}");
}
