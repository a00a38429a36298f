//! How heavy the page is, and how soon one can use it.

use std::{collections::HashMap, time::Instant};

use serde_json::{Value, json};

use super::{browser::Browser, page::PATIENCE, session::Session, support::Index};

/// All that the first page needs, in bytes.
const MOST_BYTES: u64 = 150_000;

/// Files that the first page needs.
const MOST_FILES: usize = 24;

/// Times that one waits for the server, one after another, for what the page is made of: the page itself, then what it
/// names, then what that draws.
const MOST_ROUNDS: usize = 3;

/// Until one can read, type and press, in milliseconds.
const SOON: f64 = 500.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_page_is_light_and_soon_there() {
    let index = Index::start();
    let Some(session) = Session::registered(&index, "alice").await else { return };
    let page = &session.browser;
    page.go(&format!("{}/#/search", session.origin)).await;
    page.settled().await;
    session.expect_clean().await;

    page.load_anew().await;
    let rounds = page.rounds(&session.origin).await;
    println!("{} files: {rounds:?}", rounds.len());
    assert!((5..=MOST_FILES).contains(&rounds.len()), "{rounds:#?}");
    assert!(rounds.values().all(|round| *round <= MOST_ROUNDS), "{rounds:#?}");
    let weight = page.script(WEIGHT, &[]).await.as_u64().unwrap();
    println!("{weight} bytes");
    assert!((10_000..MOST_BYTES).contains(&weight), "the first page weighs {weight} bytes");

    // The machine may be busy with something else for a while.
    let begun = Instant::now();
    let mut ready = Vec::new();
    loop {
        page.load_anew().await;
        let after = page.script(READY, &[]).await.as_f64().unwrap();
        assert!(after > 0.0, "it was ready before it was opened");
        ready.push(after);
        if after < SOON {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "nobody can use the page before {ready:?} ms");
    }
    println!("ready after {ready:.0?} ms, one load after another");
    session.expect_clean().await;
    session.browser.close().await;
}

/// Bytes of the page and of what it loads, without what the API answers.
const WEIGHT: &str = "
return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .filter((each) => !each.name.includes('/api/'))
  .reduce((sum, each) => sum + each.decodedBodySize, 0)
";

/// From the moment that the address was opened until the page says that it can be used.
const READY: &str = "return performance.getEntriesByName('ready')[0].startTime";

impl Browser {
    /// Opens the page as at the first time, with nothing kept.
    async fn load_anew(&self) {
        self.driver.cdp().send_raw("Network.clearBrowserCache", json!({})).await.unwrap();
        self.driver.refresh().await.unwrap();
        self.settled().await;
    }

    /// The files that the page asked for since the console was looked at, each with the number of files that had to be
    /// there before the browser could know of it, itself included.
    async fn rounds(&self, origin: &str) -> HashMap<String, usize> {
        let mut rounds = HashMap::new();
        for event in self.driver.get_log("performance").await.expect("what it asked for") {
            let event: Value = serde_json::from_str(&event.message).expect("JSON");
            let (message, asked) = (&event["message"], &event["message"]["params"]);
            if message["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let own = |url: &Value| Some(url.as_str()?.strip_prefix(origin)?.to_owned());
            let Some(path) = own(&asked["request"]["url"]) else { continue };
            if path.starts_with("/api/") {
                continue;
            }
            let initiator = &asked["initiator"];
            let by = own(&initiator["url"])
                .or_else(|| own(&initiator["stack"]["callFrames"][0]["url"]))
                .and_then(|by| rounds.get(&by).copied())
                .unwrap_or(0);
            rounds.entry(path).or_insert(by + 1);
        }
        rounds
    }
}
