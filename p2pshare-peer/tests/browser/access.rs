//! Who is let in.

use super::{
    browser::Browser,
    session::Session,
    support::{Index, Process},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_token_there_is_no_page() {
    let index = Index::start();
    let Some(session) = Session::open(&index, "alice").await else { return };
    session.browser.see("No account yet?").await;

    // The link worked once; another browser has no use for it, nor for the address alone.
    let stranger = Browser::open().await.expect("there was one before");
    for path in ["/", "/main.js", "/api/state", "/?token=0123456789abcdef"] {
        stranger.go(&format!("{}{path}", session.origin)).await;
        stranger.see_no_more("Log in").await;
        let body = stranger.script("return document.body.innerText", &[]).await;
        let body = body.as_str().unwrap();
        assert!(body.contains("p2pshare-peer ui"), "{path}: {body}");
        let status = stranger.script(STATUS, &[]).await;
        assert_eq!(status, 401, "{path}");
    }
    stranger.close().await;

    // A new link lets another one in.
    let mut again = Process::start({
        let mut command = session.peer.command(["ui"]);
        command.arg("--json");
        command
    });
    let url = again.wait_for_event("ui")["url"].as_str().unwrap().to_owned();
    let other = Browser::open().await.expect("there was one before");
    other.go(&url).await;
    other.see("No account yet?").await;
    let shown = other.script("return location.href", &[]).await;
    assert!(!shown.as_str().unwrap().contains("token"), "the token stays in the address: {shown}");
    other.close().await;
    session.expect_clean().await;
    session.browser.close().await;
}

/// The status of the page that was opened.
const STATUS: &str = "return performance.getEntriesByType('navigation')[0].responseStatus";
