//! What a person does on the pages, told by selectors.

use serde_json::{Value, json};
use thirtyfour::By;

use super::{browser::Browser, page::until};
use crate::common::TestIndex;

impl Browser {
    /// Waits until an element that is seen says so.
    pub(crate) async fn sees(&self, selector: &str, text: &str) {
        let script = "const e = document.querySelector(arguments[0]); \
                      return !!e && e.checkVisibility() && e.textContent.includes(arguments[1])";
        let what = format!("{selector} says {text:?}");
        self.until_true(&what, script, &[json!(selector), json!(text)]).await;
    }

    pub(crate) async fn asks(&self, script: &str) -> bool {
        self.script(script, &[]).await == Value::Bool(true)
    }

    pub(crate) async fn number(&self, script: &str) -> i64 {
        self.script(script, &[]).await.as_i64().unwrap()
    }

    /// Presses it, once it is there and can be.
    pub(crate) async fn click(&self, selector: &str) {
        let script = "const e = document.querySelector(arguments[0]); \
                      return !!e && e.checkVisibility() && !e.disabled";
        self.until_true(selector, script, &[json!(selector)]).await;
        until(&format!("{selector} can be pressed"), async || {
            let element = self.driver.find(By::Css(selector)).await?;
            element.scroll_into_view().await?;
            element.click().await.map(Some)
        })
        .await;
    }

    pub(crate) async fn keys(&self, selector: &str, keys: &str) {
        self.driver.find(By::Css(selector)).await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Ends it. Nothing may have gone wrong in it, and it may have asked no other host for anything.
    pub(crate) async fn end(self, index: &TestIndex) {
        let origin = format!("http://{}", index.address);
        // That a login, a session or a value was refused is what some tests are about, and the browser notes it.
        let refused = ["status of 400", "status of 401", "status of 403"];
        self.expect_clean(&origin, &refused).await;
        self.close().await;
    }
}
