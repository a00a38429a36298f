//! Headers and files.

use std::collections::BTreeSet;

use p2pshare_core::api::ProblemKind;
use p2pshare_index::PageOptions;
use reqwest::{Method, StatusCode};

use crate::{
    common::{assert_problem, start},
    with_pages,
};

const PAGES: [&str; 3] = ["/", "/docs", "/operator"];

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The values of an attribute.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let beginning = format!(" {name}=\"");
    let values = html.split(beginning.as_str()).skip(1);
    values.map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Everything of this host that the pages name, scripts that scripts import included.
async fn everything() -> (crate::TestIndex, BTreeSet<String>) {
    let index = with_pages(PageOptions::default()).await;
    let mut paths: BTreeSet<String> = PAGES.map(str::to_owned).into();
    for page in PAGES {
        let html = index.page(page).await;
        for name in ["src", "href"] {
            for link in attributes(&html, name) {
                let is_own = !link.contains("://") && !link.starts_with('#') && link != "./";
                if is_own {
                    paths.insert(format!("/{}", link.split('#').next().unwrap()));
                }
            }
        }
    }
    let scripts: Vec<String> = paths.iter().filter(|path| path.ends_with(".js")).cloned().collect();
    for script in scripts {
        let text = index.page(&script).await;
        let folder = script.rsplit_once('/').unwrap().0;
        for import in text.split("from \"./").skip(1) {
            paths.insert(format!("{folder}/{}", import.split('"').next().unwrap()));
        }
    }
    (index, paths)
}

#[tokio::test]
async fn everything_that_a_page_needs_is_there_and_safe() {
    let (index, paths) = everything().await;
    assert!(paths.len() >= 16, "{paths:?}");
    for path in &paths {
        let answer = index.get(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let headers = answer.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        let media = headers["content-type"].to_str().unwrap().to_owned();
        let of_pages = PAGES.contains(&path.as_str()) || path.starts_with("/assets/");
        if of_pages {
            assert_eq!(headers["content-security-policy"], POLICY, "{path}");
            assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
            let expected = match path.rsplit('.').next().unwrap() {
                "css" => "text/css; charset=utf-8",
                "js" => "text/javascript; charset=utf-8",
                "svg" => "image/svg+xml",
                _ => "text/html; charset=utf-8",
            };
            assert_eq!(media, expected, "{path}");
        }
    }
}

/// The policy forbids what is inside a page, and what is elsewhere: neither is there to be forbidden.
#[tokio::test]
async fn nothing_is_inside_a_page_and_nothing_elsewhere() {
    let (index, paths) = everything().await;
    for path in paths.iter().filter(|path| !path.ends_with(".json")) {
        let text = index.page(path).await;
        for forbidden in
            ["<style", " style=", "<script>", "javascript:", "eval(", "innerHTML", "@import"]
        {
            assert!(!text.contains(forbidden), "{path}: {forbidden}");
        }
        for name in ["onclick", "onload", "onerror", "onsubmit"] {
            assert!(attributes(&text, name).is_empty(), "{path}: {name}");
        }
        for source in attributes(&text, "src") {
            assert!(!source.contains("//"), "{path}: {source}");
        }
        assert!(!text.contains("url("), "{path}");
    }
}

#[tokio::test]
async fn the_first_page_is_small() {
    let index = with_pages(PageOptions::default()).await;
    let html = index.page("/").await;
    let mut bytes = html.len();
    let parts: BTreeSet<&str> = ["src", "href"]
        .iter()
        .flat_map(|name| attributes(&html, name))
        .filter(|link| link.starts_with("assets/"))
        .collect();
    for part in parts {
        bytes += index.page(&format!("/{part}")).await.len();
    }
    assert!(bytes < 50_000, "{bytes}");
}

#[tokio::test]
async fn files_are_asked_for_and_not_sent_again() {
    let (index, paths) = everything().await;
    let files = paths.iter().filter(|path| path.starts_with("/assets/"));
    for path in files.map(String::as_str).chain(["/docs", "/operator"]) {
        let first = index.get(path).send().await.unwrap();
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(first.headers()["cache-control"], "no-cache", "{path}");
        for has in [tag.clone(), format!("\"other\", W/{tag}")] {
            let again = index.get(path).header("if-none-match", has).send().await.unwrap();
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
            assert!(again.bytes().await.unwrap().is_empty());
        }
        let other = index.get(path).header("if-none-match", "\"other\"").send().await.unwrap();
        assert_eq!(other.status(), StatusCode::OK, "{path}");
        let head = index.call(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.headers()["etag"].to_str().unwrap(), tag);
    }
    let front = index.get("/").send().await.unwrap();
    assert_eq!(front.headers()["cache-control"], "no-store", "it is another for each address");
}

/// An app that the API is part of has its own first page.
#[tokio::test]
async fn without_pages_there_are_none() {
    let index = start().await;
    for path in PAGES.into_iter().chain(["/assets/style.css"]) {
        assert_problem(index.get(path).send().await.unwrap(), ProblemKind::NotFound).await;
    }
}

#[tokio::test]
async fn what_is_no_page_is_a_problem() {
    let index = with_pages(PageOptions::default()).await;
    for path in ["/assets/", "/assets/none.js", "/assets/../Cargo.toml", "/docs/", "/operator/x"] {
        assert_problem(index.get(path).send().await.unwrap(), ProblemKind::NotFound).await;
    }
    let posted = index.call(Method::POST, "/").send().await.unwrap();
    assert_problem(posted, ProblemKind::MethodNotAllowed).await;
}
