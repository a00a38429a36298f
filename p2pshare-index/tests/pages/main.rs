//! The pages for people, over real sockets: what they are sent with, what they show, and what they keep to themselves.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod counts;
mod files;
mod host;
mod kept;

use common::{TestIndex, index, start_router};
use p2pshare_core::index::IndexConfig;
use p2pshare_index::{HttpOptions, PageOptions, ServerOptions, router};

/// An index with pages.
async fn with_pages(pages: PageOptions) -> TestIndex {
    named(pages, "The archive").await
}

async fn named(pages: PageOptions, name: &str) -> TestIndex {
    let index = index(IndexConfig { name: name.to_owned(), ..IndexConfig::default() });
    let http = HttpOptions { pages: Some(pages), ..HttpOptions::default() };
    start_router(index.clone(), router(index, http), ServerOptions::default()).await
}

impl TestIndex {
    /// The text of a page.
    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }
}
