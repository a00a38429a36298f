//! Browsing what a user shares.
//!
//! An index of (owner, visibility, path) is read in order, some paths at a time; what a folder holds is passed over by
//! asking again from its end on.

use std::collections::{BTreeSet, VecDeque};

use mongodb::bson::doc;
use serde::Deserialize;

use super::sight::Sight;
use crate::{
    api::{FileListing, UserFile, Visibility},
    backend::{
        browse::{self, Below, Shelf},
        mongodb::{
            by,
            database::{MongoError, MongoResult, Reading},
            documents::{Bytes32, EntryKey, path, size},
        },
    },
    content::ContentId,
    identity::Username,
    index::model::Viewer,
    path::{PathError, SharePath},
};

/// Entries that are read at once, in the beginning and at most.
const FEW: usize = 32;
const MANY: usize = 1024;

/// The files below a folder, in order.
pub(super) async fn files(
    reading: &mut Reading<'_>,
    viewer: &Viewer,
    owner: &Username,
    folder: Option<&SharePath>,
    after: Option<&UserFile>,
    limit: u32,
) -> MongoResult<Vec<UserFile>> {
    let mut ahead = Ahead::new(reading, viewer, owner).await?;
    browse::files(&mut ahead, folder, after, limit).await
}

/// What is directly in a folder: the folders, then the files.
pub(super) async fn folder(
    reading: &mut Reading<'_>,
    viewer: &Viewer,
    owner: &Username,
    folder: Option<&SharePath>,
    after: Option<&FileListing>,
    limit: u32,
) -> MongoResult<Vec<FileListing>> {
    let mut ahead = Ahead::new(reading, viewer, owner).await?;
    browse::folder(&mut ahead, folder, after, limit).await
}

/// The entries that a viewer sees of an owner, some read ahead.
struct Ahead<'r, 'd> {
    reading: &'r mut Reading<'d>,
    owner: String,
    scopes: Vec<String>,
    /// All entries from `from` to `to`.
    entries: VecDeque<Shared>,
    from: Option<String>,
    /// Up to here, this one left out; `None`: to the end.
    to: Option<String>,
    count: usize,
}

#[derive(Deserialize)]
struct Shared {
    #[serde(rename = "_id")]
    key: EntryKey,
    c: Bytes32,
    s: i64,
}

impl<'r, 'd> Ahead<'r, 'd> {
    async fn new(
        reading: &'r mut Reading<'d>,
        viewer: &Viewer,
        owner: &Username,
    ) -> MongoResult<Self> {
        let sight = Sight::of(viewer);
        // Every entry of a group belongs to a member of it.
        let account = reading.database.users.find_one(doc! { "_id": owner.as_str() });
        let account = account.session(&mut reading.session).await?;
        let groups = account.map(|account| account.groups).unwrap_or_default();
        let groups = groups.iter().map(|group| format!("group:{group}"));
        let own = [Visibility::Public, Visibility::Unlisted].map(|own| own.to_string());
        let scopes = groups.chain(own).filter(|scope| sight.sees(owner.as_str(), scope)).collect();
        let owner = owner.to_string();
        let (entries, from, to) = (VecDeque::new(), None, None);
        Ok(Self { reading, owner, scopes, entries, from, to, count: FEW })
    }

    /// Sees to it that the entries from `from` on are there: one whole path at least, if there is one.
    async fn reach(&mut self, from: &str) -> MongoResult<()> {
        let begun = self.from.as_deref().is_some_and(|begun| begun <= from);
        if begun && self.to.as_deref().is_none_or(|to| from < to) {
            while self.entries.front().is_some_and(|entry| entry.key.t.as_str() < from) {
                self.entries.pop_front();
            }
            self.from = Some(from.to_owned());
            if !self.entries.is_empty() || self.to.is_none() {
                return Ok(());
            }
        }
        self.count = if begun { (self.count * 2).min(MANY) } else { FEW };
        self.read(from).await
    }

    async fn read(&mut self, from: &str) -> MongoResult<()> {
        loop {
            let which = doc! {
                "o": &self.owner, "v": { "$in": &self.scopes }, "_id.t": { "$gte": from },
            };
            let limit = i64::try_from(self.count).unwrap_or(i64::MAX);
            let find = self.reading.database.entries.find(which).sort(doc! { "_id.t": 1 });
            let find = find.projection(doc! { "c": 1, "s": 1 }).hint(by("owner")).limit(limit);
            let session = &mut self.reading.session;
            let mut found = find.session(&mut *session).await?.with_type::<Shared>();
            self.entries.clear();
            while found.advance(session).await? {
                self.entries.push_back(found.deserialize_current()?);
            }
            self.from = Some(from.to_owned());
            self.to = None;
            if self.entries.len() < self.count {
                return Ok(());
            }
            // Of the last path there may be more.
            self.to = self.entries.back().map(|last| last.key.t.clone());
            while self.entries.back().is_some_and(|last| Some(&last.key.t) == self.to.as_ref()) {
                self.entries.pop_back();
            }
            if !self.entries.is_empty() {
                return Ok(());
            }
            self.count *= 4;
        }
    }
}

impl Shelf for Ahead<'_, '_> {
    type Error = MongoError;

    async fn next(&mut self, from: &str) -> MongoResult<Option<String>> {
        self.reach(from).await?;
        Ok(self.entries.front().map(|entry| entry.key.t.clone()))
    }

    async fn files_at(&mut self, at: &str) -> MongoResult<BTreeSet<UserFile>> {
        self.reach(at).await?;
        let of_path = self.entries.iter().take_while(|entry| entry.key.t == at);
        let file = |entry: &Shared| {
            Ok(UserFile {
                path: path(&entry.key.t)?,
                content: ContentId::from_bytes(entry.c.0),
                size: size(entry.s)?,
            })
        };
        of_path.map(file).collect()
    }

    fn parts(&self) -> usize {
        self.scopes.len()
    }

    async fn next_deeper(
        &mut self,
        part: usize,
        folder: &Below,
        from: &str,
    ) -> MongoResult<Option<String>> {
        // Paths have no line breaks, which the dot would not stand for.
        let deeper = format!("^.{{{}}}[^/]*/", folder.prefix.chars().count());
        let mut paths = doc! { "$gte": from, "$regex": deeper };
        if let Some(end) = folder.end() {
            paths.insert("$lt", end);
        }
        let which = doc! { "o": &self.owner, "v": self.scopes.get(part), "_id.t": paths };
        let find = self.reading.database.entries.find(which).sort(doc! { "_id.t": 1 });
        let find = find.projection(doc! { "c": 1, "s": 1 }).hint(by("owner")).limit(1);
        let session = &mut self.reading.session;
        let mut found = find.session(&mut *session).await?.with_type::<Shared>();
        Ok(if found.advance(session).await? {
            Some(found.deserialize_current()?.key.t)
        } else {
            None
        })
    }

    fn corrupt(error: PathError) -> MongoError {
        MongoError::corrupt(error)
    }
}
