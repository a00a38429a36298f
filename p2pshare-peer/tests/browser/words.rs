//! What the page says is so: of what is searched, downloaded, picked and received.

use std::fs;

use serde_json::json;

use super::{
    browser::{Browser, Look},
    session::Session,
    support::{Index, Peer},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_are_those_of_the_words_that_are_there() {
    let mut index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    let bob = Peer::registered(&index, "bob");
    let content = bob.share_file("setlist.txt", b"one, two");
    page.view("#/search").await;
    page.fill("Search", "setlist").await;
    page.see("setlist.txt").await;
    page.press("Video").await;
    page.see("these filters leave less").await;
    page.press("All").await;
    page.see("setlist.txt").await;

    // Of a content alone the size is told by the index.
    page.fill("Search", &content).await;
    page.press("Details").await;
    page.see("8 B (8 bytes)").await;
    page.press("Close").await;

    // Nobody of this name has anything to download.
    page.view("#/browse/nobody").await;
    page.see("user nobody does not exist").await;
    page.expect_clean(&session.origin, &["status of 404"]).await;
    let offers = "return sees('Download all')";
    assert_eq!(page.script(offers, &[]).await, false);
    page.view("#/browse/bob").await;
    page.see("Download all").await;
    session.expect_clean().await;

    page.view("#/search?q=setlist").await;
    page.see("setlist.txt").await;
    index.kill();
    page.fill("Search", "something else").await;
    let waits = "return sees('Searching…') && !sees('setlist.txt')";
    page.until_true("old hits are gone while new ones are asked for", waits, &[]).await;
    session.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_a_download_is_said_while_it_is_kept() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    let told = page.script(HINDRANCES, &[]).await;
    let failed = json!({ "title": "2 files could not be fetched", "message": "no" });
    let waits = json!({ "title": "It waits", "message": "no" });
    let one = json!({ "title": "It could not be fetched", "message": "no" });
    assert_eq!(told, json!([null, null, waits, waits, failed, one, null, null]));
    // Causes are lines, not one line with signs for their ends.
    page.script(PROBLEM, &[]).await;
    page.see("first second").await;
    session.expect_clean().await;
    session.browser.close().await;
}

const HINDRANCES: &str = r"
return import('/download-row.js').then(({ hindrance }) => [
  { state: 'running', sources: 1 }, { state: 'running', stalled_seconds: null }, { state: 'running' }, { state: 'queued' },
  { state: 'failed', files: 5, files_failed: 2 }, { state: 'failed', files: 1, files_failed: 1 },
  { state: 'paused' }, { state: 'done', files: 5, files_failed: 2 },
].map((each) => hindrance({ sources: 0, rate: 0, stalled_seconds: 9, files: 1, error: 'no', ...each })));
";

const PROBLEM: &str = r"
return import('/parts.js').then(({ problemBox }) => document.querySelector('main').append(
  problemBox({ title: 'It waits', message: 'first\nsecond' })));
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_can_be_picked_by_its_path_and_nothing_received_is_cut() {
    let index = Index::start();
    let Some(mut session) = Session::registered(&index, "alice").await else { return };
    session.serving.wait_for_event("ready");
    let page = &session.browser;
    let letter = session.peer.path("letter.txt");
    fs::write(&letter, "Dear Bob").unwrap();
    page.view("#/push").await;
    page.fill("File", letter.to_str().unwrap()).await;
    page.press("Pick: File").await;
    page.see("letter.txt").await;
    page.see("Inbox").await;
    let typed = "return document.querySelector('dialog [name=path]').value";
    assert_eq!(page.script(typed, &[]).await, json!(letter));
    page.press("Choose").await;

    let bob = Peer::registered(&index, "a-user-whose-name-is-rather-long");
    fs::write(bob.path("An answer of more than a few words, in two parts.txt"), "Dear Alice")
        .unwrap();
    bob.ok(["push", "An answer of more than a few words, in two parts.txt", "alice"]);
    page.see("a-user-whose-name-is-rather-long").await;
    page.look(Look { width: 360, ..Look::PHONE }).await;
    let cut = page.script(CUT, &[]).await;
    assert_eq!(cut, json!([]));
    session.expect_clean().await;
    session.browser.close().await;
}

/// Lines of which not all can be read.
const CUT: &str = "
return [...document.querySelectorAll('main .line, main .line span, main p.muted, main .hit-text')]
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== 'inline')
  .map((each) => `${each.className}: ${each.innerText}`);
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_nobody_sees_holds_no_connection() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page: &Browser = &session.browser;
    page.script(NOTE_CLOSE, &[]).await;
    page.script(HIDE, &[json!(true)]).await;
    page.until_true("the connection is given back", "return window.closes === 1", &[]).await;
    page.script(HIDE, &[json!(false)]).await;
    page.until_true("it is there again", "return window.opened === true", &[]).await;
    session.expect_clean().await;
    session.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_while_nobody_looks_is_told_to_whoever_comes_back() {
    let index = Index::start();
    let Some(mut session) = Session::registered(&index, "alice").await else { return };
    session.serving.wait_for_event("ready");
    let page = &session.browser;
    let bob = Peer::registered(&index, "bob");
    bob.share_file("setlist.txt", b"one, two");
    fs::write(bob.path("letter.txt"), "Dear Alice").unwrap();
    let serving = bob.serve(&["--ui", "off"]);
    page.until_true("the page has listened", LISTENED, &[]).await;
    page.script(NOTE_CLOSE, &[]).await;
    page.script(HIDE, &[json!(true)]).await;
    page.until_true("the connection is given back", "return window.closes === 1", &[]).await;
    bob.ok(["push", "letter.txt", "alice"]);
    page.post("downloads", json!({ "what": ["bob:/setlist.txt"] })).await;
    page.until_true("the download is done", DONE, &[]).await;
    page.script(HIDE, &[json!(false)]).await;
    page.told("bob has sent you letter.txt").await;
    page.told("setlist.txt is complete").await;
    serving.stop().expect_code(0);
    session.expect_clean().await;
    session.browser.close().await;
}

/// Whether the peer has told what there was before.
const LISTENED: &str = "
return import('/live.js').then(({ live }) => Boolean(live.run && live.last.downloads));
";

const DONE: &str = "
return fetch('/api/downloads?state=all').then((answer) => answer.json())
  .then(({ items }) => items.some(({ state }) => state === 'done'));
";

const NOTE_CLOSE: &str = r"
window.closes = 0;
const { close } = EventSource.prototype;
EventSource.prototype.close = function () {
  window.closes += 1;
  close.call(this);
};
return import('/live.js').then(({ live }) => {
  live.addEventListener('connection', ({ detail }) => { window.opened = window.closes > 0 && detail === 'open'; });
});
";

const HIDE: &str = r"
Object.defineProperty(document, 'hidden', { configurable: true, value: arguments[0] });
document.dispatchEvent(new Event('visibilitychange'));
";
