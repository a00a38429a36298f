//! A Chromium of one's own, on a free port, with nothing of this user.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{
    BrowserLogEntry, RequestData, SessionId, common::command::FormatRequestData, prelude::*,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::common::TestIndex;

const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    _process: Child,
    _folder: TempDir,
}

impl Browser {
    /// None, where there is no Chromium and none is required.
    pub(crate) async fn start() -> Option<Self> {
        let there = |name: &str| {
            std::env::var_os("PATH")
                .is_some_and(|all| std::env::split_paths(&all).any(|dir| dir.join(name).exists()))
        };
        if !there("chromedriver") || !(there("chromium") || there("google-chrome")) {
            assert!(
                std::env::var_os("P2PSHARE_REQUIRE_BROWSER").is_none(),
                "no Chromium: install the packages chromium and chromium-driver"
            );
            return None;
        }
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let port = port(&mut process).await;
        let folder = tempfile::tempdir().unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), options(folder.path()));
        let driver = driver.await.unwrap();
        Some(Self { driver, _process: process, _folder: folder })
    }

    /// Sets the size of the page.
    pub(crate) async fn size(&self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    async fn devtools(&self, command: &'static str, parameters: Value) {
        self.driver.handle().cmd(DevTools { command, parameters }).await.unwrap();
    }

    /// Waits until an element that is seen says so.
    pub(crate) async fn sees(&self, selector: &str, text: &str) {
        let script = "const e = document.querySelector(arguments[0]); \
                      return !!e && e.checkVisibility() && e.textContent.includes(arguments[1])";
        self.wait(script, vec![json!(selector), json!(text)], selector).await;
    }

    /// Waits until a script says so.
    pub(crate) async fn until(&self, script: &str) {
        self.wait(script, Vec::new(), script).await;
    }

    async fn wait(&self, script: &str, arguments: Vec<Value>, what: &str) {
        let begun = Instant::now();
        loop {
            let said = self.driver.execute(script, arguments.clone()).await.unwrap();
            if said.json() == &json!(true) {
                return;
            }
            if begun.elapsed() > LONG {
                let page = self.driver.execute("return document.body.innerText", vec![]).await;
                panic!("{what} {arguments:?} is not there:\n{:?}", page.unwrap().json());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn asks(&self, script: &str) -> bool {
        self.driver.execute(script, vec![]).await.unwrap().json() == &json!(true)
    }

    pub(crate) async fn number(&self, script: &str) -> i64 {
        self.driver.execute(script, vec![]).await.unwrap().json().as_i64().unwrap()
    }

    pub(crate) async fn click(&self, selector: &str) {
        let script = "const e = document.querySelector(arguments[0]); \
                      return !!e && e.checkVisibility() && !e.disabled";
        self.wait(script, vec![json!(selector)], selector).await;
        self.driver.find(By::Css(selector)).await.unwrap().click().await.unwrap();
    }

    pub(crate) async fn keys(&self, selector: &str, keys: &str) {
        self.driver.find(By::Css(selector)).await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Ends it. Nothing may have gone wrong in it, and it may have asked no other host for anything.
    pub(crate) async fn end(self, index: &TestIndex) {
        let own = index.address.to_string();
        let wrong = |entry: &&BrowserLogEntry| {
            // That a login or a session was refused is what some tests are about, and the browser notes it.
            let refused = entry.message.contains(&own)
                && (entry.message.contains("status of 401")
                    || entry.message.contains("status of 403"));
            !refused
        };
        let log = self.driver.handle().browser_log().await.unwrap();
        let wrong: Vec<_> = log.iter().filter(wrong).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let elsewhere = "return performance.getEntriesByType('resource').map(one => one.name)\
                         .filter(name => !name.startsWith(location.origin + '/'))";
        let elsewhere = self.driver.execute(elsewhere, vec![]).await.unwrap();
        assert_eq!(elsewhere.json(), &json!([]));
        self.driver.quit().await.unwrap();
    }
}

/// The port that the driver says it listens on.
async fn port(process: &mut Child) -> u16 {
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let said = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                return port.trim_end_matches('.').parse().unwrap();
            }
        }
        panic!("chromedriver ended")
    };
    tokio::time::timeout(LONG, said).await.expect("chromedriver starts")
}

fn options(folder: &Path) -> ChromeOptions {
    let mut options = DesiredCapabilities::chrome();
    for argument in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--window-size=1280,800",
        // What moves is not where it was when a click was aimed at it.
        "--force-prefers-reduced-motion",
    ] {
        options.add_arg(argument).unwrap();
    }
    options.add_arg(&format!("--user-data-dir={}", folder.display())).unwrap();
    options.set_browser_log_level(thirtyfour::LoggingPrefsLogLevel::Warning).unwrap();
    options
}

type ChromeOptions = thirtyfour::ChromeCapabilities;

/// A command of the DevTools protocol.
#[derive(Debug)]
struct DevTools {
    command: &'static str,
    parameters: Value,
}

impl FormatRequestData for DevTools {
    fn format_request(&self, session: &SessionId) -> RequestData {
        RequestData::new(http::Method::POST, format!("/session/{session}/goog/cdp/execute"))
            .add_body(json!({ "cmd": self.command, "params": self.parameters }))
    }
}
