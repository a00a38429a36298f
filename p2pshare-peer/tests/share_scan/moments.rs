//! What is for fewer and comes to lie in the place of a share in the moment in which that is looked at.

use std::{
    fs,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use p2pshare_core::content::ContentId;
use p2pshare_peer::share::{ShareEvent, ShareEvents, ShareOptions, SkipReason};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    share_support::Setting,
    usurped::{as_before, open, rescan, swap, with_closed},
};

/// Shares `Music` once more, with a file `b` in it and in `closed`, and tells what happens.
async fn share_again(
    setting: &Setting,
    closed: &std::path::Path,
    told: impl Fn(&ShareEvent) + Send + Sync + 'static,
) {
    setting.write("b", "more");
    fs::write(closed.join("b"), "wages").unwrap();
    let recorder = setting.events.sink();
    let events: ShareEvents = Arc::new(move |event| {
        told(&event);
        recorder(event);
    });
    let (options, cancel) = (ShareOptions::default(), CancellationToken::new());
    setting.sharer.share(&setting.files, &options, &events, &cancel).await.unwrap();
    let wages = ContentId::of(b"wages");
    assert!(open(setting).await.iter().all(|(_, content)| *content != wages));
}

#[tokio::test]
async fn what_was_found_before_it_came_is_not_hashed_in_its_place() {
    let (setting, closed) = with_closed("closed").await;
    let (files, with, once) = (setting.files.clone(), closed.clone(), Once::new());
    let told = move |event: &ShareEvent| {
        if matches!(event, ShareEvent::Hashing { local, .. } if *local == files.join("b")) {
            once.call_once(|| swap(&files, &with));
        }
    };
    share_again(&setting, &closed, told).await;
    assert_eq!(setting.events.skipped()["b"], SkipReason::Usurped);
    // Nor is what was there before offered any more.
    assert_eq!(open(&setting).await, []);
    rescan(&setting).await;
    assert_eq!(open(&setting).await, []);
}

#[tokio::test]
async fn what_is_there_only_while_it_is_hashed_is_not_taken_for_what_was_found() {
    let (setting, closed) = with_closed("closed").await;
    let (files, with) = (setting.files.clone(), closed.clone());
    let (there, back) = (Once::new(), Once::new());
    let told = move |event: &ShareEvent| match event {
        ShareEvent::Hashing { local, .. } if *local == files.join("b") => {
            there.call_once(|| swap(&files, &with));
        }
        ShareEvent::Hashed { .. } => back.call_once(|| {
            fs::rename(&files, &with).unwrap();
            fs::rename(files.with_file_name("old"), &files).unwrap();
        }),
        _ => {}
    };
    share_again(&setting, &closed, told).await;
    let more = ("Music/b".to_owned(), ContentId::of(b"more"));
    assert_eq!(open(&setting).await, [as_before(), vec![more]].concat());
}

/// As by a program that saves it all the time: each time under another name first.
#[tokio::test]
async fn a_file_that_is_replaced_each_time_that_it_is_hashed_is_left_out() {
    for times in [1, 2] {
        let (setting, closed) = with_closed("closed").await;
        let (b, done) = (setting.files.join("b"), AtomicUsize::new(0));
        let told = move |event: &ShareEvent| {
            if matches!(event, ShareEvent::Hashed { .. }) && done.fetch_add(1, Relaxed) < times {
                fs::write(b.with_file_name(".new"), "new").unwrap();
                fs::rename(b.with_file_name(".new"), &b).unwrap();
            }
        };
        share_again(&setting, &closed, told).await;
        let new = ("Music/b".to_owned(), ContentId::of(b"new"));
        let is_there = open(&setting).await.contains(&new);
        let is_skipped = setting.events.skipped().get("b") == Some(&SkipReason::Changing);
        assert_eq!((is_there, is_skipped), (times == 1, times == 2));
    }
}

/// What is meant is what lay there when it was said, not what came while another process had to be waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_another_process_is_waited_for_is_not_meant() {
    let (setting, closed) = with_closed("closed").await;
    setting.write("b", "more");
    let (at, mut hashing) = mpsc::unbounded_channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    // The first one hashes until the second one waits.
    let first = share(&setting, move |event: &ShareEvent| {
        if matches!(event, ShareEvent::Hashing { .. }) {
            let _ = at.send(());
            tokio::task::block_in_place(|| may_go.lock().unwrap().recv().unwrap());
        }
    });
    hashing.recv().await.unwrap();
    let (files, with, once) = (setting.files.clone(), closed.clone(), Once::new());
    let second = share(&setting, move |event: &ShareEvent| {
        if matches!(event, ShareEvent::Waiting) {
            once.call_once(|| {
                swap(&files, &with);
                go.send(()).unwrap();
            });
        }
    });
    first.await.unwrap();
    second.await.unwrap();
    assert_eq!(open(&setting).await, []);
    // Said once more, it is.
    share(&setting, |_| ()).await.unwrap();
    assert_eq!(open(&setting).await, [("Music/a".to_owned(), ContentId::of(b"salaries"))]);
}

/// Shares `Music` in a task of its own.
fn share(setting: &Setting, told: impl Fn(&ShareEvent) + Send + Sync + 'static) -> JoinHandle<()> {
    let (sharer, files) = (setting.sharer.clone(), setting.files.clone());
    let events: ShareEvents = Arc::new(move |event| told(&event));
    tokio::spawn(async move {
        let (options, cancel) = (ShareOptions::default(), CancellationToken::new());
        sharer.share(&files, &options, &events, &cancel).await.unwrap();
    })
}
