//! Accessibility: axe-core looks at what is shown.

use serde_json::Value;

use super::browser::{Browser, Look};

/// axe-core, as it is published: see `axe.LICENSE`.
const AXE: &str = include_str!("axe.min.js");

/// All rules, or those about colours alone.
const RUN: &str = r#"
const [colours, done] = arguments;
const rules = colours ? { runOnly: { type: "rule", values: ["color-contrast", "link-in-text-block"] } } : {};
axe.run({ resultTypes: ["violations"], ...rules }).then(
  ({ violations }) => done(violations.map(({ impact, id, nodes }) => ({
    impact, text: `${id}: ${nodes.map((node) => `${node.html}\n${node.failureSummary}`).join("\n")}`,
  }))),
  (error) => done([{ impact: "critical", text: String(error) }]),
);
"#;

impl Browser {
    /// Fails if there is anything serious in what is shown, at desktop and phone width, light and dark.
    pub(crate) async fn expect_accessible(&self, what: &str) {
        let there = self.script("return Boolean(window.axe)", &[]).await;
        if there == Value::Bool(false) {
            self.driver.execute(AXE, Vec::new()).await.expect("axe-core loads");
        }
        for look in [Look::DESKTOP, Look::DESKTOP.dark(), Look::PHONE, Look::PHONE.dark()] {
            self.look(look).await;
            let wider = "return document.documentElement.scrollWidth - innerWidth";
            let wider = self.script(wider, &[]).await;
            assert!(wider.as_i64() <= Some(0), "{what} is {wider} pixels wider than {look:?}");
            // The same page in the dark differs in its colours alone.
            let colours = Value::Bool(look.dark);
            let found = self.driver.execute_async(RUN, vec![colours]).await.expect("axe-core runs");
            let found = found.json().as_array().expect("a list").clone();
            let serious: Vec<_> = found
                .iter()
                .filter(|each| each["impact"] == "serious" || each["impact"] == "critical")
                .filter_map(|each| each["text"].as_str())
                .collect();
            assert!(serious.is_empty(), "{what}, {look:?}:\n{}", serious.join("\n\n"));
        }
        self.look(Look::DESKTOP).await;
    }
}
