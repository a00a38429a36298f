//! The pages in a real browser: Chromium without a window, driven as a person would.
//!
//! Without Chromium the tests do nothing, unless `P2PSHARE_REQUIRE_BROWSER` is set: then they fail.
#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;

mod chromium;

use chromium::Browser;
use common::{PASSWORD, TestIndex, index, start_router};
use p2pshare_core::index::IndexConfig;
use p2pshare_index::{HttpOptions, PageOptions, ServerOptions, router};
use thirtyfour::prelude::*;

async fn with_pages() -> (TestIndex, String) {
    let index = index(IndexConfig { name: "The archive".to_owned(), ..IndexConfig::default() });
    let http = HttpOptions { pages: Some(PageOptions::default()), ..HttpOptions::default() };
    let server = ServerOptions { metrics: http.metrics.clone(), ..ServerOptions::default() };
    let index = start_router(index.clone(), router(index, http), server).await;
    let url = format!("http://{}", index.address);
    (index, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_reads_how_to_join() {
    let Some(browser) = Browser::start().await else { return };
    let (index, url) = with_pages().await;
    browser.driver.goto(&format!("{url}/")).await.unwrap();
    browser.sees("h1", "The archive").await;
    let command = format!("p2pshare-peer --index {url} register YOUR-NAME");
    browser.sees(".steps", &command).await;
    let buttons = browser.driver.find_all(By::Css(".command button")).await.unwrap();
    assert!(buttons.len() >= 6, "each command can be copied: {}", buttons.len());
    buttons[1].click().await.unwrap();
    let copied = browser
        .until("return document.querySelectorAll('.command button')[1].textContent !== 'Copy'");
    copied.await;

    for (width, height) in [(1280, 800), (390, 844)] {
        browser.size(width, height).await;
        let wide =
            "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        for path in ["/", "/docs", "/operator"] {
            browser.driver.goto(&format!("{url}{path}")).await.unwrap();
            assert!(!browser.asks(wide).await, "{path} is wider than {width}");
        }
    }
    browser.end(&index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programmer_finds_a_call() {
    let Some(browser) = Browser::start().await else { return };
    let (index, url) = with_pages().await;
    browser.driver.goto(&format!("{url}/docs")).await.unwrap();
    browser.sees("h1", "API of the index").await;
    let shown = "return document.querySelectorAll('article.call:not([hidden])').length";
    let all = browser.number(shown).await;
    assert!(all > 30, "{all}");
    // The keyboard leads to the field and out of it.
    browser.keys("body", "/").await;
    browser.keys("#filter", "PUT password").await;
    browser
        .until("return document.querySelectorAll('article.call:not([hidden])').length === 1")
        .await;
    browser.sees("#found", "1 call").await;
    browser.sees("article.call:not([hidden])", "/v1/me/password").await;
    browser.keys("#filter", "\u{e00c}").await;
    assert_eq!(browser.number(shown).await, all);
    browser.end(&index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_does_what_operators_do() {
    let Some(browser) = Browser::start().await else { return };
    let (index, url) = with_pages().await;
    index.register("root").await;
    let alice = index.user("alice").await;
    for name in ["bob", "albert"] {
        index.register(name).await;
    }
    browser.driver.goto(&format!("{url}/operator")).await.unwrap();
    // Wrong password, then somebody who is no operator.
    log_in(&browser, "root", "a wrong password").await;
    browser.sees("#login-error", "wrong").await;
    log_in(&browser, "bob", PASSWORD).await;
    browser.sees("#login-error", "no operator").await;
    log_in(&browser, "root", PASSWORD).await;
    browser.sees("#desk h1", "The archive").await;
    browser.sees("#load", "Requests a second").await;
    browser.until("return document.querySelectorAll('#load polyline').length >= 8").await;

    // Users: looking for some, disabling one.
    browser.sees("#users-status", "4 users").await;
    browser.keys("#prefix", "al").await;
    browser.sees("#users-status", "2 users").await;
    browser.click("button[aria-label='Disable alice']").await;
    browser.sees("#confirm", "Disable alice?").await;
    browser.click("#confirm button[value=no]").await;
    assert!(
        index.get("/v1/me").bearer_auth(&alice.token).send().await.unwrap().status().is_success()
    );
    browser.click("button[aria-label='Disable alice']").await;
    browser.click("#confirm-yes").await;
    browser.sees("#users", "disabled").await;
    let ended = index.get("/v1/me").bearer_auth(&alice.token).send().await.unwrap();
    assert_eq!(ended.status(), 401);

    // Invites: making one that works, revoking it.
    browser.click("#tab-invites").await;
    browser.sees("#invites", "No invite is good now").await;
    browser.click("#invite-form button").await;
    browser.sees("#new-invite", "Pass this code on").await;
    browser.sees("#invites", "root").await;
    browser.click("#invites td.actions button").await;
    browser.click("#confirm-yes").await;
    browser.sees("#invites", "No invite is good now").await;

    // Audit: what was done is there, and what is done now comes by itself.
    browser.keys("#tab-invites", "\u{e014}").await;
    browser.sees("#audit", "operator-disable").await;
    browser.sees("#audit", "refused: wrong-credentials").await;
    index.register("newcomer").await;
    browser.sees("#audit", "newcomer").await;

    // A session that is over leads back to the login, and says so.
    let root = "root".parse().unwrap();
    index.index.store().end_sessions(&root, None).await.unwrap();
    browser.sees("#login-error", "session is over").await;
    log_in(&browser, "root", PASSWORD).await;
    browser.sees("#desk h1", "The archive").await;
    // Reloading keeps the session; logging out ends it, here and at the index.
    browser.driver.refresh().await.unwrap();
    browser.sees("#me", "root").await;
    browser.click("#logout").await;
    browser.sees("#login-title", "Log in").await;
    assert_eq!(index.index.store().sessions_of(&root).await.unwrap(), []);
    assert!(browser.asks("return sessionStorage.length === 0").await);
    browser.end(&index).await;
}

async fn log_in(browser: &Browser, name: &str, password: &str) {
    for (field, value) in [("#username", name), ("#password", password)] {
        browser.driver.find(By::Css(field)).await.unwrap().clear().await.unwrap();
        browser.keys(field, value).await;
    }
    browser.click("#login-form button").await;
}
