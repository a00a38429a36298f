//! `search --follow`: what is new among the hits of a search, as it is published.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use p2pshare_core::{
    api::{Hit, SearchQuery},
    content::ContentId,
    text::visible,
    time::Timestamp,
};
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::find::{PAGE, show};
use crate::{
    cli::{context::Context, exit::CliError, output},
    index_client::{ClientError, IndexClient},
};

/// What was published so long before the newest hit may come to light after it: several servers of one index have
/// clocks of their own, and a large list of files takes a while to be written.
const SLACK: Duration = Duration::from_secs(600);

/// Fewest hits of one call to the index.
const SMALL_PAGE: u32 = 25;

/// So many hits are remembered, some megabytes. One that was forgotten is told again when somebody publishes it anew.
const REMEMBERED: usize = 1 << 16;

/// Shows the newest hits of a search, at most `limit`, and then each that is new, until it is stopped or nobody reads.
pub(super) async fn follow(
    context: &Context,
    client: &IndexClient,
    query: SearchQuery,
    limit: u32,
    every: Duration,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let mut news = News::default();
    let mut left = limit;
    let first = news.look(client, &query, limit, |hit| {
        if left > 0 {
            left -= 1;
            show(context, hit);
        }
    });
    // Whoever has mistyped something wants to know at once.
    let Some(first) = stop.run_until_cancelled(first).await else { return Ok(()) };
    first?;
    context.output.event("following", json!({ "hits": limit - left }));
    context.output.note("Following what is new, until stopped (Ctrl-C).");
    let mut told = None;
    while !output::is_closed() {
        if stop.run_until_cancelled(sleep(every)).await.is_none() {
            break;
        }
        let looked = news.look(client, &query, 0, |hit| show(context, hit));
        match stop.run_until_cancelled(looked).await {
            None => break,
            Some(Ok(())) => told = None,
            Some(Err(error)) if error.is_passing() => {
                let message = error.to_string();
                if told.as_ref() != Some(&message) {
                    context.output.warn(visible(&message));
                    told = Some(message);
                }
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What of the hits of a search was not told yet.
#[derive(Debug, Default)]
struct News {
    /// When the newest was published that was there when all had been gone through; `None` before that.
    since: Option<Timestamp>,
    /// The last time ended early.
    unfinished: bool,
    known: HashSet<(ContentId, u64)>,
    /// The same, the first known first.
    order: VecDeque<(ContentId, u64)>,
}

impl News {
    /// Goes through the hits from the newest on, `least` of them and then for as long as they may be new, and tells those
    /// that are.
    ///
    /// Cancellation, and failing: what was not told comes at the next time.
    async fn look(
        &mut self,
        client: &IndexClient,
        query: &SearchQuery,
        least: u32,
        mut told: impl FnMut(&Hit),
    ) -> Result<(), ClientError> {
        let mut query = SearchQuery {
            limit: Some(least.clamp(SMALL_PAGE, PAGE)),
            since: query.since.max(self.since.map(|since| since.saturating_sub(SLACK))),
            ..query.clone()
        };
        let mut pass = self.begin(least);
        loop {
            let page = client.search(&query).await?;
            let goes_on = self.take(&mut pass, &page.hits, &mut told) && !output::is_closed();
            query.cursor = page.next.filter(|_| goes_on);
            if query.cursor.is_none() {
                self.end(&pass);
                return Ok(());
            }
        }
    }

    fn begin(&mut self, least: u32) -> Pass {
        let resumes = std::mem::replace(&mut self.unfinished, true);
        Pass { least: least as usize, resumes, newest: None, gone: 0 }
    }

    /// Tells what is new of a page. False if nothing behind it is: it comes to that, whatever an index says, once all that
    /// it gives is known.
    fn take(&mut self, pass: &mut Pass, hits: &[Hit], told: &mut impl FnMut(&Hit)) -> bool {
        let Some(last) = hits.last() else { return false };
        let mut some = false;
        for hit in hits {
            pass.newest = pass.newest.max(Some(hit.published_at));
            if self.is_new(hit) {
                some = true;
                told(hit);
            }
        }
        pass.gone += hits.len();
        // Those behind a whole page of what is known were there before, unless the last time did not get so far.
        let is_known = !some && (!pass.resumes || pass.gone > self.known.len());
        pass.gone < pass.least || !(is_known || self.is_old(last, pass.newest))
    }

    fn end(&mut self, pass: &Pass) {
        self.since = self.since.max(pass.newest).or(Some(Timestamp::from_millis(0)));
        self.unfinished = false;
    }

    /// Whether a hit was there before, by its age. At the first time the newest says how old the others are.
    fn is_old(&self, hit: &Hit, newest: Option<Timestamp>) -> bool {
        let since = self.since.or(newest);
        since.is_some_and(|since| hit.published_at < since.saturating_sub(SLACK))
    }

    /// Whether a hit is to be told; it is known from then on.
    fn is_new(&mut self, hit: &Hit) -> bool {
        let key = (hit.content, hit.size);
        if self.is_old(hit, None) || !self.known.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(first) = self.order.pop_front()
        {
            self.known.remove(&first);
        }
        true
    }
}

/// One time that the hits are gone through.
#[derive(Debug)]
struct Pass {
    /// So many are gone through at least.
    least: usize,
    /// The time before ended early.
    resumes: bool,
    newest: Option<Timestamp>,
    /// How many were gone through.
    gone: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(number: u32, secs: i64) -> Hit {
        Hit {
            content: ContentId::of(&number.to_le_bytes()),
            size: 4,
            names: Vec::new(),
            published_at: Timestamp::from_secs(secs),
            online: 1,
            sources: 1,
        }
    }

    #[test]
    fn each_is_new_once_and_what_is_old_is_not() {
        let mut news = News::default();
        let now = 1_000_000;
        assert!(news.is_new(&hit(1, now)) && news.is_new(&hit(2, now - 3600)));
        news.since = Some(Timestamp::from_secs(now));
        // Another one publishes it too.
        assert!(!news.is_new(&hit(1, now + 5)));
        // What came to light late, and what was there before but was not shown.
        assert!(news.is_new(&hit(3, now - 599)) && !news.is_new(&hit(4, now - 601)));
        assert!(news.is_new(&hit(5, now + 1)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut news = News::default();
        for number in 0..REMEMBERED as u32 + 10 {
            assert!(news.is_new(&hit(number, 0)));
        }
        assert_eq!((news.known.len(), news.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!news.is_new(&hit(10, 0)) && news.is_new(&hit(9, 0)));
    }

    /// Pages that are taken of those that an index gives, and hits that are told.
    fn look(news: &mut News, least: u32, pages: impl Iterator<Item = Vec<Hit>>) -> (usize, usize) {
        let (mut taken, mut told) = (0, 0);
        let mut pass = news.begin(least);
        for page in pages {
            taken += 1;
            if !news.take(&mut pass, &page, &mut |_| told += 1) {
                break;
            }
        }
        news.end(&pass);
        (taken, told)
    }

    #[test]
    fn an_index_that_gives_pages_without_end_is_left() {
        let same: Vec<_> = (0..10).map(|number| hit(number, 1_000_000)).collect();
        let mut news = News::default();
        assert_eq!(look(&mut news, 25, std::iter::repeat(same.clone())), (3, 10));
        assert_eq!(look(&mut news, 0, std::iter::repeat(same.clone())), (1, 0));
        news.unfinished = true;
        assert_eq!(look(&mut news, 0, std::iter::repeat(same)), (2, 0));
        assert_eq!(look(&mut news, 25, std::iter::repeat(Vec::new())), (1, 0));
    }

    #[test]
    fn what_a_failure_kept_from_being_told_is_told_behind_what_is_known() {
        let page = |first: u32| (first..first + 10).map(|number| hit(number, 1_000_000)).collect();
        let pages: Vec<Vec<_>> = [0, 10, 20].map(page).to_vec();
        let mut news = News::default();
        assert_eq!(look(&mut news, 0, pages[2..].iter().cloned()), (1, 10));
        let mut pass = news.begin(0);
        assert!(news.take(&mut pass, &pages[0], &mut |_| {}));
        // Then the line broke.
        assert_eq!(look(&mut news, 0, pages.iter().cloned()), (3, 10));
        assert_eq!(look(&mut news, 0, pages.into_iter()), (1, 0));
    }
}
