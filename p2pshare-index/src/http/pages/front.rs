//! The first page: what this index is and how to join.

use std::fmt::Write;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::header;
use p2pshare_core::{
    api::Registration, auth::IndexPublicKey, index::model::StoreCounts, text::visible,
};

use super::{
    PageOptions, PublicUrl, SAFE, address,
    template::{Escaped, Markup, fill},
};
use crate::http::state::App;

const PAGE: &str = include_str!("../../../pages/index.html");

/// Stands where the address would, if it is not known.
const UNKNOWN: &str = "https://ADDRESS-OF-THIS-INDEX";

/// What this index is and how to join.
pub(super) async fn front(State(app): State<App>, request: Request) -> Response {
    let Some(options) = &app.options.pages else {
        // These routes are there only with pages.
        return http::StatusCode::NOT_FOUND.into_response();
    };
    let (parts, _) = request.into_parts();
    let url = address::of_request(&parts, options, &app.options.trusted_proxies);
    let seen = app.lookout.look(&app.index).await;
    let info = app.index.info();
    // The address is repeated only where it is in its own form, see `PublicUrl`.
    let target = target(url.as_ref(), options);
    let key = info.public_keys.first();
    let page = fill(
        PAGE,
        &[
            ("name", &visible(&info.name).to_string()),
            ("version", &info.version),
            ("repository", &env!("CARGO_PKG_REPOSITORY")),
            ("status", &Markup(status(seen.ready).to_owned())),
            ("counts", &Markup(counts(options, seen.counts.as_ref()))),
            ("registration", &words(info.registration)),
            ("url", &target),
            ("register", &Markup(register(info.registration).to_owned())),
            ("again", &Markup(again(info.registration, &target))),
            ("joining", &joining(info.registration)),
            ("note", &Markup(note(url.as_ref()).to_owned())),
            ("key", &key.map(IndexPublicKey::to_string).unwrap_or_default()),
            ("key_id", &key.map(|key| key.key_id().to_string()).unwrap_or_default()),
            ("fingerprint", &Markup(fingerprint(options))),
        ],
    );
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], SAFE, page).into_response()
}

/// What to give to `--index`, safe in a shell.
fn target(url: Option<&PublicUrl>, options: &PageOptions) -> String {
    let Some(url) = url else {
        return UNKNOWN.to_owned();
    };
    let target = match &options.fingerprint {
        Some(fingerprint) if url.is_https() => format!("{url}#sha256={fingerprint}"),
        _ => url.to_string(),
    };
    // Some shells take brackets for a pattern.
    if target.contains('[') { format!("'{target}'") } else { target }
}

fn status(ready: bool) -> &'static str {
    if ready {
        r#"<p class="pill good"><span class="dot"></span>Ready</p>"#
    } else {
        r#"<p class="pill bad"><span class="dot"></span>Not ready: its store does not answer. Try again in a moment.</p>"#
    }
}

/// People and peers, where strangers may know. Never files: their number would tell how much private groups share.
fn counts(options: &PageOptions, counts: Option<&StoreCounts>) -> String {
    let (true, Some(counts)) = (options.counts, counts) else {
        return String::new();
    };
    let mut markup = String::from(r#"<dl class="counts">"#);
    let people = if counts.users == 1 { "person has an account" } else { "people have an account" };
    let online = if counts.online == 1 { "peer is online" } else { "peers are online" };
    for (count, what) in [(counts.users, people), (counts.online, online)] {
        // Writing to a string does not fail.
        let _ = write!(markup, "<div><dt>{what}</dt><dd>{}</dd></div>", grouped(count));
    }
    markup + "</dl>"
}

/// 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn words(registration: Registration) -> &'static str {
    match registration {
        Registration::Open => "Anybody may join",
        Registration::Invite => "Joining needs an invite",
        Registration::Closed => "Operators make the accounts",
    }
}

fn joining(registration: Registration) -> &'static str {
    match registration {
        Registration::Open => "Choose a name and a password. Your account is there at once.",
        Registration::Invite => {
            "Ask somebody who is here for an invite code: four words that they can tell you. It makes you an account under \
             the name that you choose."
        }
        Registration::Closed => {
            "This index takes no registrations. An operator makes you an account; then log in with it."
        }
    }
}

fn register(registration: Registration) -> &'static str {
    match registration {
        Registration::Open => "register YOUR-NAME",
        Registration::Invite => r#"register YOUR-NAME <span class="nobr">--invite CODE</span>"#,
        Registration::Closed => "login YOUR-NAME",
    }
}

/// For those who have an account, where that is not what the steps are about.
fn again(registration: Registration, target: &str) -> String {
    if registration == Registration::Closed {
        return String::new();
    }
    format!(
        r#"<p class="quiet">You have an account already? Then log in:</p><div class="command"><code>p2pshare-peer --index {} login YOUR-NAME</code></div>"#,
        Escaped(target)
    )
}

fn note(url: Option<&PublicUrl>) -> &'static str {
    match url {
        None => {
            r#"<p class="note">Your browser did not say which address it used: ask an operator for the one of this index.</p>"#
        }
        Some(url) if url.is_loopback() => {
            r#"<p class="note">This address works on this machine only. Others need one that they can reach.</p>"#
        }
        Some(_) => "",
    }
}

fn fingerprint(options: &PageOptions) -> String {
    match &options.fingerprint {
        None => String::new(),
        Some(fingerprint) => format!(
            "<div><dt>Certificate (SHA-256)</dt><dd><code>{}</code></dd></div>",
            Escaped(fingerprint)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_fingerprint_is_pinned_where_there_is_tls() {
        let options = PageOptions { fingerprint: Some("ab".repeat(32)), ..PageOptions::default() };
        let target = |text: &str| target(text.parse().ok().as_ref(), &options);
        assert_eq!(
            target("https://a.example"),
            format!("https://a.example#sha256={}", "ab".repeat(32))
        );
        assert_eq!(target("http://a.example"), "http://a.example");
        assert_eq!(target("http://[::1]:7400"), "'http://[::1]:7400'");
    }
}
