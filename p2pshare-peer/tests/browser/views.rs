//! Every view, at every width and in both colours: nothing serious for those who cannot see or use a mouse, nothing wider
//! than the window. With `P2PSHARE_SCREENSHOTS=FOLDER` pictures of them are put there.

use std::fs;

use serde_json::json;

use super::{
    browser::Browser,
    session::Session,
    support::{Index, Peer, Process, Serving, noise},
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

    let community = community(&index, &session).await;
    for (name, address) in VIEWS {
        session.browser.view(address).await;
        session.browser.expect_accessible(name).await;
        if name == "download" {
            let sources = "return document.querySelectorAll('.table tbody tr').length >= 2";
            session.browser.until_true("both give", sources, &[]).await;
        }
        session.browser.pictures(&format!("page-{name}"), &session.peer.home()).await;
    }
    dialogs(&session.browser).await;
    session.expect_clean().await;
    drop(community.bob);
    for serving in community.serving {
        serving.stop().expect_code(0);
    }
    session.browser.close().await;
}

const VIEWS: [(&str, &str); 12] = [
    ("search", "#/search"),
    ("filters", "#/search?sort=newest&age=7"),
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

/// What bob shares, with a size in KiB.
const OF_BOB: [(&str, u64); 9] = [
    ("Papers/photo\u{202e}gpj.exe", 96),
    ("Music/setlist.txt", 3),
    ("Datasets/climate-1950-2024.parquet", 38 << 10),
    ("Images/alpine-standard-x86_64.iso", 90 << 10),
    (
        "Music/Live/A recording with a name so long that no window is wide enough to show all of it, side B.mp3",
        11_470,
    ),
    ("Papers/A Logical Calculus.pdf", 2_165),
    (FILM, FILM_PIECES << 10),
    ("Music/John Coltrane/Blue Train (1957)/02 Moment's Notice.flac", 57_802),
    ("Music/John Coltrane/Blue Train (1957)/01 Blue Train.flac", 66_110),
];

/// What carol shares, one of it the same as bob's.
const OF_CAROL: [(&str, u64); 4] = [
    (FILM, FILM_PIECES << 10),
    ("Films/Metropolis (1927).mkv", 31_744),
    ("Pictures/Lago di Como.jpg", 4_976),
    ("Pictures/Over the roofs.jpg", 3_702),
];

/// What alice has.
const OF_ALICE: [(&str, u64); 5] = [
    ("Concerts/Live at home.flac", 98_400),
    ("Concerts/Rehearsal.flac", 41_230),
    ("Films of the club/The General (1926).mkv", 61_440),
    ("Thesis.pdf", 4_106),
    ("letter.txt", 2),
];

const FILM: &str = "Films/Nosferatu (1922), restored.mkv";

/// How many pieces of 1 MiB the film has.
const FILM_PIECES: u64 = 420;

/// Writes files that are as long as they say, and takes little of the disk for it.
fn write(peer: &Peer, files: &[(&str, u64)]) {
    for (name, kib) in files {
        let path = peer.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, noise(1000, name.len() as u64 + kib)).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(kib << 10).unwrap();
    }
}

/// What goes on for as long as it is looked at.
struct Community {
    bob: Peer,
    _carol: Peer,
    serving: Vec<Serving>,
    _fetching: Vec<Process>,
}

/// A community in which something happens: alice downloads and shares, bob and carol fetch from her.
async fn community(index: &Index, session: &Session) -> Community {
    let page = &session.browser;
    let (bob, carol) = (Peer::registered(index, "bob"), Peer::registered(index, "carol"));
    let alice = &session.peer;
    write(alice, &OF_ALICE);
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

    for (name, visibility) in [
        ("Concerts", "public"),
        ("Films of the club", "group:film-club"),
        ("Thesis.pdf", "unlisted"),
    ] {
        let path = alice.path(name);
        page.post("shares", json!({ "path": path, "visibility": visibility })).await;
    }
    page.view("#/shares").await;
    page.see("4 files published").await;
    page.until_true("nothing is looked through any more", AT_REST, &[]).await;
    for (peer, files) in [(&bob, &OF_BOB[..]), (&carol, &OF_CAROL[..])] {
        write(peer, files);
        for folder in fs::read_dir(peer.home()).unwrap() {
            peer.share(folder.unwrap().path());
        }
        fs::create_dir(peer.path("Inbox")).unwrap();
    }
    let serving = [&bob, &carol]
        .map(|peer| peer.serve(&["--ui", "off", "--inbox", peer.path("Inbox").to_str().unwrap()]));
    bob.ok(["push", "Music/setlist.txt", "alice"]);
    carol.ok(["push", "Pictures/Lago di Como.jpg", "alice"]);

    page.post("pushes", json!({ "path": alice.path("letter.txt"), "user": "bob" })).await;
    page.view("#/push").await;
    page.see("Arrived").await;

    // The film is the first one, comes in from both, and goes on all the while.
    let download = async |what: String| page.post("downloads", json!({ "what": [what] })).await;
    limits(page, "Download limit", "20 MiB").await;
    download(format!("bob:/{FILM}")).await;
    page.view("#/downloads/1").await;
    page.see(&format!("{FILM_PIECES} pieces")).await;
    let held = "return parseInt(document.querySelector('.big')?.innerText) >= arguments[0]";
    page.until_true("a third of it is there", held, &[json!(33)]).await;
    limits(page, "Download limit", "2 MiB").await;
    download("bob:/Papers/A Logical Calculus.pdf".to_owned()).await;
    page.view("#/downloads?show=settled").await;
    page.see("A Logical Calculus.pdf").await;
    for what in
        ["carol:/Pictures", "bob:/Music", "bob:/Images", "carol:/Films/Metropolis (1927).mkv"]
    {
        download(what.to_owned()).await;
    }
    page.post("downloads/5/pause", json!({})).await;

    limits(page, "Upload limit", "1 MiB").await;
    let fetching = [&bob, &carol].map(|peer| {
        let mut get = peer.start(["get", "alice:/Concerts/Live at home.flac", "--no-serve"]);
        get.wait_for("some of it has come", |lines| {
            lines.iter().any(|line| line.contains("\"progress\"")).then_some(())
        });
        get
    });
    Community { bob, _carol: carol, serving: serving.into(), _fetching: fetching.into() }
}

async fn limits(page: &Browser, which: &str, rate: &str) {
    page.view("#/settings").await;
    page.fill(which, rate).await;
    page.press("Save").await;
    page.told("Saved").await;
}

/// Whether the peer looks through none of its shares.
const AT_REST: &str = "
return fetch('/api/shares').then((answer) => answer.json()).then(({ items }) => items.every(({ scan }) => !scan));
";

/// Dialogs, and a form with an error.
async fn dialogs(page: &Browser) {
    page.view("#/search?q=setlist").await;
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
