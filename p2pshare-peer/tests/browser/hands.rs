//! What one has at hand: the focus, dialogs, what was typed, and the way back.

use std::fs;

use serde_json::{Value, json};

use super::{
    browser::Browser,
    many,
    session::Session,
    support::{Index, Peer},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dialogs_go_with_their_view_and_the_focus_is_never_lost() {
    let mut index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/groups").await;
    page.press("New group").await;
    // What is told in passing is seen above the dialog, and can be pressed.
    assert_eq!(page.script(TELL, &[]).await, json!(["Dismiss", true, true, true]));
    page.script("document.querySelector('dialog[open] [name=name]').focus()", &[]).await;
    page.press("Cancel").await;
    page.focus_is("New group").await;
    page.press("New group").await;
    page.script("history.back()", &[]).await;
    page.until_true(
        "the dialog has gone with its view",
        "return !document.querySelector('dialog')",
        &[],
    )
    .await;

    page.view("#/groups").await;
    page.press("New group").await;
    page.fill("Name", "club").await;
    page.press("Create").await;
    Peer::registered(&index, "bob");
    page.fill("Add a user", "bob").await;
    page.press("Add").await;
    page.see("2 members").await;
    let field = "return document.activeElement.name === 'user'";
    page.until_true("the next one can be added", field, &[]).await;
    session.expect_clean().await;

    index.kill();
    page.post("downloads", json!({ "what": ["1".repeat(64)] })).await;
    page.view("#/downloads").await;
    page.press("Pause all").await;
    page.focus_is("Resume all").await;
    page.press("Resume all").await;
    page.focus_is("Pause all").await;
    page.press(&format!("Cancel: {}", "1".repeat(16))).await;
    page.press("Cancel download").await;
    page.see("No downloads").await;
    let heading =
        "return document.activeElement.tagName === 'H1' && !document.querySelector('dialog')";
    page.until_true("what had the focus is gone: the heading has it", heading, &[]).await;
    session.browser.close().await;
}

/// Tells something while a dialog is open, and dismisses it before it can go by itself. Gives what was pressed,
/// whether it was in front, whether the text was seen, and whether it has gone.
const TELL: &str = r"
return import('/parts.js').then(({ tell }) => {
  const text = 'something in passing';
  tell(text);
  const dismiss = all('dialog[open] .toast button').at(-1);
  const { x, y, width, height } = dismiss.getBoundingClientRect();
  const inFront = dismiss.contains(document.elementFromPoint(x + width / 2, y + height / 2));
  const before = sees(text);
  dismiss.click();
  return [nameOf(dismiss), inFront, before, !sees(text)];
});
";

impl Browser {
    async fn focus_is(&self, name: &str) {
        let script = "return nameOf(document.activeElement) === arguments[0]";
        self.until_true(&format!("{name:?} has the focus"), script, &[json!(name)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_back_leads_to_where_one_was() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    many::offer(&index, "bob", 400).await;
    page.view("#/search?sort=largest").await;
    page.see("50+ files").await;
    page.script("scrollTo({ top: 2500, behavior: 'instant' })", &[]).await;
    page.until_true("it is noted", "return scrollY === 2500 && isSettled()", &[]).await;
    page.until_true("more is there", "return sees('150+ files')", &[]).await;
    let noted = "return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true))))";
    page.until_true("the browser has drawn it", noted, &[]).await;
    page.view("#/settings").await;
    page.until_true("a new view begins at its top", "return scrollY === 0", &[]).await;
    page.script("history.back()", &[]).await;
    page.until_true("it is where it was", "return scrollY === 2500", &[]).await;

    // An address that leads nowhere is no step on the way.
    page.view("#/settings").await;
    page.script("location.hash = '#/nowhere'", &[]).await;
    page.until_true("the search is shown", "return location.hash === '#/search'", &[]).await;
    page.settled().await;
    page.script("history.back()", &[]).await;
    page.until_true("the settings are", "return location.hash === '#/settings'", &[]).await;
    page.settled().await;
    page.see("Transfers").await;
    session.expect_clean().await;
    session.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pages_of_settings_change_what_was_changed_there() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/settings").await;
    page.see("Transfers").await;
    // As another page would.
    page.script(PUT, &[json!({ "upload_limit": 5_000_000 })]).await;
    page.fill("Downloads at once", "7").await;
    page.press("Save").await;
    page.told("Saved").await;
    let shown = "return document.querySelector('[name=upload_limit]').value";
    page.until_true(
        "what the other changed is shown",
        "return document.querySelector('[name=upload_limit]').value === '5 MB'",
        &[],
    )
    .await;
    assert_eq!(page.script(shown, &[]).await, "5 MB");
    let now = page.script("return fetch('/api/settings').then((it) => it.json())", &[]).await;
    assert_eq!((&now["upload_limit"], &now["downloads_at_once"]), (&json!(5_000_000), &json!(7)));
    session.expect_clean().await;

    page.fill("Downloads", "/proc/nowhere").await;
    page.press("Save").await;
    page.see("files cannot be kept in /proc/nowhere").await;
    page.fill("Downloads", "").await;
    page.fill("Downloads", session.peer.path("here").to_str().unwrap()).await;
    page.press("Save").await;
    page.told("Files that are dropped go to").await;
    let drop = page.script("return document.querySelector('[name=drop_folder]').value", &[]).await;
    assert_eq!(drop, json!(session.peer.path("here/Shared")));
    session.browser.close().await;
}

const PUT: &str = r"
return fetch('/api/settings', {
  method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(arguments[0]),
}).then((answer) => answer.status);
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_fails_can_be_pushed_again() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    let letter = session.peer.path("letter.txt");
    fs::write(&letter, "Dear Bob").unwrap();
    let bob = Peer::registered(&index, "bob");
    page.view("#/push").await;
    // One that takes long is given up on the way.
    let long = session.peer.path("long.bin");
    fs::File::create(&long).unwrap().set_len(1 << 40).unwrap();
    page.post("pushes", json!({ "path": long, "user": "bob" })).await;
    page.see("looking for a peer of bob").await;
    page.press("Cancel: long.bin to bob").await;
    page.see("it was cancelled").await;
    page.press("Remove from list: long.bin to bob").await;
    page.see("What you push is listed here").await;
    page.fill("To user", "bob").await;
    page.fill("File", letter.to_str().unwrap()).await;
    page.script("document.querySelector('.push-form button[type=submit]').click()", &[]).await;
    page.told("letter.txt did not arrive at bob").await;
    page.see("no peer of bob is online").await;
    let path = "return document.querySelector('.push-form [name=path]').value";
    assert_eq!(page.script(path, &[]).await, json!(letter));

    let inbox = bob.path("Inbox");
    fs::create_dir(&inbox).unwrap();
    let serving = bob.serve(&["--ui", "off", "--inbox", inbox.to_str().unwrap()]);
    page.press("Push again: letter.txt to bob").await;
    page.told("letter.txt has arrived at bob").await;
    page.see("Arrived").await;
    page.see_no_more("Failed").await;
    page.press("Remove from list: letter.txt to bob").await;
    page.see("What you push is listed here").await;
    assert_eq!(page.script(&format!("{path} !== null"), &[]).await, Value::Bool(true));
    serving.stop().expect_code(0);
    session.expect_clean().await;
    session.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_before_it_is_seen_to_run_is_told_too() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/settings").await;
    page.until_true("the peer has told what there is", FIRST, &[]).await;
    page.script(ENDED, &[]).await;
    page.told("letter.txt did not arrive at bob").await;
    page.told("song.ogg is complete").await;
    page.told("quick.ogg is complete").await;
    let old = "return window.toasted.some((each) => each.includes('old.ogg'))";
    assert_eq!(page.script(old, &[]).await, json!(false));
    session.expect_clean().await;
    session.browser.close().await;
}

/// Whether the peer has told what there is at first.
const FIRST: &str = "
return import('/live.js').then(({ live }) => Boolean(live.last.pushes && live.last.downloads));
";

/// A list of all has old ones too, which are no news.
const ENDED: &str = "
return import('/live.js').then(({ live }) => {
  const { totals, at } = live.last.downloads;
  live.tell('pushes', { items: [{ id: 7, state: 'failed', path: '/home/letter.txt', user: 'bob' }] });
  const done = (id, title, finished_at) => ({ id, state: 'done', title, finished_at });
  const song = done(21, 'song.ogg', at);
  live.tell('downloads', { items: [song], removed: [], totals, reset: false, at: at + 100 });
  const all = [done(22, 'quick.ogg', at + 200), song, done(3, 'old.ogg', at - 100)];
  live.tell('downloads', { items: all, removed: [], totals, reset: true, at: at + 300 });
});
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_shared_by_a_command_is_counted() {
    let index = Index::start();
    let Some(mut session) = Session::registered(&index, "alice").await else { return };
    session.serving.wait_for_event("ready");
    let folder = session.peer.path("Notes");
    fs::create_dir(&folder).unwrap();
    for name in ["a.txt", "b.txt", "c.txt"] {
        fs::write(folder.join(name), name).unwrap();
    }
    let page = &session.browser;
    page.view("#/shares").await;
    session.peer.share(&folder);
    page.see("1 share · 3 files published").await;
    session.expect_clean().await;
    session.browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_read_and_shown_as_people_mean_them() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.view("#/search").await;
    let read = page.script(READ, &[]).await;
    assert_eq!(read, json!([null, 1_500_000, 1_500_000, null, 700, 125]));
    let shown = page.script(SHOWN, &[]).await;
    let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
    let heart = "\u{2764}\u{fe0f}\u{200d}\u{1f525}";
    assert_eq!(
        shown,
        json!([family, heart, "a\\u{200d}b", "\u{1f468}\\u{200d}.exe", "\\u{200d}\u{1f467}"])
    );
    session.expect_clean().await;
    session.browser.close().await;
}

const READ: &str = "
return import('/text.js').then(({ parseBytes }) =>
  ['1,000', '1.5 MB', '1,5 MB', '1,000,000', '700', '0,125 KB'].map((text) => parseBytes(text) ?? null));
";

const SHOWN: &str = r"
return import('/text.js').then(({ visible }) => [
  '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}', '\u2764\ufe0f\u200d\u{1f525}', 'a\u200db', '\u{1f468}\u200d.exe', '\u200d\u{1f467}',
].map(visible));
";
