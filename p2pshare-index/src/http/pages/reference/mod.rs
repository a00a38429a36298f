//! The reference of the API: the OpenAPI document as a page, made once.

mod operation;
mod schema;

use std::fmt::Write;

use p2pshare_core::api::ProblemKind;
use serde_json::Value;

use super::template::{Escaped, Markup, fill};
use crate::http::openapi;

const PAGE: &str = include_str!("../../../../pages/docs.html");

/// In which order groups of calls come, and what they are about. Groups that are not here follow.
const GROUPS: &[(&str, &str)] = &[
    ("index", "What the index says of itself"),
    ("accounts", "Making an account, and one's own"),
    ("sessions", "Logging in and out"),
    ("peers", "Announcing peers and keeping them online"),
    ("catalog", "Publishing, searching, browsing"),
    ("grants", "Permission to fetch and to push"),
    ("groups", "Private groups"),
    ("invites", "Codes that let somebody register"),
    ("operators", "For operators of the index"),
    ("machines", "Health, metrics, this description"),
];

/// One call of the document.
struct Call<'d> {
    method: &'d str,
    path: &'d str,
    id: &'d str,
    tag: &'d str,
    operation: &'d Value,
}

/// The whole page.
pub(super) fn page() -> String {
    // What utoipa made is data: it can be written.
    let document = serde_json::to_value(openapi::document()).unwrap_or_default();
    let calls = calls(&document);
    let groups = groups(&calls);
    fill(
        PAGE,
        &[
            ("version", &text(&document["info"]["version"])),
            ("about", &Markup(prose(text(&document["info"]["description"])))),
            ("contents", &Markup(contents(&groups))),
            ("calls", &Markup(sections(&groups, &document))),
            ("schemas", &Markup(schema::all(&document))),
            ("problems", &Markup(problems())),
        ],
    )
}

fn calls(document: &Value) -> Vec<Call<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let calls = paths.flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| Call {
            method,
            path,
            id: text(&operation["operationId"]),
            tag: text(&operation["tags"][0]),
            operation,
        })
    });
    calls.collect()
}

/// Calls by group, with what the group is about.
fn groups<'d, 'c>(calls: &'c [Call<'d>]) -> Vec<(&'d str, &'static str, Vec<&'c Call<'d>>)> {
    let place = |tag: &str| GROUPS.iter().position(|(known, _)| *known == tag);
    let mut tags: Vec<&str> = calls.iter().map(|call| call.tag).collect();
    tags.sort_unstable_by_key(|tag| (place(tag).unwrap_or(GROUPS.len()), *tag));
    tags.dedup();
    let about = |tag: &str| place(tag).and_then(|at| GROUPS.get(at)).map_or("", |(_, about)| about);
    let of = |tag: &'d str| calls.iter().filter(move |call| call.tag == tag).collect();
    tags.into_iter().map(|tag| (tag, about(tag), of(tag))).collect()
}

type Groups<'d, 'c> = [(&'d str, &'static str, Vec<&'c Call<'d>>)];

/// The list of calls beside the page.
fn contents(groups: &Groups<'_, '_>) -> String {
    let mut html = String::new();
    for (tag, _, calls) in groups {
        write(
            &mut html,
            format_args!(
                "<div data-group><h2><a href=\"#group-{0}\">{0}</a></h2><ul>",
                Escaped(tag)
            ),
        );
        for call in calls {
            let (id, method, path) = (Escaped(call.id), Escaped(call.method), Escaped(call.path));
            write(
                &mut html,
                format_args!(
                    "<li data-call=\"{id}\"><a href=\"#{id}\"><span class=\"method {method}\">{method}</span>\
                     <span class=\"path\">{path}</span></a></li>"
                ),
            );
        }
        html.push_str("</ul></div>");
    }
    html
}

fn sections(groups: &Groups<'_, '_>, document: &Value) -> String {
    let mut html = String::new();
    for (tag, about, calls) in groups {
        let tag = Escaped(tag);
        write(
            &mut html,
            format_args!(
                "<section class=\"group\" data-group aria-labelledby=\"group-{tag}\"><h2 id=\"group-{tag}\">{tag}</h2>\
                 <p class=\"about\">{}</p>",
                Escaped(about)
            ),
        );
        for call in calls {
            operation::write(&mut html, call, document);
        }
        html.push_str("</section>");
    }
    html
}

/// The table of all kinds of errors.
fn problems() -> String {
    let mut html = String::new();
    for kind in ProblemKind::ALL {
        let (name, status, title) = (kind.name(), kind.status(), Escaped(kind.title()));
        write(
            &mut html,
            format_args!("<tr><td><code>{name}</code></td><td>{status}</td><td>{title}</td></tr>"),
        );
    }
    html
}

/// The text of a value, or nothing.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Prose with `code` in it.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for (number, part) in text.split('`').enumerate() {
        let part = Escaped(part);
        if number % 2 == 1 {
            write(&mut html, format_args!("<code>{part}</code>"));
        } else {
            write(&mut html, format_args!("{part}"));
        }
    }
    html
}

fn write(html: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = html.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_call_and_every_schema_is_there_once() {
        let page = page();
        let document = serde_json::to_value(openapi::document()).unwrap();
        for call in calls(&document) {
            let anchor = format!("<article class=\"call\" id=\"{}\"", call.id);
            assert_eq!(page.matches(&anchor).count(), 1, "{anchor}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            let anchor = format!("id=\"schema-{name}\"");
            assert_eq!(page.matches(&anchor).count(), 1, "{anchor}");
        }
        for kind in ProblemKind::ALL {
            assert!(page.contains(kind.name()));
        }
        assert!(!page.contains("{{"), "something was not filled in");
    }

    #[test]
    fn every_link_leads_somewhere_and_no_anchor_is_there_twice() {
        let page = page();
        let named = |attribute: &str| -> Vec<String> {
            let of = page.split(attribute).skip(1);
            of.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
        };
        let anchors = named(" id=\"");
        let unique: BTreeSet<&String> = anchors.iter().collect();
        assert_eq!(anchors.len(), unique.len());
        let links = named(" href=\"#");
        assert!(links.len() > 100, "{}", links.len());
        for link in links {
            assert!(unique.contains(&link), "{link}");
        }
    }

    #[test]
    fn every_group_has_its_place() {
        let document = serde_json::to_value(openapi::document()).unwrap();
        let calls = calls(&document);
        let tags: Vec<&str> = groups(&calls).iter().map(|(tag, _, _)| *tag).collect();
        let known: Vec<&str> = GROUPS.iter().map(|(tag, _)| *tag).collect();
        assert_eq!(tags, known);
    }

    #[test]
    fn prose_is_text_with_code() {
        assert_eq!(prose("a `<b>` & c"), "a <code>&lt;b&gt;</code> &amp; c");
    }
}
