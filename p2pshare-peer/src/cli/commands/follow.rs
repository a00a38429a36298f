//! `search --follow`: what is new among the hits of a search, as it is published.

use std::{
    collections::{BTreeSet, HashSet},
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

/// After so many pages of what is known the rest is taken to be known.
const KNOWN_PAGES: usize = 4;

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
    /// When all had been gone through, by the index's clock; `None` before that.
    since: Option<Timestamp>,
    /// The last time ended early.
    unfinished: bool,
    known: HashSet<(ContentId, u64)>,
    /// The same, the first published first.
    order: BTreeSet<(Timestamp, ContentId, u64)>,
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
        let limit = if self.since.is_some() { PAGE } else { least.clamp(SMALL_PAGE, PAGE) };
        let mut query = SearchQuery {
            limit: Some(limit),
            since: query.since.max(self.since.map(|since| since.saturating_sub(SLACK))),
            ..query.clone()
        };
        let mut pass = self.begin(least);
        loop {
            let page = client.search(&query).await?;
            pass.asked_at = pass.asked_at.or(page.asked_at);
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
        let least = least as usize;
        Pass { least, resumes, asked_at: None, newest: None, gone: 0, known_pages: 0 }
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
        pass.known_pages = if some { 0 } else { pass.known_pages + 1 };
        // Those behind pages of what is known were there before, unless the last time did not get so far.
        let is_known =
            pass.known_pages >= KNOWN_PAGES && (!pass.resumes || pass.gone > self.known.len());
        pass.gone < pass.least || !(is_known || self.is_old(last, pass.newest))
    }

    fn end(&mut self, pass: &Pass) {
        // An index that does not tell the time has at least hits with one. If its clock was set back, so is this.
        let newest = self.since.max(pass.newest).or(Some(Timestamp::EPOCH));
        self.since = pass.asked_at.or(newest);
        self.unfinished = false;
    }

    /// Whether a hit was there before, by its age. At the first time the newest says how old the others are.
    fn is_old(&self, hit: &Hit, newest: Option<Timestamp>) -> bool {
        let since = self.since.or(newest);
        since.is_some_and(|since| hit.published_at < since.saturating_sub(SLACK))
    }

    /// Whether a hit is to be told; it is known from then on.
    fn is_new(&mut self, hit: &Hit) -> bool {
        let (content, size) = (hit.content, hit.size);
        if self.is_old(hit, None) || !self.known.insert((content, size)) {
            return false;
        }
        // The oldest is forgotten: it comes last, behind what is known.
        self.order.insert((hit.published_at, content, size));
        if self.order.len() > REMEMBERED
            && let Some((_, content, size)) = self.order.pop_first()
        {
            self.known.remove(&(content, size));
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
    /// When it began, by the index's clock.
    asked_at: Option<Timestamp>,
    newest: Option<Timestamp>,
    /// How many were gone through.
    gone: usize,
    /// How many pages in a row had nothing new.
    known_pages: usize,
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
            assert!(news.is_new(&hit(number, number.into())));
        }
        assert_eq!((news.known.len(), news.order.len()), (REMEMBERED, REMEMBERED));
        // The newest are known, in whichever order they were told.
        assert!(!news.is_new(&hit(10, 10)) && news.is_new(&hit(9, 9)));
        assert!(!news.is_new(&hit(10, 10)) && !news.is_new(&hit(REMEMBERED as u32, 0)));
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
        assert_eq!(look(&mut news, 25, std::iter::repeat(same.clone())), (5, 10));
        assert_eq!(look(&mut news, 0, std::iter::repeat(same.clone())), (4, 0));
        news.unfinished = true;
        assert_eq!(look(&mut news, 0, std::iter::repeat(same)), (4, 0));
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
        assert_eq!(look(&mut news, 0, pages.into_iter()), (3, 0));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_from_being_told() {
        let mut news = News::default();
        for (now, number) in [(1_000_000, 1), (900_000, 2), (900_060, 3)] {
            let mut pass = news.begin(0);
            pass.asked_at = Some(Timestamp::from_secs(now));
            let mut told = 0;
            news.take(&mut pass, &[hit(number, now)], &mut |_| told += 1);
            news.end(&pass);
            // What comes in the minute in which it is set back comes late.
            assert_eq!(told, usize::from(number != 2), "{number}");
        }
        assert!(news.is_new(&hit(2, 900_000)));
    }
}
