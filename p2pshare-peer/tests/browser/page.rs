//! What a person does on the page: looks for names that can be read or heard, presses, types, waits.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use thirtyfour::{WebElement, error::WebDriverResult};

use super::browser::Browser;

/// Longest that anything may take before the test is taken for hung. The machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// Functions to find things by their names, in front of every script.
const FIND: &str = include_str!("find.js");

const POST: &str = r"
return fetch(`/api/${arguments[0]}`, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(arguments[1]),
}).then((answer) => answer.status);
";

/// Waits until the condition gives something; says what was waited for in vain.
async fn wait<T, F: Future<Output = WebDriverResult<Option<T>>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // What is looked at may just be replaced.
        let last = condition().await;
        if let Ok(Some(it)) = last {
            return Ok(it);
        }
        if Instant::now() >= deadline {
            return Err(format!("waited {PATIENCE:?} in vain: {what} ({:?})", last.err()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until the condition gives something.
pub(crate) async fn until<T, F: Future<Output = WebDriverResult<Option<T>>>>(
    what: &str,
    condition: impl FnMut() -> F,
) -> T {
    wait(what, condition).await.unwrap_or_else(|vain| panic!("{vain}"))
}

/// Goes to another view. From the event on, the page says itself whether it is there.
const VIEW: &str = r"
return new Promise((resolve) => {
  const before = location.href;
  addEventListener('hashchange', () => resolve(), { once: true });
  location.hash = arguments[0];
  if (location.href === before) resolve();
});
";

/// Takes a text out of what was told in passing.
const TOLD: &str = "
const at = window.toasted.findIndex((each) => each.includes(arguments[0]));
return at >= 0 && window.toasted.splice(at, 1).length === 1;
";

impl Browser {
    /// Opens an address. That of the same page with another fragment opens another view of it.
    pub(crate) async fn go(&self, url: &str) {
        self.driver.goto(url).await.expect(url);
    }

    /// Shows a view of the page that is open, and waits until it has all that it shows at first.
    pub(crate) async fn view(&self, address: &str) {
        self.script(VIEW, &[json!(address)]).await;
        self.settled().await;
    }

    /// Waits until the view is there and fetches nothing any more.
    pub(crate) async fn settled(&self) {
        let script = "return isSettled()";
        until("the view is complete", || self.truth(script, &[])).await;
    }

    /// Runs a script with the functions of `find.js`.
    pub(crate) async fn script(&self, script: &str, arguments: &[Value]) -> Value {
        self.try_script(script, arguments).await.expect(script)
    }

    /// Asks the peer's API for a change, which must succeed.
    pub(crate) async fn post(&self, path: &str, body: Value) {
        let status = self.script(POST, &[json!(path), body]).await;
        assert!(status.as_u64().is_some_and(|status| status < 300), "{path}: {status}");
    }

    async fn try_script(&self, script: &str, arguments: &[Value]) -> WebDriverResult<Value> {
        let whole = format!("{FIND}\n{script}");
        Ok(self.driver.execute(whole, arguments.to_vec()).await?.json().clone())
    }

    async fn truth(&self, script: &str, arguments: &[Value]) -> WebDriverResult<Option<()>> {
        let value = self.try_script(script, arguments).await?;
        Ok((value == Value::Bool(true)).then_some(()))
    }

    /// Waits until a script gives `true`.
    pub(crate) async fn until_true(&self, what: &str, script: &str, arguments: &[Value]) {
        if let Err(vain) = wait(what, || self.truth(script, arguments)).await {
            let page = self.try_script("return document.body.innerText", &[]).await;
            panic!("{vain}; the page says: {page:#?}");
        }
    }

    async fn find(&self, call: &str, name: &str) -> WebDriverResult<Option<WebElement>> {
        let script = format!("{FIND}\nreturn {call}(arguments[0])");
        let found = self.driver.execute(script, vec![json!(name)]).await?;
        if found.json().is_null() {
            return Ok(None);
        }
        found.element().map(Some)
    }

    /// Presses a button, link, tab or switch of this name, as soon as it is there and nothing is in front of it.
    pub(crate) async fn press(&self, name: &str) {
        until(&format!("{name:?} can be pressed"), async || {
            let Some(element) = self.find("control", name).await? else { return Ok(None) };
            element.scroll_into_view().await?;
            element.click().await.map(Some)
        })
        .await;
    }

    /// Types a text into the field of this name, in place of what is there.
    pub(crate) async fn fill(&self, label: &str, text: &str) {
        until(&format!("the field {label:?} can be filled"), async || {
            let Some(field) = self.find("field", label).await? else { return Ok(None) };
            field.clear().await?;
            field.send_keys(text).await.map(Some)
        })
        .await;
    }

    /// Chooses something from the list of this name.
    pub(crate) async fn choose(&self, label: &str, value: &str) {
        let script = "return choose(arguments[0], arguments[1])";
        self.until_true(label, script, &[json!(label), json!(value)]).await;
    }

    /// Waits until this text can be seen.
    pub(crate) async fn see(&self, text: &str) {
        let what = format!("{text:?} is seen");
        self.until_true(&what, "return sees(arguments[0])", &[json!(text)]).await;
    }

    /// Waits until this was told in passing, which may have gone again. It counts once.
    pub(crate) async fn told(&self, text: &str) {
        let what = format!("{text:?} is told in passing");
        self.until_true(&what, TOLD, &[json!(text)]).await;
    }

    /// Waits until this text cannot be seen any more.
    pub(crate) async fn see_no_more(&self, text: &str) {
        let what = format!("{text:?} is gone");
        self.until_true(&what, "return !sees(arguments[0])", &[json!(text)]).await;
    }
}
