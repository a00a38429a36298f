//! Every view, at every width and in both colours: nothing serious for those who cannot see or use a mouse, nothing wider
//! than the window. With `P2PSHARE_SCREENSHOTS=FOLDER` pictures of them are put there.

use std::{env, fs, path::PathBuf};

use super::{
    browser::{Browser, Look},
    session::Session,
    support::{Index, MIB, Peer, noise},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_is_accessible() {
    let index = Index::start();
    let Some(mut session) = Session::open(&index, "alice").await else { return };
    let page = &session.browser;
    page.see("No account yet?").await;
    page.expect_accessible("log in").await;
    page.press("Make one").await;
    page.see("Make an account").await;
    page.expect_accessible("register").await;
    page.press("Log in").await;
    session.register().await;
    session.serving.wait_for_event("ready");
    for (name, address) in VIEWS.into_iter().filter(|(name, _)| !NAMED.contains(name)) {
        session.browser.view(address).await;
        session.browser.expect_accessible(&format!("{name}, empty")).await;
    }

    let (bob, bob_serving) = community(&index, &session).await;
    for (name, address) in VIEWS {
        session.browser.view(address).await;
        session.browser.expect_accessible(name).await;
        picture(&session.browser, name).await;
    }
    dialogs(&session.browser).await;
    session.expect_clean().await;
    drop(bob);
    bob_serving.stop().expect_code(0);
    session.browser.close().await;
}

const VIEWS: [(&str, &str); 11] = [
    ("search", "#/search"),
    ("browse", "#/browse/bob/Music"),
    ("downloads", "#/downloads?show=all"),
    ("download", "#/downloads/1"),
    ("shares", "#/shares"),
    ("push", "#/push"),
    ("uploads", "#/uploads"),
    ("groups", "#/groups"),
    ("group", "#/groups/film-club"),
    ("settings", "#/settings"),
    ("more", "#/more"),
];

/// Those of something that is not there at first.
const NAMED: [&str; 3] = ["browse", "download", "group"];

/// What is shared, with a size in MiB.
const FILES: [(&str, usize); 8] = [
    ("Music/Blue Train (1957)/01 Blue Train.flac", 9),
    ("Music/Blue Train (1957)/02 Moment's Notice.flac", 8),
    (
        "Music/A recording with a name so long that no window is wide enough to show the whole of it.mp3",
        2,
    ),
    ("Music/setlist.txt", 1),
    ("Films/Nosferatu (1922), restored.mkv", 160),
    ("Images/debian-netinst-amd64.iso", 12),
    ("Papers/A Logical Calculus.pdf", 2),
    ("Papers/photo\u{202e}gpj.exe", 1),
];

/// A community in which something happens: alice downloads and shares, bob fetches from her.
async fn community(index: &Index, session: &Session) -> (Peer, super::support::Serving) {
    let page = &session.browser;
    let bob = Peer::registered(index, "bob");
    for (seed, (name, size)) in (1..).zip(FILES) {
        let path = bob.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, noise(size * MIB, seed)).unwrap();
    }
    for folder in ["Music", "Films", "Images", "Papers"] {
        bob.share(bob.path(folder));
    }
    let serving = bob.serve(&["--ui", "off"]);
    bob.ok(["push", "Music/setlist.txt", "alice"]);

    page.view("#/settings").await;
    page.fill("Download limit", "2 MiB").await;
    page.press("Save").await;
    page.see("Saved").await;
    for what in ["bob:/Films/Nosferatu (1922), restored.mkv", "bob:/Images", "bob:/Music"] {
        page.script(DOWNLOAD, &[what.into()]).await;
    }
    page.view("#/downloads/1").await;
    page.see("160 pieces").await;
    page.until_true("it runs", "return document.querySelectorAll('.pieces .full').length > 3", &[])
        .await;

    page.view("#/groups").await;
    page.press("New group").await;
    page.fill("Name", "film-club").await;
    page.press("Create").await;
    page.fill("Add a user", "bob").await;
    page.press("Add").await;
    page.see("2 members").await;
    page.view("#/groups").await;
    page.press("New invite").await;
    page.press("Make the code").await;
    page.see("Your invite code").await;
    page.press("Close").await;

    let music = session.peer.path("Concerts");
    fs::create_dir_all(&music).unwrap();
    fs::write(music.join("Live at home.flac"), noise(24 * MIB, 20)).unwrap();
    page.view("#/shares").await;
    page.press("Share a folder or file").await;
    page.fill("File or folder", music.to_str().unwrap()).await;
    page.press("Share").await;
    page.see("1 file published").await;
    (bob, serving)
}

const DOWNLOAD: &str = r"
return fetch('/api/downloads', {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ what: [arguments[0]] }),
}).then((answer) => answer.status);
";

/// Dialogs, and a form with an error.
async fn dialogs(page: &Browser) {
    page.view("#/search").await;
    page.press("setlist.txt").await;
    page.see("Content id").await;
    page.expect_accessible("details").await;
    page.press("Close").await;
    page.view("#/shares").await;
    page.press("Share a folder or file").await;
    page.see("Who may see it").await;
    page.expect_accessible("share").await;
    page.press("Pick: File or folder").await;
    page.press("Go to this folder").await;
    page.expect_accessible("pick").await;
    page.press("Close").await;
    page.press("Close").await;
    page.press("Stop sharing: Concerts").await;
    page.see("Stop sharing Concerts?").await;
    page.expect_accessible("confirm").await;
    page.press("Cancel").await;
}

/// Keeps pictures of what is shown, if they are asked for.
async fn picture(page: &Browser, name: &str) {
    let Some(folder) = env::var_os("P2PSHARE_SCREENSHOTS").map(PathBuf::from) else { return };
    for (kind, look) in [
        ("", Look::DESKTOP),
        ("-dark", Look::DESKTOP.dark()),
        ("-phone", Look::PHONE),
        ("-phone-dark", Look::PHONE.dark()),
    ] {
        page.look(look).await;
        let png = page.driver.screenshot_as_png().await.expect("a picture");
        fs::write(folder.join(format!("page-{name}{kind}.png")), png).expect("a file");
    }
    page.look(Look::DESKTOP).await;
}
