//! How the page bears ten thousand of something: few elements, and scrolling that stays smooth.

use serde_json::{Value, json};

use super::{browser::Browser, many, session::Session, support::Index};

const MANY: u64 = 10_000;

/// Elements that a list may have, whatever its length.
const MOST_ELEMENTS: u64 = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_downloads_are_few_elements() {
    let mut index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    session.expect_clean().await;
    // Nothing is found out about them while the index is away: they wait.
    index.kill();
    let status = page.script(ADD, &[]).await;
    assert_eq!(status, 201);
    many::queue(&session.peer.data_dir(), MANY);

    page.view("#/downloads?show=all").await;
    look_through(page, ".download [data-main]").await;
    page.expect_smooth("downloads").await;
    session.browser.close().await;
}

/// Begins to add a download.
const ADD: &str = r"
const what = ['1'.padStart(64, '0')];
return fetch('/api/downloads', {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ what }),
}).then((answer) => answer.status);
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_hits_are_few_elements() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    many::offer(&index, "bob", MANY).await;

    // In this order the index has least to do for a page far down.
    page.view("#/search?sort=largest").await;
    page.see("50+ files").await;
    look_through(page, ".hits .hit [data-main]").await;
    page.see("10,000 files").await;
    page.expect_smooth("hits").await;
    // Another search is not kept waiting by so long a list.
    page.fill("Search", "song 00007").await;
    page.see("1 file").await;
    page.see("00007 Song.flac").await;
    session.expect_clean().await;
    session.browser.close().await;
}

/// Goes from the top of the list that is shown to its end by the keys, as pages of it come in.
async fn look_through(page: &Browser, row: &str) {
    let rows = "return document.querySelector(arguments[0]) !== null";
    page.until_true("rows are shown", rows, &[json!(row)]).await;
    page.expect_few("at the top").await;
    page.script("document.querySelector(arguments[0]).focus()", &[json!(row)]).await;
    page.until_true("the last one has the focus", LAST, &[json!(MANY)]).await;
    page.expect_few("at the end").await;
    let seen = "return document.activeElement.getBoundingClientRect().bottom <= innerHeight";
    page.until_true("it is in sight", seen, &[]).await;
    let place = "return Number(document.activeElement.closest('[role=listitem]').ariaPosInSet)";
    assert_eq!(page.script(place, &[]).await, MANY);
}

/// Presses End in a row of the list, and tells whether that is the last one of so many.
const LAST: &str = r"
const at = document.activeElement;
at.dispatchEvent(new KeyboardEvent('keydown', { key: 'End', bubbles: true, cancelable: true }));
return document.activeElement.closest('[role=listitem]')?.ariaPosInSet === String(arguments[0]);
";

impl Browser {
    async fn expect_few(&self, what: &str) {
        let elements = "return document.querySelectorAll('main *').length";
        let count = self.script(elements, &[]).await.as_u64().unwrap();
        assert!((50..MOST_ELEMENTS).contains(&count), "{what}: {count} elements");
    }

    /// Scrolls from the top to the bottom and tells how long frames took; in each the list has few elements, and rows
    /// where one looks.
    #[allow(clippy::print_stdout, reason = "it is what a test measures")]
    async fn expect_smooth(&self, what: &str) {
        let told = self.driver.execute_async(SCROLL, Vec::new()).await.expect("it scrolls");
        let told = told.json();
        let [median, p95, longest] =
            ["median", "p95", "longest"].map(|name| told[name].as_f64().unwrap());
        println!(
            "{what}: frames of {median:.1} ms, 95% within {p95:.1} ms, {longest:.1} ms at most"
        );
        let most = told["elements"].as_u64().unwrap();
        assert!(most < MOST_ELEMENTS, "{what}: {most} elements while scrolling");
        assert_eq!(told["empty"], Value::from(0), "{what}: frames in which nothing was shown");
    }
}

/// Scrolls a window's height a frame for some frames, then in leaps to the end.
const SCROLL: &str = r"
const done = arguments[0];
const FRAMES = 180;
scrollTo({ top: 0, behavior: 'instant' });
const times = [];
let before = null;
let elements = 0;
let empty = 0;
const isShown = () => {
  const at = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
  return Boolean(at?.closest('[role=listitem]'));
};
const frame = (now) => {
  if (before !== null) times.push(now - before);
  before = now;
  elements = Math.max(elements, document.querySelectorAll('main *').length);
  // What is painted is known once all that wanted this frame has had it, the list too.
  if (times.length > 2) setTimeout(() => { if (!isShown()) empty += 1; });
  if (times.length >= FRAMES) {
    times.sort((a, b) => a - b);
    const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))];
    done({ median: at(0.5), p95: at(0.95), longest: at(1), elements, empty });
    return;
  }
  const left = document.documentElement.scrollHeight - innerHeight - scrollY;
  const step = times.length < FRAMES / 2 ? 120 : left / (FRAMES - times.length);
  scrollBy({ top: step, behavior: 'instant' });
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
";
