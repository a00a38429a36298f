//! Serving what is shared.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod share_support;

use std::{
    fs,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::StreamExt;
use p2pshare_core::{
    content::{ContentId, PieceIndex, PieceRun},
    identity::Reach,
    testing::source::{SourceFixture, source_conformance},
    transfer::{
        FetchEvent, GuardedSource, PieceSource, ReadOptions, SmallContent, StampCheck,
        TransferError,
    },
};
use p2pshare_peer::{
    catalog::{CatalogSource, ChangedFiles},
    share::{Refreshed, UnshareTarget},
};
use share_support::Setting;

async fn make(contents: Vec<Bytes>) -> SourceFixture {
    let mut setting = Setting::new();
    for (number, content) in contents.iter().enumerate() {
        setting.write(format!("{number}"), content);
    }
    setting.share_all().await;
    let (source, _changed) = source(&setting);
    SourceFixture { source, keep: Box::new(setting) }
}

#[tokio::test]
async fn keeps_the_laws_of_sources() {
    source_conformance(&make).await;
}

/// What of a catalog is for everyone.
fn source(setting: &Setting) -> (Arc<dyn PieceSource>, ChangedFiles) {
    let catalog = setting.catalog().clone();
    let (source, changed) = CatalogSource::new(catalog, ReadOptions::default());
    (source.within(Reach::Everyone), changed)
}

fn small(content: &[u8]) -> SmallContent {
    SmallContent { content: ContentId::of(content), len: content.len() as u64 }
}

async fn fetch(source: &dyn PieceSource, content: &ContentId) -> Result<Vec<u8>, TransferError> {
    let mut segments = source.fetch(content, &[]).await?;
    let mut bytes = Vec::new();
    while let Some(event) = segments.next().await {
        if let FetchEvent::Segment(segment) = event? {
            bytes.extend_from_slice(&segment.data);
        }
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_changed_or_deleted_file_is_reported_and_not_served() {
    let mut setting = Setting::new();
    let (changed, deleted) = (setting.write("changed", "one"), setting.write("deleted", "two"));
    setting.share_all().await;
    let (source, mut reports) = source(&setting);
    let (one, two) = (ContentId::of(b"one"), ContentId::of(b"two"));
    assert_eq!(fetch(&*source, &one).await.unwrap(), b"one");
    setting.write("changed", "other");
    fs::remove_file(&deleted).unwrap();
    // Who asks for both together goes on to ask for each.
    let together = source.fetch_many(&[small(b"one"), small(b"two")]).await.unwrap();
    assert_eq!(together.count().await, 0);
    for (content, path) in [(one, &changed), (two, &deleted)] {
        assert!(matches!(fetch(&*source, &content).await, Err(TransferError::Changed)));
        assert_eq!(reports.next().await.unwrap().local, *path);
        assert!(matches!(source.have(&content).await, Err(TransferError::Changed)));
        assert_eq!(reports.next().await.unwrap().local, *path);
        setting.sharer.refresh_file(path).await.unwrap();
        assert!(matches!(fetch(&*source, &content).await, Err(TransferError::NotFound(_))));
    }
    assert_eq!(fetch(&*source, &ContentId::of(b"other")).await.unwrap(), b"other");
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_served_ends_the_stream() {
    let mut setting = Setting::new();
    let bytes = vec![1; 8 << 20];
    let path = setting.write("large", &bytes);
    setting.share_all().await;
    let content = ContentId::of(&bytes);
    let (source, mut reports) = source(&setting);
    let mut segments = source.fetch(&content, &[]).await.unwrap();
    assert!(segments.next().await.unwrap().is_ok());
    setting.write("large", vec![2; 8 << 20]);
    let mut last = None;
    while let Some(event) = segments.next().await {
        if let Ok(FetchEvent::Segment(segment)) = &event {
            assert!(segment.data.iter().all(|byte| *byte == 1), "bytes of another content");
        }
        last = Some(event);
    }
    assert!(matches!(last, Some(Err(TransferError::Changed))), "{last:?}");
    assert_eq!(reports.next().await.unwrap().local, path);
    assert_eq!(setting.sharer.refresh_file(&path).await.unwrap(), Refreshed::Hashed);
    let now = ContentId::of(&vec![2; 8 << 20]);
    assert_eq!(fetch(&*source, &now).await.unwrap().len(), 8 << 20);
}

#[tokio::test]
async fn another_file_with_the_same_content_is_served_instead() {
    let mut setting = Setting::new();
    let first = setting.write("a", "same");
    setting.write("b", "same");
    setting.share_all().await;
    let (source, mut reports) = source(&setting);
    setting.write("a", "something else");
    assert_eq!(fetch(&*source, &ContentId::of(b"same")).await.unwrap(), b"same");
    assert_eq!(reports.next().await.unwrap().local, first);
    let together = source.fetch_many(&[small(b"same")]).await.unwrap();
    assert_eq!(together.count().await, 1);
    assert_eq!(reports.next().await.unwrap().local, first);
}

#[tokio::test]
async fn what_is_unshared_is_served_no_more() {
    let mut setting = Setting::new();
    let bytes = vec![3; 3 << 20];
    setting.write("a", &bytes);
    setting.share_all().await;
    let content = ContentId::of(&bytes);
    let (source, _reports) = source(&setting);
    source.manifest(&content).await.unwrap();
    let run = [PieceRun::new(PieceIndex(1), 1)];
    assert!(source.fetch(&content, &run).await.is_ok());
    setting.sharer.unshare(&UnshareTarget::Local(setting.files.clone())).await.unwrap();
    for error in [
        source.manifest(&content).await.err(),
        source.fetch(&content, &run).await.err(),
        source.have(&content).await.err(),
    ] {
        assert!(matches!(error, Some(TransferError::NotFound(_))), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_a_clear_error() {
    let mut setting = Setting::new();
    setting.write("a", "a");
    setting.share_all().await;
    // Permissions do not stop every user, a failing check does.
    let calls = Arc::new(Mutex::new(0));
    let check: StampCheck = {
        let calls = calls.clone();
        Arc::new(move || {
            *calls.lock().unwrap() += 1;
            Err(std::io::Error::from(std::io::ErrorKind::PermissionDenied).into())
        })
    };
    let options = ReadOptions { check: Some(check), ..ReadOptions::default() };
    let (source, _reports) = CatalogSource::new(setting.catalog().clone(), options);
    let error = fetch(&*source.within(Reach::Everyone), &ContentId::of(b"a")).await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
    assert_eq!(*calls.lock().unwrap(), 1);
}
