//! The pages in a real browser: Chromium without a window, driven as a person would.
//!
//! Without Chromium the tests do nothing, unless `P2PSHARE_REQUIRE_BROWSER` is 1: then they fail. With
//! `P2PSHARE_SCREENSHOTS=FOLDER` pictures of the pages are put there.
#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;

// The browser itself, and axe-core, are those of the peer's page.
#[path = "../../../p2pshare-peer/tests/browser/axe.rs"]
mod axe;
#[allow(dead_code)]
#[path = "../../../p2pshare-peer/tests/browser/browser.rs"]
mod browser;
#[path = "../../../p2pshare-peer/tests/browser/chromium.rs"]
mod chromium;
mod look;
#[allow(dead_code)]
#[path = "../../../p2pshare-peer/tests/browser/page.rs"]
mod page;

use std::{env, path::Path, time::Duration};

use browser::Browser;
use common::{PASSWORD, TestIndex, index, publish, start_router};
use p2pshare_core::{content::ContentId, identity::PeerKey, index::IndexConfig};
use p2pshare_index::{HttpOptions, PageOptions, PublicUrl, ServerOptions, router};
use reqwest::Method;
use serde_json::json;
use thirtyfour::prelude::*;
use tokio::task::JoinHandle;

async fn with_pages() -> (TestIndex, String) {
    with_pages_at(None).await
}

