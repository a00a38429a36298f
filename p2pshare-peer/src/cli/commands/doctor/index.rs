//! What concerns the index: whether it is there, who it is, what time it has, whether it knows us.

use std::time::{Duration, Instant};

use p2pshare_core::{
    api::IndexInfo,
    time::{Clock, SystemClock, Timestamp},
};

use crate::{
    account::SavedSession,
    cli::context::Context,
    index_client::{ClientError, IndexClient, IndexUrl},
    known_index::KnownIndexes,
};

use super::Check;

/// How long an index may take to answer somebody who sits before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The clocks may differ by so much.
const GOOD_CLOCK: Duration = Duration::from_secs(30);

/// An index refuses announces of a clock that is further off.
const USABLE_CLOCK: Duration = Duration::from_secs(5 * 60);

/// Looks at the index, and gives the session that is valid there.
pub(super) async fn checks(context: &Context) -> (Option<(SavedSession, IndexClient)>, Vec<Check>) {
    let saved = context.session_client();
    let urls = match &saved {
        Ok((session, _)) => session.urls().unwrap_or_default(),
        Err(_) => context.index_urls(),
    };
    let mut checks = vec![encryption(&urls)];
    let begun = Instant::now();
    let answer = async { IndexClient::new(&urls, PATIENCE)?.info().await };
    let info = match answer.await {
        Ok(info) => info,
        Err(error) => {
            checks.push(unreachable(&error));
            return (None, checks);
        }
    };
    let took = begun.elapsed();
    checks.push(Check::ok(
        "index",
        format!("{:?} (version {}) answers at {}", info.name, info.version, listed(&urls)),
    ));
    checks.push(pinned(context, &urls, &info));
    checks.push(clock(SystemClock.now(), info.time, took));
    let (session, check) = match saved {
        Ok((session, client)) => valid(session, client).await,
        Err(error) => (
            None,
            Check::fail("session", error.message)
                .advice(error.hint.unwrap_or("p2pshare-peer login USER".to_owned())),
        ),
    };
    checks.push(check);
    (session, checks)
}

fn listed(urls: &[IndexUrl]) -> String {
    urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn encryption(urls: &[IndexUrl]) -> Check {
    match urls.iter().find(|url| !url.is_encrypted() && !url.is_local()) {
        Some(url) => {
            Check::warn("TLS", format!("{url} is not encrypted: passwords can be read on the way"))
                .advice("ask the operator for an https:// URL, and log in with it")
        }
        None if urls.iter().any(IndexUrl::is_encrypted) => {
            let how = match urls.iter().all(|url| url.pin().is_some()) {
                true => "the index is reached by TLS, with the certificate that its URL names",
                false => "the index is reached by TLS",
            };
            Check::ok("TLS", how)
        }
        None => Check::ok("TLS", "not needed: the index is on this machine"),
    }
}

fn unreachable(error: &ClientError) -> Check {
    Check::fail("index", error.to_string())
        .advice(error.hint().unwrap_or("check the URL: --index URL, or the one you logged in with"))
}

fn pinned(context: &Context, urls: &[IndexUrl], info: &IndexInfo) -> Check {
    let mut known = match KnownIndexes::load(&context.dir) {
        Ok(known) => known,
        Err(error) => return Check::fail("index's key", error.to_string()),
    };
    if !known.knows(urls) {
        return Check::warn("index's key", "not known yet: it is remembered at the first login")
            .advice("compare it with what the operator tells you when you log in");
    }
    // What it would remember is thrown away.
    match known.pin(urls, info, false) {
        Ok(_) => Check::ok("index's key", "the same as before, or vouched for by it"),
        Err(error) => Check::fail("index's key", error.to_string()).advice(
            "ask the index's operator whether its key was replaced; if so, log in with --accept-new-key",
        ),
    }
}

/// `own` is the time when the answer had come, `theirs` the time in it.
fn clock(own: Timestamp, theirs: Timestamp, took: Duration) -> Check {
    // When the index wrote it, about half of the time had gone.
    let own = own.saturating_sub(took / 2);
    let (ahead, off) =
        if own > theirs { ("ahead of", own.since(theirs)) } else { ("behind", theirs.since(own)) };
    let said = format!("{:.1} s {ahead} the index's", off.as_secs_f64());
    let advice = "let the system set its clock: timedatectl set-ntp true";
    if off > USABLE_CLOCK {
        Check::fail("clock", said).advice(advice)
    } else if off > GOOD_CLOCK {
        Check::warn("clock", said).advice(advice)
    } else {
        Check::ok("clock", said)
    }
}

async fn valid(
    session: SavedSession,
    client: IndexClient,
) -> (Option<(SavedSession, IndexClient)>, Check) {
    match client.me().await {
        Ok(account) => {
            let said = format!("valid, as {}", account.username);
            (Some((session, client)), Check::ok("session", said))
        }
        Err(error) => {
            let check = Check::fail("session", error.to_string())
                .advice(format!("p2pshare-peer login {}", session.username));
            (None, check)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::State, *};

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        let now = Timestamp::from_secs(1_000_000);
        let at =
            |seconds: i64| clock(now, Timestamp::from_secs(1_000_000 + seconds), Duration::ZERO);
        assert_eq!(at(0).state, State::Ok);
        assert_eq!(at(-20).state, State::Ok);
        assert_eq!(at(60).state, State::Warn);
        assert_eq!(at(-301).state, State::Fail);
        assert!(at(-301).message.contains("ahead"), "{:?}", at(-301));
        // A slow answer is no wrong clock.
        let slow = clock(now, Timestamp::from_secs(1_000_000 - 40), Duration::from_secs(80));
        assert_eq!(slow.state, State::Ok);
    }

    #[test]
    fn passwords_in_the_clear_are_warned_of() {
        let of = |text: &str| encryption(&[text.parse().unwrap()]).state;
        assert_eq!(of("http://127.0.0.1:7400"), State::Ok);
        assert_eq!(of("https://index.example.org"), State::Ok);
        assert_eq!(of("http://index.example.org"), State::Warn);
    }
}
