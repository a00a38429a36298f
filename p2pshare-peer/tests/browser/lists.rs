//! How heavy the page is, and how it bears ten thousand of something.

use serde_json::json;

use super::{session::Session, support::Index};

const MANY: u64 = 10_000;

/// Elements that a list may have, whatever its length.
const MOST_ELEMENTS: u64 = 2_000;

/// All that the first page needs, in bytes.
const MOST_BYTES: u64 = 150_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_page_is_light() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    // As at the first time, with nothing kept.
    page.go(&format!("{}/#/search", session.origin)).await;
    page.driver.cdp().send_raw("Network.clearBrowserCache", json!({})).await.unwrap();
    page.driver.refresh().await.unwrap();
    page.settled().await;
    let weight = page.script(WEIGHT, &[]).await.as_u64().unwrap();
    assert!((10_000..MOST_BYTES).contains(&weight), "the first page weighs {weight} bytes");
    session.expect_clean().await;
    session.browser.close().await;
}

/// Bytes of the page and of what it loads, without what the API answers.
const WEIGHT: &str = "
return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .filter((each) => !each.name.includes('/api/'))
  .reduce((sum, each) => sum + each.decodedBodySize, 0)
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_downloads_are_few_elements() {
    let mut index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    session.expect_clean().await;
    // Nothing is found out about them while the index is away: they wait.
    index.kill();
    page.script(ADD, &[json!(MANY)]).await;
    page.until_true("all are added", "return window.added === arguments[0]", &[json!(MANY)]).await;

    page.view("#/downloads?show=all").await;
    let rows = "return document.querySelectorAll('.download').length > 0";
    page.until_true("rows are shown", rows, &[]).await;
    let elements = "return document.querySelectorAll('main *').length";
    let few = async |what: &str| {
        let count = page.script(elements, &[]).await.as_u64().unwrap();
        assert!((50..MOST_ELEMENTS).contains(&count), "{what}: {count} elements");
    };
    few("at the top").await;

    // Down to the last one, by the keys, as pages come in.
    page.script("document.querySelector('.download [data-main]').focus()", &[]).await;
    page.until_true("the last one has the focus", LAST, &[json!(MANY)]).await;
    few("at the end").await;
    let seen = "return document.activeElement.getBoundingClientRect().bottom <= innerHeight";
    page.until_true("it is in sight", seen, &[]).await;
    let place = "return Number(document.activeElement.closest('[role=listitem]').ariaPosInSet)";
    assert_eq!(page.script(place, &[]).await, MANY);
    session.browser.close().await;
}

/// Begins to add so many downloads, some at a time; says in `window.added` how many were taken.
const ADD: &str = r"
const [many] = arguments;
let next = 0;
let taken = 0;
const some = async () => {
  while (next < many) {
    next += 1;
    const what = [next.toString(16).padStart(64, '0')];
    const answer = await fetch('/api/downloads', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ what }),
    });
    if (answer.status === 201) taken += 1;
  }
};
Promise.all(Array.from({ length: 6 }, some)).then(() => { window.added = taken; }, (error) => { window.added = String(error); });
";

/// Presses End in a row of the list, and tells whether that is the last one of so many.
const LAST: &str = r"
const at = document.activeElement;
at.dispatchEvent(new KeyboardEvent('keydown', { key: 'End', bubbles: true, cancelable: true }));
return document.activeElement.closest('[role=listitem]')?.ariaPosInSet === String(arguments[0]);
";