async fn with_pages_at(public_url: Option<PublicUrl>) -> (TestIndex, String) {
    let index =
        index(IndexConfig { name: "Friends of the archive".to_owned(), ..IndexConfig::default() });
    let http = HttpOptions {
        pages: Some(PageOptions { public_url, ..PageOptions::default() }),
        ..HttpOptions::default()
    };
    let server = ServerOptions { metrics: http.metrics.clone(), ..ServerOptions::default() };
    let index = start_router(index.clone(), router(index, http), server).await;
    let url = format!("http://{}", index.address);
    (index, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_reads_how_to_join() {
    let Some(browser) = Browser::open().await else { return };
    let (index, url) = with_pages().await;
    browser.go(&format!("{url}/")).await;
    browser.sees("h1", "Friends of the archive").await;
    let command = format!("p2pshare-peer --index {url} register YOUR-NAME");
    browser.sees(".steps", &command).await;
    let buttons = browser.driver.find_all(By::Css(".command button")).await.unwrap();
    assert!(buttons.len() >= 6, "each command can be copied: {}", buttons.len());
    buttons[1].click().await.unwrap();
    let copied = "return document.querySelectorAll('.command button')[1].textContent !== 'Copy'";
    browser.until_true("it is copied", copied, &[]).await;
    browser.expect_accessible("/").await;
    browser.end(&index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_community_is_shown() {
    let Some(browser) = Browser::open().await else { return };
    let (index, url) = with_pages_at(Some("https://archive.example".parse().unwrap())).await;
    for (number, name) in (1..).zip(USERS) {
        let user = index.user(name).await;
        let key = PeerKey::generate().unwrap();
        let place = format!("/v1/peers/{}", key.peer_id());
        let call = |method, path: &str| index.call(method, path).bearer_auth(&user.token);
        let announce = call(Method::PUT, &place).json(&user.announce(&key)).send();
        assert!(announce.await.unwrap().status().is_success());
        let film = ContentId::of(name.as_bytes());
        let files = publish("Films/Nosferatu (1922).mkv", film, number * 734_003_200);
        let published = call(Method::POST, &format!("{place}/files")).json(&files).send();
        assert!(published.await.unwrap().status().is_success());
    }
    browser.go(&format!("{url}/")).await;
    browser.sees(".counts", "12").await;
    browser.sees(".steps", "--index https://archive.example register").await;
    browser.expect_accessible("/").await;
    browser.pictures("index", Path::new("/home")).await;

    browser.go(&format!("{url}/operator")).await;
    log_in(&browser, USERS[0], PASSWORD).await;
    browser.sees("#users-status", "12 users").await;
    // On a picture the curves are to be seen.
    let points = if env::var_os("P2PSHARE_SCREENSHOTS").is_some() { 24 } else { 3 };
    let visits = visits(&url);
    let drawn =
        "return document.querySelector('#load polyline')?.points.numberOfItems >= arguments[0]";
    browser.until_true("the load is drawn", drawn, &[json!(points)]).await;
    browser.expect_accessible("/operator").await;
    browser.pictures("index-operator", Path::new("/home")).await;
    visits.abort();
    browser.end(&index).await;
}

/// Asks the index for something now and then.
fn visits(url: &str) -> JoinHandle<()> {
    let (client, url) = (reqwest::Client::new(), format!("{url}/v1/index"));
    tokio::spawn(async move {
        for number in 0_u64.. {
            let answer = client.get(&url).send().await.and_then(|it| it.error_for_status());
            answer.expect("the index answers");
            tokio::time::sleep(Duration::from_millis(20 + 37 * number % 90)).await;
        }
    })
}

/// The first one is an operator.
const USERS: [&str; 12] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mike",
    "olivia",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_programmer_finds_a_call() {
    let Some(browser) = Browser::open().await else { return };
    let (index, url) = with_pages().await;
    browser.go(&format!("{url}/docs")).await;
    browser.sees("h1", "API of the index").await;
    let shown = "return document.querySelectorAll('article.call:not([hidden])').length";
    let all = browser.number(shown).await;
    assert!(all > 30, "{all}");
    // The keyboard leads to the field and out of it.
    browser.keys("body", "/").await;
    browser.keys("#filter", "PUT password").await;
    let one = "return document.querySelectorAll('article.call:not([hidden])').length === 1";
    browser.until_true("one call is found", one, &[]).await;
    browser.expect_accessible("/docs, one call").await;
    browser.sees("#found", "1 call").await;
    browser.sees("article.call:not([hidden])", "/v1/me/password").await;
    browser.keys("#filter", "\u{e00c}").await;
    assert_eq!(browser.number(shown).await, all);
    browser.expect_accessible("/docs").await;
    browser.end(&index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_does_what_operators_do() {
    let Some(browser) = Browser::open().await else { return };
    let (index, url) = with_pages().await;
    index.register("root").await;
    let alice = index.user("alice").await;
    for name in ["bob", "albert"] {
        index.register(name).await;
    }
    // An address that names no tab.
    browser.go(&format!("{url}/operator#constructor")).await;
    browser.sees("#login-title", "Log in").await;
    browser.expect_accessible("/operator, login").await;
    // Wrong password, then somebody who is no operator.
    log_in(&browser, "root", "a wrong password").await;
    browser.sees("#login-error", "wrong").await;
    browser.expect_accessible("/operator, wrong password").await;
    log_in(&browser, "bob", PASSWORD).await;
    browser.sees("#login-error", "no operator").await;
    log_in(&browser, "root", PASSWORD).await;
    browser.sees("#desk h1", "Friends of the archive").await;
    browser.sees("#load", "Requests a second").await;
    let drawn = "return document.querySelectorAll('#load polyline').length >= 8";
    browser.until_true("the load is drawn", drawn, &[]).await;

    // Users: looking for some, disabling one.
    browser.sees("#users-status", "4 users").await;
    browser.keys("#prefix", "al").await;
    browser.sees("#users-status", "2 users").await;
    browser.expect_accessible("/operator, users").await;
    browser.click("button[aria-label='Disable alice']").await;
    browser.sees("#confirm", "Disable alice?").await;
    browser.expect_accessible("/operator, a question").await;
    browser.click("#confirm button[value=no]").await;
    assert!(
        index.get("/v1/me").bearer_auth(&alice.token).send().await.unwrap().status().is_success()
    );
    browser.click("button[aria-label='Disable alice']").await;
    browser.click("#confirm-yes").await;
    browser.sees("#users", "disabled").await;
    let ended = index.get("/v1/me").bearer_auth(&alice.token).send().await.unwrap();
    assert_eq!(ended.status(), 401);

    // Who comes meanwhile is seen, and the keyboard stays where it was.
    browser
        .asks("document.querySelector('[aria-label=\"Enable alice\"]').focus(); return true")
        .await;
    index.register("alfred").await;
    browser.sees("#users-status", "3 users").await;
    browser.sees("#users", "alfred").await;
    assert!(browser.asks("return document.activeElement.ariaLabel === 'Enable alice'").await);

    // Invites: one that cannot be, making one that works, revoking it.
    browser.click("#tab-invites").await;
    browser.sees("#invites", "No invite is good now").await;
    let too_many = "const uses = document.getElementById('uses'); \
                    [uses.max, uses.value] = ['', '5000']; return true";
    browser.asks(too_many).await;
    browser.click("#invite-form button").await;
    browser.sees("#trouble", "5000").await;
    browser.asks("document.getElementById('uses').value = '2'; return true").await;
    browser.click("#invite-form button").await;
    browser.sees("#new-invite", "Pass this code on").await;
    browser.sees("#invites", "root").await;
    assert!(browser.asks("return document.getElementById('trouble').hidden").await);
    // The code is shown but once, and stays until somebody logs out.
    browser.click("#tab-users").await;
    browser.click("#tab-invites").await;
    browser.sees("#new-invite", "Pass this code on").await;
    browser.sees("#invites", "root").await;
    browser.expect_accessible("/operator, invites").await;
    browser.click("#invites td.actions button").await;
    browser.click("#confirm-yes").await;
    browser.sees("#invites", "No invite is good now").await;

    // Audit: what was done is there, and what is done now comes by itself.
    browser.keys("#tab-invites", "\u{e014}").await;
    browser.sees("#audit", "operator-disable").await;
    browser.sees("#audit", "refused: wrong-credentials").await;
    browser.expect_accessible("/operator, audit").await;
    index.register("newcomer").await;
    browser.sees("#audit", "newcomer").await;

    // A session that is over leads back to the login, and says so.
    let root = "root".parse().unwrap();
    index.index.store().end_sessions(&root, None).await.unwrap();
    browser.sees("#login-error", "session is over").await;
    log_in(&browser, "root", PASSWORD).await;
    browser.sees("#desk h1", "Friends of the archive").await;
    // Reloading keeps the session; logging out ends it, here and at the index.
    browser.driver.refresh().await.unwrap();
    browser.sees("#me", "root").await;
    browser.click("#logout").await;
    browser.sees("#login-title", "Log in").await;
    assert_eq!(index.index.store().sessions_of(&root).await.unwrap(), []);
    assert!(browser.asks("return sessionStorage.length === 0").await);
    assert!(browser.asks("return document.getElementById('new-invite').textContent === ''").await);
    browser.end(&index).await;
}

async fn log_in(browser: &Browser, name: &str, password: &str) {
    for (field, value) in [("#username", name), ("#password", password)] {
        browser.driver.find(By::Css(field)).await.unwrap().clear().await.unwrap();
        browser.keys(field, value).await;
    }
    browser.click("#login-form button").await;
}
