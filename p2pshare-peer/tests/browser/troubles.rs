//! What a page does when something is lost: the view, the session, the peer, a race with another tab.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    browser::Browser,
    session::{LOGGED_IN, Session},
    support::{Index, PASSWORD, Peer},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_files_arrive_whatever_view_is_shown() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/shares").await;
    page.see("Drop files or folders here").await;
    // The second ones are dropped while the first is on its way, and nobody looks at the view any more.
    let drop = json!([[["large", 24 << 20]], [["a", 10], ["b", 20]]]);
    page.script(DROP, &[drop]).await;
    page.see("3 files taken in").await;
    page.view("#/shares").await;
    page.see("3 files published").await;
    page.see_no_more("Stop").await;
    session.expect_clean().await;
    session.browser.close().await;
}

/// Chooses files for the drop zone, several times, and leaves the view at once.
const DROP: &str = r"
const input = document.querySelector('.drop input');
for (const files of arguments[0]) {
  const chosen = new DataTransfer();
  for (const [name, size] of files) chosen.items.add(new File([new Uint8Array(size)], name));
  input.files = chosen.files;
  input.dispatchEvent(new Event('change'));
}
location.hash = '#/search';
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_ends_has_not_logged_out() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let Session { browser: page, peer, mut serving, origin } = session;
    serving.wait_for_event("ready");
    page.view("#/settings").await;
    page.fill("Download limit", "5 MB").await;
    serving.stop(Signal::TERM).expect_code(0);
    page.see("The peer does not answer").await;
    page.see("No answer").await;
    // Who was typing goes on where they were.
    let typed = "return document.querySelector('[name=download_limit]').value === '5 MB'";
    page.until_true("what was typed is there", typed, &[]).await;

    // Another process does not know the page, until somebody opens its link, in another tab.
    let address = origin.strip_prefix("http://").unwrap();
    let mut again = super::session::serve_at(&peer, address);
    let url = super::session::url_of(&mut again);
    page.press("Try now").await;
    page.see("does not know this page").await;
    let first = page.driver.window().await.unwrap();
    let tab = page.driver.new_tab().await.unwrap();
    page.driver.switch_to_window(tab).await.unwrap();
    page.go(&url).await;
    page.until_true("the new tab is in", LOGGED_IN, &[]).await;
    page.driver.close_window().await.unwrap();
    page.driver.switch_to_window(first).await.unwrap();
    page.script("document.dispatchEvent(new Event('visibilitychange'))", &[]).await;
    page.see_no_more("does not know this page").await;
    page.see("Online").await;
    page.until_true("what was typed is still there", typed, &[]).await;
    page.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_session_says_why_and_closes_what_was_open() {
    let index = Index::start();
    let Some(mut session) = Session::registered(&index, "alice").await else { return };
    session.serving.wait_for_event("ready");
    let page = &session.browser;
    page.view("#/shares").await;
    page.press("Share a folder or file").await;
    page.see("Who may see it").await;
    index.tool(&["user", "disable", "alice"]).expect_code(0);
    page.see("the session has ended").await;
    page.see_no_more("Who may see it").await;
    let named = "return document.querySelector('[name=username]').value === 'alice'";
    page.until_true("the name is there", named, &[]).await;
    index.tool(&["user", "enable", "alice"]).expect_code(0);
    page.fill("Password", PASSWORD).await;
    page.press("Log in").await;
    page.until_true("one is logged in again", LOGGED_IN, &[]).await;
    page.see_no_more("the session has ended").await;
    session.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_others_changed_meanwhile_stay() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/settings").await;
    page.script(PUT, &[json!({ "upload_slots": 5 })]).await;
    page.fill("Download limit", "1,000 KB").await;
    page.press("Save").await;
    page.see("Saved").await;
    let now = page.script("return fetch('/api/settings').then((it) => it.json())", &[]).await;
    assert_eq!((&now["upload_slots"], &now["download_limit"]), (&json!(5), &json!(1_000_000)));
    let shown = "return document.querySelector('[name=upload_slots]').value === '5'";
    page.until_true("what others changed is shown", shown, &[]).await;
    page.fill("Downloads", "/proc/none").await;
    page.press("Save").await;
    page.see("making the folder /proc/none failed").await;
    // Where a file is, others are to be picked.
    fs::write(session.peer.path("letter.txt"), "Dear Bob").unwrap();
    page.view("#/push").await;
    page.fill("File", session.peer.path("letter.txt").to_str().unwrap()).await;
    page.press("Pick: File").await;
    page.press("Choose").await;
    let letter = "return document.querySelector('main [name=path]').value.endsWith('/letter.txt')";
    page.until_true("it is what was picked", letter, &[]).await;

    // A push that fails is tried again, or taken from the list.
    page.fill("To user", "nobody").await;
    page.script("document.querySelector('.push-form [type=submit]').click()", &[]).await;
    page.see("was not sent to nobody").await;
    page.press("Try again: letter.txt to nobody").await;
    let two = "return document.querySelectorAll('[aria-label=Pushes] > li').length === 2";
    page.until_true("it was tried again", two, &[]).await;
    page.press("Remove from list: letter.txt to nobody").await;
    let one = "return document.querySelectorAll('[aria-label=Pushes] > li').length === 1";
    page.until_true("one is left", one, &[]).await;
    session.browser.close().await;
}

const PUT: &str = r"
return fetch('/api/settings', {
  method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(arguments[0]),
}).then((answer) => answer.status);
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_leads_where_one_was() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    super::many::offer(&index, "bob", 200).await;
    page.view("#/browse/bob/Songs").await;
    page.see("Album 0").await;
    let down = "scrollTo(0, 400); return scrollY";
    let before = page.script(down, &[]).await;
    assert_ne!(before, Value::from(0), "the list is too short");
    let kept = "return history.state?.y === arguments[0]";
    page.until_true("it is kept", kept, std::slice::from_ref(&before)).await;
    page.view("#/browse/bob/Songs/Album%201").await;
    assert_eq!(page.script("return scrollY", &[]).await, 0);
    page.script("history.back()", &[]).await;
    let there = "return location.hash === '#/browse/bob/Songs' && scrollY === arguments[0]";
    page.until_true("one is there again", there, &[before]).await;

    // An address that names no view leads to one, and is not met on the way back.
    let length = page.script("location.hash = '#/nowhere'; return history.length", &[]).await;
    page.until_true("a view is shown", "return location.hash === '#/search'", &[]).await;
    assert_eq!(page.script("return history.length", &[]).await, length);
    nothing_found(page).await;
    session.browser.close().await;
}

/// What others are told of somebody who is not there.
async fn nothing_found(page: &Browser) {
    page.view("#/browse/nobody").await;
    page.see("nobody").await;
    page.see_no_more("Download all").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hits_of_other_words_do_not_stay() {
    let mut index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    let bob = Peer::registered(&index, "bob");
    fs::write(bob.path("letter.txt"), "Dear Alice").unwrap();
    bob.share(bob.path("letter.txt"));
    page.view("#/search?q=letter").await;
    page.see("letter.txt").await;
    index.kill();
    page.fill("Search", "something else").await;
    page.see_no_more("letter.txt").await;
    page.see("Searching").await;
    session.browser.close().await;
}
