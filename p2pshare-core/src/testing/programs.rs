//! What is alike in the tests of every program: the examples in its help, the script by which bash completes it, and the
//! dashboard of its metrics.

use std::collections::BTreeSet;

/// Words of an example as a shell would give them to the program, up to where it would do something itself.
///
/// # Panics
/// When the line does not call the program.
#[must_use]
pub fn example_words(program: &str, line: &str) -> Vec<String> {
    let (line, _) = line.split_once(" > ").unwrap_or((line, ""));
    let called = format!("{program} ");
    let part = line.split(" | ").find(|part| part.contains(&called));
    let part = part.unwrap_or_else(|| panic!("{line} does not call {program}"));
    let mut words = Vec::new();
    for (at, part) in part.split('"').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// Every command that a bash script looks up to complete it is there under that name.
///
/// # Panics
/// When one is not, or there are less than a handful.
pub fn assert_bash_completes(script: &[u8]) {
    let script = String::from_utf8_lossy(script);
    let looked_up: Vec<_> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("cmd=\"")?.strip_suffix('"'))
        .filter(|label| !label.is_empty())
        .collect();
    assert!(looked_up.len() > 10, "{looked_up:?}");
    for label in looked_up {
        assert!(script.contains(&format!("\n        {label})\n")), "{label}");
    }
}

/// Everything that a dashboard of Grafana shows is among these metrics, as Prometheus reads them.
///
/// # Panics
/// When a metric is not there, or the dashboard shows less than a handful.
pub fn assert_dashboard(dashboard: &str, metrics: &str) {
    let names = dashboard_metrics(dashboard);
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let is_there = metrics.lines().any(|line| line.split([' ', '{']).next() == Some(&name));
        assert!(is_there, "{name} is not in\n{metrics}");
    }
}

/// Names of metrics in the expressions of a dashboard.
fn dashboard_metrics(dashboard: &str) -> BTreeSet<String> {
    let dashboard: serde_json::Value =
        serde_json::from_str(dashboard).unwrap_or_else(|error| panic!("no dashboard: {error}"));
    let items = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let targets =
        items(&dashboard["panels"]).into_iter().flat_map(|panel| items(&panel["targets"]));
    let mut names = BTreeSet::new();
    for target in targets {
        let expression = target["expr"].as_str().unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = expression.split(|c| !is_part(c)).filter(|it| it.starts_with("p2pshare_"));
        names.extend(words.map(str::to_owned));
    }
    names
}
