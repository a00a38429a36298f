//! The peer's page in a real browser: Chromium, headless, driven over WebDriver, with real programs behind it. Whatever the
//! browser complains about in its console, and whatever it asks another server for, fails the test.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod access;
mod axe;
mod browser;
mod chromium;
mod hands;
mod lasting;
mod lists;
mod many;
mod news;
mod page;
mod session;
mod speed;
mod story;
// What is for the tests of the command line alone is not used here.
#[allow(dead_code, unused_imports)]
#[path = "../e2e/support/mod.rs"]
mod support;
mod views;
mod words;
