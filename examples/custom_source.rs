//! A peer that shares what is in no file: the objects of a bucket, say, as clouds and caches have them.
//!
//! What has bytes is a [`PieceSource`], and what can be listed a [`Collection`]; the rest is the library's. Whether a source
//! keeps the laws is shown by the suite that those of the library pass:
//!
//! ```text
//! cargo run --example custom_source
//! ```

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{
    collections::BTreeMap,
    fs,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use p2pshare_core::{
    api::{CatalogChange, Entry, Hit, SearchQuery, Visibility},
    content::{ContentId, Manifest, PieceRun, hash_bytes},
    path::SharePath,
    testing::source::{SourceFixture, source_conformance},
    transfer::{
        FetchEvent, HaveStream, HaveUpdate, OpenSource, PieceSource, Segment, SegmentStream,
        TransferError, wanted_runs,
    },
};
use p2pshare_examples::{Done, Peer, get, start_index};
use p2pshare_peer::{
    daemon::{CollectionShares, ServeOptions},
    download::Target,
    publish::{Collection, CollectionError},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Objects by their names. A clone is the same bucket.
#[derive(Clone, Default)]
struct Bucket(Arc<RwLock<Objects>>);

#[derive(Default)]
struct Objects {
    names: BTreeMap<SharePath, ContentId>,
    /// A service would keep the manifest beside the object, and the bytes elsewhere.
    contents: BTreeMap<ContentId, (Manifest, Bytes)>,
}

impl Bucket {
    /// Puts an object, and gives what others are to be told of it.
    fn put(&self, name: &str, bytes: impl Into<Bytes>) -> Done<Entry> {
        let (path, bytes) = (name.parse::<SharePath>()?, bytes.into());
        let manifest = hash_bytes(&bytes);
        let entry = Entry {
            path: path.clone(),
            content: manifest.id(),
            size: manifest.len(),
            visibility: Visibility::Public,
        };
        let mut objects = self.0.write().unwrap_or_else(PoisonError::into_inner);
        objects.names.insert(path, entry.content);
        objects.contents.insert(entry.content, (manifest, bytes));
        Ok(entry)
    }

    fn find(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        let objects = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = objects.contents.get(content).map(|(manifest, _)| manifest.clone());
        found.ok_or(TransferError::NotFound(*content))
    }

    /// A part of an object: here a request with a range would go out.
    async fn read(
        &self,
        content: ContentId,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, TransferError> {
        let objects = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, bytes) = objects.contents.get(&content).ok_or(TransferError::NotFound(content))?;
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = begin.saturating_add(len);
        // What is shorter than it was is not what was listed.
        if end > bytes.len() {
            return Err(TransferError::Changed);
        }
        Ok(bytes.slice(begin..end))
    }
}

#[async_trait]
impl PieceSource for Bucket {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.find(content)
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        let all = self.find(content)?.layout().all();
        let all = HaveUpdate { gained: vec![all], complete: true };
        Ok(stream::iter([Ok(all)]).boxed())
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let (bucket, content) = (self.clone(), *content);
        let layout = self.find(&content)?.layout();
        let runs = wanted_runs(&layout, runs)?;
        let pieces = runs.into_iter().flat_map(|run| run.iter());
        // A piece at a time, and the next one while it is sent.
        let segments = stream::iter(pieces).map(move |piece| {
            let bucket = bucket.clone();
            async move {
                let offset = layout.piece_offset(piece);
                let data = bucket.read(content, offset, layout.piece_len(piece)).await?;
                Ok(FetchEvent::Segment(Segment { offset, data }))
            }
        });
        Ok(segments.buffered(2).boxed())
    }
}

#[async_trait]
impl Collection for Bucket {
    async fn entries(
        &self,
        after: Option<&SharePath>,
        limit: u16,
    ) -> Result<Vec<Entry>, CollectionError> {
        let objects = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let after = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let names = objects.names.range((after, Bound::Unbounded)).take(limit.into());
        let entry = |(path, content): (&SharePath, &ContentId)| {
            let (manifest, _) = objects.contents.get(content)?;
            let (path, content, size) = (path.clone(), *content, manifest.len());
            Some(Entry { path, content, size, visibility: Visibility::Public })
        };
        Ok(names.filter_map(entry).collect())
    }
}

#[tokio::main]
async fn main() -> Done {
    println!("→ Every law of a source is tried on the bucket");
    source_conformance(&async |contents: Vec<Bytes>| {
        let bucket = Bucket::default();
        for (number, content) in contents.into_iter().enumerate() {
            bucket.put(&format!("Samples/{number}"), content).expect("these names are paths");
        }
        SourceFixture { source: Arc::new(bucket), keep: Box::new(()) }
    })
    .await;
    println!("   all of them hold");

    let folder = tempfile::tempdir()?;
    let (place, stop, mut running) = (folder.path(), CancellationToken::new(), JoinSet::new());
    let url = start_index(place, &stop, &mut running).await?;
    let bucket = Bucket::default();
    let report = vec![7; 3 << 20];
    bucket.put("Bucket/reports/october.bin", report.clone())?;

    println!("→ The bucket's peer comes online");
    let keeper = Peer::join(place, "keeper", &url).await?;
    // Everybody with an account may have what is in it.
    let source = Arc::new(OpenSource::new(Arc::new(bucket.clone())));
    let shares = CollectionShares::new(source, Arc::new(bucket.clone()));
    let shared = Arc::new(shares.clone());
    keeper.serve_sharing(shared, ServeOptions::default(), &stop, &mut running).await?;

    println!("→ Bob finds an object and downloads it");
    let bob = Peer::join(place, "bob", &url).await?;
    let found = search(&bob, "october").await?;
    let got = get(&bob, Target::Content(found.content), &place.join("Downloads")).await?;
    if fs::read(&got)? != report {
        return Err("this is not what is in the bucket".into());
    }
    println!("   {} bytes, as they are in the bucket", found.size);

    println!("→ Another object is put, and found");
    let entry = bucket.put("Bucket/reports/november.txt", "all is well\n")?;
    shares.changed([CatalogChange::Publish(entry.clone())]);
    let found = search(&bob, "november").await?;
    if found.content != entry.content {
        return Err("something else was found".into());
    }
    println!("   {}", found.content);
    stop.cancel();
    while let Some(ended) = running.join_next().await {
        ended?;
    }
    Ok(())
}

/// Searches until there is a hit, for some seconds.
async fn search(peer: &Peer, words: &str) -> Done<Hit> {
    for _ in 0..100 {
        let query = SearchQuery { q: words.to_owned(), ..SearchQuery::default() };
        if let Some(hit) = peer.me.client().search(&query).await?.hits.into_iter().next() {
            return Ok(hit);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("nothing was found for {words:?}").into())
}
