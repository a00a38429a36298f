//! What the peer tells by itself against what the page asks for.

use std::fs;

use serde_json::json;

use super::{session::Session, support::Index};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_answer_replaces_nothing_newer() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    let path = session.peer.path("letter.txt");
    fs::write(&path, "Dear Bob").unwrap();
    page.view("#/search").await;
    page.script(HOLD, &[]).await;
    page.script("location.hash = '#/push'", &[]).await;
    page.until_true("the peer has answered", "return window.answered === true", &[]).await;

    // Nobody has this name, so that it fails.
    page.script(PUSH, &[json!({ "path": path, "user": "nobody" })]).await;
    page.see("Failed").await;
    page.script("window.letThrough()", &[]).await;
    page.until_true("the answer was read", "return window.read === true", &[]).await;
    page.see("Failed").await;
    let shown = page.script("return document.querySelector('main').innerText", &[]).await;
    assert!(shown.as_str().unwrap().contains("letter.txt"), "{shown}");
    session.expect_clean().await;
    session.browser.close().await;
}

/// Holds what the peer answers to the next question for its pushes until `letThrough` is called.
const HOLD: &str = r"
const whole = window.fetch;
const held = new Promise((resolve) => { window.letThrough = resolve; });
window.fetch = async (path, options) => {
  const answer = await whole(path, options);
  if (path !== '/api/pushes' || options.method !== 'GET') return answer;
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

const PUSH: &str = r"
return fetch('/api/pushes', {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(arguments[0]),
}).then((answer) => answer.status);
";
