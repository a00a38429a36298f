//! What a person does: from the first look at the page to the logout.

use std::fs;

use serde_json::{Value, json};

use super::{
    browser::Browser,
    session::Session,
    support::{Index, MIB, Peer, assert_bytes, noise},
};

/// In bytes a second, as it is typed: slow enough to be watched, and to be paused on the way.
const SLOW: &str = "512 KiB";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_uses_the_page() {
    let index = Index::start();
    let Some(mut session) = Session::open(&index, "alice").await else { return };
    let film = noise(48 * MIB, 1);
    let bob = Peer::registered(&index, "bob");
    fs::create_dir(bob.path("Films")).unwrap();
    fs::write(bob.path("Films/Nosferatu 1922.mkv"), &film).unwrap();
    bob.share(bob.path("Films"));
    let bob_inbox = bob.path("Inbox");
    fs::create_dir(&bob_inbox).unwrap();
    let inbox = bob_inbox.to_str().unwrap();
    let bob_serving = bob.serve(&["--ui", "off", "--inbox", inbox]);

    session.register().await;
    session.serving.wait_for_event("ready");
    a_log_in_and_out(&session).await;
    a_download(&session, &film).await;
    shares(&session, &bob).await;
    what_others_change(&session, &bob).await;
    pushes(&session, &bob).await;
    session.expect_clean().await;

    let page = &session.browser;
    page.press("Log out").await;
    page.see("Log out?").await;
    page.press("Log out").await;
    page.see("No account yet?").await;
    session.expect_clean().await;
    bob_serving.stop().expect_code(0);
    session.browser.close().await;
}

/// Wrong and right passwords.
async fn a_log_in_and_out(session: &Session) {
    let page = &session.browser;
    session.expect_clean().await;
    page.press("Log out").await;
    page.see("Log out?").await;
    page.press("Log out").await;
    page.fill("User name", "alice").await;
    page.fill("Password", "not the password").await;
    page.press("Log in").await;
    page.see("Wrong user name or password").await;
    // That the answer is no success is all that the console may have.
    let answer = "/api/login - Failed to load resource: the server responded with a status of 401";
    page.expect_clean(&session.origin, &[answer]).await;
    page.fill("Password", super::support::PASSWORD).await;
    page.press("Log in").await;
    page.until_true("one is logged in again", super::session::LOGGED_IN, &[]).await;
}

/// Finds a film, downloads it, watches, pauses, goes on, and has it.
async fn a_download(session: &Session, film: &[u8]) {
    let page = &session.browser;
    page.view("#/settings").await;
    page.fill("Download limit", SLOW).await;
    page.press("Save").await;
    page.told("Saved").await;

    page.press("Search").await;
    page.fill("Search", "nosfer").await;
    page.see("1 file").await;
    page.see("1 source online").await;
    page.press("Video").await;
    page.see("Nosferatu 1922.mkv").await;
    page.press("Audio").await;
    page.see("Nothing found").await;
    page.press("All").await;
    page.press("Download Nosferatu 1922.mkv").await;
    page.told("is being downloaded").await;

    page.press("Downloads").await;
    page.see("Nosferatu 1922.mkv").await;
    // It moves, without anybody asking.
    let progress = "return document.querySelector('main progress')?.value > arguments[0]";
    page.until_true("it begins", progress, &[json!(0)]).await;
    page.see("left").await;
    page.see("from 1 source").await;
    let before = page.script("return document.querySelector('main progress').value", &[]).await;
    page.until_true("it goes on", progress, &[before]).await;

    page.press("Nosferatu 1922.mkv").await;
    page.see("48 pieces").await;
    page.see("bob").await;
    page.press("Pause").await;
    page.see("Paused").await;
    let missing = "return document.querySelectorAll('.pieces > :not(.full)').length";
    let missing = page.script(missing, &[]).await.as_u64().unwrap();
    assert!(missing > 0, "it was paused when all was there");
    page.press("Resume").await;
    page.see("Running").await;
    page.view("#/settings").await;
    page.fill("Download limit", "").await;
    page.press("Save").await;
    page.told("Saved").await;

    page.view("#/downloads?show=settled").await;
    page.see("Nosferatu 1922.mkv").await;
    page.see("48.0 MiB").await;
    let id = page.script("return document.querySelector('.download').dataset.id", &[]).await;
    page.view(&format!("#/downloads/{}", id.as_str().unwrap())).await;
    page.see("100%").await;
    let folder = "return document.querySelector('.facts code').innerText";
    let folder = page.script(folder, &[]).await;
    let folder = std::path::Path::new(folder.as_str().unwrap());
    assert!(folder.starts_with(session.peer.home()), "downloads go to {folder:?}");
    assert_bytes(&folder.join("Nosferatu 1922.mkv"), film);
}

