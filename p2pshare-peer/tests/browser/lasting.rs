//! What lasts: files on their way outlast the view, the view outlasts the peer, and whoever is shut out is told why.

use rustix::process::Signal;
use serde_json::json;

use super::{
    session::Session,
    support::{Index, PASSWORD},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_dropped_are_sent_wherever_one_goes() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/shares").await;
    page.script(HOLD, &[]).await;
    drop_file(&session, "one.txt").await;
    page.see("Sending one.txt").await;
    let leaves = page.script(LEAVES, &[]).await;
    assert_eq!(leaves, false, "the browser does not ask before the page is left");

    // Another view, and back: it goes on, and what is dropped now waits for it.
    page.view("#/settings").await;
    page.view("#/shares").await;
    page.see("Sending one.txt").await;
    drop_file(&session, "two.txt").await;
    page.see("Sending 1 of 2 files").await;
    page.view("#/search").await;
    page.script("window.letThrough()", &[]).await;
    page.told("2 files taken in").await;
    page.view("#/shares").await;
    page.see("2 files published").await;
    let kept = super::support::tree(&session.peer.home());
    for name in ["one.txt", "two.txt"] {
        assert!(kept.iter().any(|path| path.ends_with(name)), "{name}: {kept:?}");
    }
    assert_eq!(page.script(LEAVES, &[]).await, true, "nothing is sent any more");
    session.expect_clean().await;
    session.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_can_be_stopped_after_one_has_been_elsewhere() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/shares").await;
    page.script(HOLD, &[]).await;
    drop_file(&session, "one.txt").await;
    page.see("Sending one.txt").await;
    page.view("#/uploads").await;
    page.view("#/shares").await;
    page.press("Stop").await;
    page.see_no_more("Sending").await;
    page.see("You share nothing yet").await;
    session.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_works_until_the_next_one_is_there() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/shares").await;
    assert_eq!(page.script(DRAG, &[]).await, json!(["Shares", "true", true]));
    page.settled().await;
    let heading = "return document.querySelector('main h1').innerText";
    assert_eq!(page.script(heading, &[]).await, "Uploads");
    session.expect_clean().await;
    session.browser.close().await;
}

/// Goes from the shares to another view, and drags a file over what is seen before that is there. Gives what is seen,
/// whether the page says that it is busy, and whether it takes the file: the browser would open it otherwise.
const DRAG: &str = r"
return new Promise((resolve) => {
  addEventListener('hashchange', () => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(['one, two'], 'note.txt'));
    const over = new DragEvent('dragover', { bubbles: true, cancelable: true, dataTransfer });
    const main = document.querySelector('main');
    main.dispatchEvent(over);
    resolve([main.querySelector('h1').innerText, main.getAttribute('aria-busy'), over.defaultPrevented]);
  }, { once: true });
  location.hash = '#/uploads';
});
";

async fn drop_file(session: &Session, name: &str) {
    session.browser.script(super::story::DROP, &[json!(name), json!("some text")]).await;
}

/// Has requests with files wait until they are let through.
const HOLD: &str = r"
const send = XMLHttpRequest.prototype.send;
const held = new Promise((resolve) => { window.letThrough = resolve; });
XMLHttpRequest.prototype.send = function (body) {
  let stopped = false;
  const abort = this.abort.bind(this);
  this.abort = () => { stopped = true; abort(); this.dispatchEvent(new Event('abort')); };
  held.then(() => stopped || send.call(this, body));
};
";

/// Whether the page can be left without a question.
const LEAVES: &str = "return window.dispatchEvent(new Event('beforeunload', { cancelable: true }))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_ends_logs_nobody_out() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let Session { browser: page, peer, serving, origin } = session;
    page.view("#/settings").await;
    page.fill("Download limit", "7 MB").await;
    page.expect_clean(&origin, &[]).await;
    page.script("window.toasted.length = 0", &[]).await;
    serving.stop(Signal::TERM).expect_code(0);
    page.see("The peer does not answer").await;
    page.see("No answer").await;
    page.see_no_more("Online").await;
    // What was typed is still there, and so are the icons of what comes now.
    let typed = "return document.querySelector('[name=download_limit]')?.value";
    assert_eq!(page.script(typed, &[]).await, "7 MB");
    assert_eq!(page.script("return window.toasted", &[]).await, json!([]));
    page.until_true("icons are drawn", DRAWN, &[]).await;

    // It is started anew at the same place, where this page has no key.
    let address = origin.strip_prefix("http://").unwrap();
    let mut again = super::session::serve_at(&peer, address);
    let url = super::session::url_of(&mut again);
    page.press("Try now").await;
    page.see("The peer was started anew").await;
    assert_eq!(page.script(typed, &[]).await, "7 MB");
    // The link is opened in the same browser, and the page goes on where it was.
    page.script(OPEN, &[json!(url)]).await;
    page.until_true("it is open", "return window.opened === true", &[]).await;
    // It tries by itself too, if it was still asking why when the key came.
    let on = "control('Try now')?.click(); return !sees('The peer was started anew')";
    page.until_true("the page goes on", on, &[]).await;
    page.see("Online").await;
    assert_eq!(page.script(typed, &[]).await, "7 MB");
    page.close().await;
}

/// Whether every icon that is shown has its form.
const DRAWN: &str = r"
return [...document.querySelectorAll('svg.icon use')].every((use) => document.querySelector(use.getAttribute('href')));
";

const OPEN: &str =
    "fetch(arguments[0], { redirect: 'follow' }).then(() => { window.opened = true; })";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_logged_out_from_elsewhere_is_told_so() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/downloads").await;
    index.tool(&["user", "disable", "alice"]).expect_code(0);
    page.see("You are not logged in any more").await;
    page.see("The index has ended the session of alice").await;
    let says = "return window.toasted.some((each) => each.includes('You are logged out'))";
    assert_eq!(page.script(says, &[]).await, false);
    let name = "return document.querySelector('[name=username]').value";
    assert_eq!(page.script(name, &[]).await, "alice");
    // The name stays when one goes between the two forms.
    page.fill("User name", "alice2").await;
    page.press("Make one").await;
    page.see("Make an account").await;
    assert_eq!(page.script(name, &[]).await, "alice2");
    page.press("Log in").await;
    page.see("No account yet?").await;
    assert_eq!(page.script(name, &[]).await, "alice2");

    index.tool(&["user", "enable", "alice"]).expect_code(0);
    page.fill("User name", "alice").await;
    page.fill("Password", PASSWORD).await;
    page.press("Log in").await;
    page.until_true("one is logged in again", super::session::LOGGED_IN, &[]).await;
    session.browser.close().await;
}
