//! What is listed and what an index has, page by page.

use std::collections::VecDeque;

use p2pshare_core::{api::Entry, path::SharePath};

use super::{CatalogIndex, Collection, PublishError, index::entries};

/// Entries that are asked for at a time.
const PAGE: u16 = 1000;

/// A collection, page by page.
pub(super) struct Ours<'a> {
    collection: &'a dyn Collection,
    page: VecDeque<Entry>,
    last: Option<SharePath>,
    is_all: bool,
}

impl<'a> Ours<'a> {
    pub(super) fn of(collection: &'a dyn Collection) -> Self {
        Self { collection, page: VecDeque::new(), last: None, is_all: false }
    }

    /// The next entry; `None` after the last.
    pub(super) async fn first(&mut self) -> Result<Option<&Entry>, PublishError> {
        if self.page.is_empty() && !self.is_all {
            let page = self.collection.entries(self.last.as_ref(), PAGE).await;
            self.page = page.map_err(PublishError::Collection)?.into();
            self.is_all = self.page.is_empty();
            for entry in &self.page {
                if self.last.as_ref().is_some_and(|last| *last >= entry.path) {
                    let path = entry.path.clone();
                    return Err(PublishError::Collection(format!("{path} is out of order").into()));
                }
                self.last = Some(entry.path.clone());
            }
        }
        Ok(self.page.front())
    }

    /// Takes what [`first`](Self::first) gave.
    pub(super) fn next(&mut self) -> Option<Entry> {
        self.page.pop_front()
    }
}

/// What an index has of the peer, page by page.
pub(super) struct Theirs<'a> {
    index: &'a dyn CatalogIndex,
    page: VecDeque<Entry>,
    last: Option<SharePath>,
    is_all: bool,
    count: u64,
}

impl<'a> Theirs<'a> {
    pub(super) fn of(index: &'a dyn CatalogIndex) -> Self {
        Self { index, page: VecDeque::new(), last: None, is_all: false, count: 0 }
    }

    /// The next entry; `None` after the last.
    pub(super) async fn first(&mut self) -> Result<Option<&Entry>, PublishError> {
        if self.page.is_empty() && !self.is_all {
            let page = entries(self.index, self.last.clone(), PAGE.into()).await?;
            // A list that does not go on has ended, whatever its index says.
            let first = page.entries.first().map(|first| &first.path);
            let goes_on = first.is_some_and(|first| Some(first) > self.last.as_ref());
            self.page = if goes_on { page.entries.into() } else { VecDeque::new() };
            self.is_all = !(goes_on && page.more);
            self.last = self.page.back().map(|last| last.path.clone());
            self.count += self.page.len() as u64;
        }
        Ok(self.page.front())
    }

    /// Takes what [`first`](Self::first) gave.
    pub(super) fn next(&mut self) -> Option<Entry> {
        self.page.pop_front()
    }

    /// How many entries it has had until now.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use p2pshare_core::{
        api::{
            Announce, Announced, CatalogPage, CatalogQuery, PublishAnswer, PublishRequest,
            Visibility,
        },
        content::ContentId,
    };

    use super::*;
    use crate::index_client::ClientError;

    /// Gives the same page whatever is asked for, and says that more follow.
    struct Endless;

    #[async_trait]
    impl CatalogIndex for Endless {
        async fn publish(&self, _: &PublishRequest) -> Result<PublishAnswer, ClientError> {
            unreachable!("nothing is published")
        }

        async fn entries(&self, _: &CatalogQuery) -> Result<CatalogPage, ClientError> {
            let entry = |path: &str| Entry {
                path: path.parse().unwrap(),
                content: ContentId::of(b"x"),
                size: 1,
                visibility: Visibility::Public,
            };
            Ok(CatalogPage { entries: ["a", "b"].map(entry).into(), more: true })
        }

        async fn announce(&self, _: &Announce) -> Result<Announced, ClientError> {
            unreachable!("nothing is announced")
        }
    }

    #[tokio::test]
    async fn the_list_of_an_index_that_does_not_go_on_ends() {
        let mut theirs = Theirs::of(&Endless);
        let mut paths = Vec::new();
        while let Some(entry) = theirs.first().await.unwrap() {
            paths.push(entry.path.to_string());
            theirs.next();
            assert!(paths.len() <= 2, "it has no end");
        }
        assert_eq!((paths.join(" "), theirs.count()), ("a b".to_owned(), 2));
    }
}