/// Shares a folder, sees it hashed, and bob can fetch from it.
async fn shares(session: &Session, bob: &Peer) {
    let page = &session.browser;
    let folder = session.peer.path("Music");
    fs::create_dir(&folder).unwrap();
    let song = noise(3 * MIB, 2);
    fs::write(folder.join("Blue Train.flac"), &song).unwrap();
    page.press("Shares").await;
    page.see("You share nothing yet").await;
    page.press("Share a folder or file").await;
    page.press("Pick: File or folder").await;
    page.fill("Path", session.peer.home().to_str().unwrap()).await;
    page.press("Go to this folder").await;
    page.press("Music").await;
    page.see("Blue Train.flac").await;
    page.press("Choose").await;
    page.press("Share").await;
    page.see("1 file · 3.00 MiB").await;
    page.see("1 file published").await;
    let had = bob.path("had");
    bob.ok(["get", "alice:/Music/Blue Train.flac", "-o", had.to_str().unwrap()]);
    assert_bytes(&had, &song);

    // Files that are dropped are shared too.
    page.script(DROP, &[json!("note.txt"), json!("one, two")]).await;
    page.told("1 file taken in").await;
    page.see("2 files published").await;
    let note = bob.path("note");
    bob.ok(["get", "alice:/Shared/note.txt", "-o", note.to_str().unwrap()]);
    assert_bytes(&note, b"one, two");

    page.choose("Who may see Music", "unlisted").await;
    page.press("Search").await;
    let gone = async || bob.run(["search", "blue", "train"]).all("hit").is_empty().then_some(());
    super::page::until("what is unlisted is found no more", async || Ok(gone().await)).await;
    page.press("Shares").await;
    page.press("Stop sharing: Music").await;
    page.see("Stop sharing Music?").await;
    page.press("Stop sharing").await;
    page.told("Music is not shared any more").await;
    page.see("1 share ·").await;
}

/// As if a file was dropped on the page.
pub(crate) const DROP: &str = r"
const transfer = new DataTransfer();
transfer.items.add(new File([arguments[1]], arguments[0]));
for (const type of ['dragenter', 'dragover', 'drop']) {
  document.querySelector('main').dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
}
";

/// Bob shares something new: it is found and seen among his files.
async fn what_others_change(session: &Session, bob: &Peer) {
    let page = &session.browser;
    page.view("#/search").await;
    page.fill("Search", "setlist").await;
    page.see("Nothing found").await;
    fs::write(bob.path("Films/setlist.txt"), "one\n").unwrap();
    bob.share(bob.path("Films"));
    search_until_found(page, "setlist", "1 file").await;
    page.see("setlist.txt").await;
    what_is_new(page).await;
    page.press("bob").await;
    page.see("bob's files").await;
    page.press("Films").await;
    page.see("Download folder").await;
    page.see("Nosferatu 1922.mkv").await;
    page.see("setlist.txt").await;
}

/// What was shared two days ago was shared within a week, not within a day.
async fn what_is_new(page: &Browser) {
    page.press("Filters").await;
    page.script("globalThis.ahead = 2 * 86_400_000", &[]).await;
    page.script("const now = Date.now; Date.now = () => now() + globalThis.ahead", &[]).await;
    page.choose("Shared within", "1").await;
    page.see("Nothing found").await;
    page.see("these filters leave less").await;
    page.choose("Shared within", "7").await;
    page.see("1 file").await;
    page.choose("Shared within", "").await;
    page.script("globalThis.ahead = 0", &[]).await;
}

/// The index knows it a moment after the peer has hashed it.
async fn search_until_found(page: &Browser, words: &str, found: &str) {
    super::page::until(found, async || {
        // What is shown for no words at all is between the answers to these words.
        page.fill("Search", "").await;
        page.see("Shared lately").await;
        page.fill("Search", words).await;
        page.until_true("the search is answered", ANSWERED, &[json!(found)]).await;
        let seen = page.script("return sees(arguments[0])", &[json!(found)]).await;
        Ok((seen == Value::Bool(true)).then_some(()))
    })
    .await;
}

const ANSWERED: &str = "
return isSettled() && !sees('Shared lately') && (sees(arguments[0]) || sees('Nothing found'));
";

/// Pushes a file to bob, and sees what bob pushes without asking for it.
async fn pushes(session: &Session, bob: &Peer) {
    let page = &session.browser;
    fs::write(session.peer.path("letter.txt"), "dear bob").unwrap();
    page.press("Push").await;
    page.see("Nothing has come yet").await;
    page.fill("To user", "bob").await;
    page.fill("File", session.peer.path("letter.txt").to_str().unwrap()).await;
    let form = "document.querySelector('.push-form button[type=submit]').click()";
    page.script(form, &[]).await;
    page.see("Arrived").await;
    let arrived = super::support::tree(&bob.path("Inbox"));
    assert!(arrived.iter().any(|path| path.ends_with("letter.txt")), "{arrived:?}");

    fs::write(bob.path("answer.txt"), "dear alice").unwrap();
    bob.ok(["push", "answer.txt", "alice"]);
    page.see("answer.txt").await;
    page.see("from bob").await;
}
