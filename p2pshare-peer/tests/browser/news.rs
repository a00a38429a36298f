//! What the peer tells by itself against what the page asks for: an old answer replaces nothing newer.

use std::fs;

use serde_json::json;

use super::{
    browser::Browser,
    session::Session,
    support::{Index, Peer},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_ends_before_the_list_of_pushes_is_there() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    let path = session.peer.path("letter.txt");
    fs::write(&path, "Dear Bob").unwrap();
    hold(page, "/api/pushes", "#/push").await;
    // Nobody has this name, so that it fails.
    page.post("pushes", json!({ "path": path, "user": "nobody" })).await;
    page.see("Failed").await;
    let_through(page).await;
    page.see("Failed").await;
    page.see("letter.txt").await;
    session.expect_clean().await;
    session.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_ends_before_it_is_shown() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    // Who shares it is not online, so that it waits.
    let bob = Peer::registered(&index, "bob");
    fs::write(bob.path("letter.txt"), "Dear Alice").unwrap();
    bob.share(bob.path("letter.txt"));
    page.post("downloads", json!({ "what": ["bob:/letter.txt"] })).await;
    page.view("#/downloads/1").await;
    page.see("Cancel").await;
    hold(page, "/api/downloads/1", "#/downloads/1").await;
    page.post("downloads/1/cancel", json!({})).await;
    page.until_true("the page was told of the end", TOLD, &[]).await;
    let_through(page).await;
    page.see("Cancelled").await;
    session.expect_clean().await;
    session.browser.close().await;
}

/// Whether the page was told that a download was cancelled.
const TOLD: &str = r"
return import('/live.js').then(({ live }) =>
  Boolean(live.last.downloads?.items.some((item) => item.state === 'cancelled')));
";

/// Opens a view whose first question is answered by the peer, but the answer does not get to the page.
async fn hold(page: &Browser, question: &str, view: &str) {
    page.view("#/search").await;
    page.script(HOLD, &[json!(question)]).await;
    page.script("location.hash = arguments[0]", &[json!(view)]).await;
    page.until_true("the peer has answered", "return window.answered === true", &[]).await;
}

/// Lets the answer go to the page, which takes it.
async fn let_through(page: &Browser) {
    page.script("window.letThrough()", &[]).await;
    page.until_true("the answer was read", "return window.read === true", &[]).await;
}

const HOLD: &str = r"
const whole = window.fetch;
const question = arguments[0];
const held = new Promise((resolve) => { window.letThrough = resolve; });
window.fetch = async (path, options) => {
  const answer = await whole(path, options);
  if (path !== question || options.method !== 'GET') return answer;
  const text = await answer.text();
  window.answered = true;
  await held;
  return {
    ok: answer.ok,
    status: answer.status,
    text: async () => {
      setTimeout(() => { window.read = true; });
      return text;
    },
  };
};
";
