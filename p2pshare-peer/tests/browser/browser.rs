//! A browser window: how large it is, what it complains about, what it asks for, and pictures of it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{
    CapabilitiesHelper, ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel,
    WebDriver,
};

use super::{chromium::Driver, page::PATIENCE};

/// What the window is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

impl Look {
    pub(crate) const DESKTOP: Self = Self { width: 1280, height: 800, dark: false };
    pub(crate) const PHONE: Self = Self { width: 390, height: 844, dark: false };

    pub(crate) const fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

/// Notes what is told in passing, from the beginning of each page.
const NOTE: &str = r"
window.toasted = [];
new MutationObserver((changes) => {
  for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
    if (node.matches?.('.toast')) window.toasted.push(node.querySelector('.toast-text').textContent);
  }
}).observe(document, { childList: true, subtree: true });
";

/// Takes away what is told in passing, and puts the home of a user in place of a folder, wherever it is read.
const TIDY: &str = r"
for (const toast of document.querySelectorAll('.toast')) toast.remove();
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const text = texts.currentNode;
  if (text.data.includes(arguments[0])) text.data = text.data.replaceAll(arguments[0], '/home/alice');
}
";

/// A window of a browser of its own, with a profile of its own.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    _profile: TempDir,
    _process: Driver,
}

impl Browser {
    /// Opens one; `None` if there is no browser on this machine.
    pub(crate) async fn open() -> Option<Self> {
        let process = Driver::start()?;
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(process.browser.to_str().expect("a plain path")).unwrap();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--lang=en-US",
            "--window-size=1280,800",
            &format!("--user-data-dir={}", profile.path().display()),
        ] {
            wanted.add_arg(argument).unwrap();
        }
        let all = LoggingPrefsLogLevel::All;
        wanted.set("goog:loggingPrefs", json!({ "browser": all, "performance": all })).unwrap();
        let driver = WebDriver::new(&process.url, wanted).await.expect("the browser starts");
        let browser = Self { driver, _profile: profile, _process: process };
        browser.look(Look::DESKTOP).await;
        browser.driver.set_script_timeout(PATIENCE).await.unwrap();
        browser.tool("Page.addScriptToEvaluateOnNewDocument", json!({ "source": NOTE })).await;
        // What a new window shows by itself is of no interest.
        browser.driver.goto("about:blank").await.expect("an empty page");
        browser.driver.get_log("performance").await.expect("what it asked for");
        Some(browser)
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        // It is killed in any case.
        let _ = self.driver.quit().await;
    }

    /// Makes the window look like this.
    pub(crate) async fn look(&self, look: Look) {
        let Look { width, height, dark } = look;
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.tool("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if dark { "dark" } else { "light" };
        // Without motion, so that nothing is looked at half way between two colours.
        let media = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.tool("Emulation.setEmulatedMedia", media).await;
    }

    /// Keeps pictures of what is shown in the folder `P2PSHARE_SCREENSHOTS`, if it is set: as `NAME.png`, and with
    /// `-dark`, `-phone` and `-phone-dark` behind the name. `home`, which is some folder of the test's, reads `/home/alice`
    /// on them.
    pub(crate) async fn pictures(&self, name: &str, home: &Path) {
        let Some(folder) = env::var_os("P2PSHARE_SCREENSHOTS").map(PathBuf::from) else { return };
        self.tool("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        for (kind, look) in [
            ("-phone", Look::PHONE),
            ("-phone-dark", Look::PHONE.dark()),
            ("", Look::DESKTOP),
            ("-dark", Look::DESKTOP.dark()),
        ] {
            self.look(look).await;
            let home = json!(home.to_str().expect("a plain path"));
            self.driver.execute(TIDY, vec![home]).await.expect("texts can be set");
            let png = self.driver.screenshot_as_png().await.expect("a picture");
            fs::write(folder.join(format!("{name}{kind}.png")), png).expect("a file");
        }
        self.tool("Emulation.setScrollbarsHidden", json!({ "hidden": false })).await;
        self.look(Look::DESKTOP).await;
    }

    async fn tool(&self, command: &str, parameters: Value) {
        self.driver.cdp().send_raw(command, parameters).await.expect(command);
    }

    /// Fails if the console has anything but what is expected, or if anything was asked of another server than this one.
    /// Looks at what happened since the last time.
    pub(crate) async fn expect_clean(&self, origin: &str, expected: &[&str]) {
        let console = self.driver.get_log("browser").await.expect("the console");
        let bad: Vec<_> = console
            .iter()
            .map(|entry| format!("{}: {}", entry.level, entry.message))
            .filter(|line| !expected.iter().any(|part| line.contains(part)))
            .collect();
        assert!(bad.is_empty(), "the browser complains:\n{}", bad.join("\n"));

        let events = self.driver.get_log("performance").await.expect("what it asked for");
        for event in events {
            let event: Value = serde_json::from_str(&event.message).expect("JSON");
            let message = &event["message"];
            if message["method"] != "Network.requestWillBeSent" {
                continue;
            }
            let url = message["params"]["request"]["url"].as_str().expect("a URL");
            let own = url == origin || url.starts_with(&format!("{origin}/"));
            assert!(own || url.starts_with("data:"), "it asked another server: {url}");
        }
    }
}
