//! Whether others can reach this peer.

use p2pshare_core::{
    api::{ProblemKind, Reachability, Reached},
    process::listen_advice,
};
use tokio::net::TcpListener;

use crate::{account::SavedSession, cli::context::Context, index_client::IndexClient};

use super::Check;
use crate::cli::commands::running::Running;

pub(super) async fn checks(
    context: &Context,
    session: Option<(SavedSession, IndexClient)>,
) -> Vec<Check> {
    let is_served = context.dir.is_served().unwrap_or(false);
    let listening = match is_served {
        true => serving(Running::ask(context).await),
        false => port(context).await,
    };
    let mut checks = vec![listening];
    match session {
        Some((session, client)) if is_served => {
            checks.push(reachable(context, &session, client).await);
        }
        Some(_) => checks.push(
            Check::warn("reachability", "not tried: no peer serves from this data directory")
                .advice("run `p2pshare-peer serve` and then this again"),
        ),
        None => {}
    }
    checks
}

/// How the peer that runs is. One without a page cannot be asked.
fn serving(running: Option<Running>) -> Check {
    const NAME: &str = "serving";

    match running {
        Some(Running { trouble: Some(trouble), .. }) => {
            Check::fail(NAME, format!("the peer that runs is not online: {trouble}"))
        }
        Some(Running { account: None, .. }) => {
            Check::warn(NAME, "the peer that runs waits until somebody logs in")
                .advice("p2pshare-peer login USER")
        }
        Some(Running { online: false, .. }) => {
            Check::warn(NAME, "the peer that runs is not online yet")
                .advice("wait until `serve` says that it is listening, and run this again")
        }
        _ => Check::ok(NAME, "a peer serves from this data directory"),
    }
}

/// Whether `serve` could listen where it would.
async fn port(context: &Context) -> Check {
    let address = match context.settings.serve_listen() {
        Ok(address) => address,
        Err(error) => return Check::fail("port", error.message),
    };
    match TcpListener::bind(address).await {
        Ok(_) => Check::ok("port", format!("{address} is free for `p2pshare-peer serve`")),
        Err(error) => Check::fail("port", format!("{address} cannot be listened on: {error}"))
            .advice(format!(
                "{} with serve --listen or P2PSHARE_LISTEN",
                listen_advice(&error, address)
            )),
    }
}

async fn reachable(context: &Context, session: &SavedSession, client: IndexClient) -> Check {
    const NAME: &str = "reachability";

    let peer = match context.own_peer(session, client.clone()) {
        Ok(peer) => peer.id(),
        Err(error) => return Check::fail(NAME, error.message),
    };
    match client.reachability(&peer).await {
        Ok(answer) if answer.addresses.is_empty() => {
            Check::warn(NAME, "the peer announced no address: it only downloads")
        }
        Ok(answer) => judge(&answer),
        Err(error) if error.kind() == Some(ProblemKind::NotFound) => {
            Check::warn(NAME, "the index does not know that this peer is online, or cannot try it")
                .advice("wait until `serve` says that it is listening, and run this again")
        }
        Err(error) => Check::warn(NAME, format!("not tried: {error}")),
    }
}

fn judge(answer: &Reachability) -> Check {
    const NAME: &str = "reachability";

    let told: Vec<_> = answer
        .addresses
        .iter()
        .map(|check| {
            let address = &check.address;
            let reason = check.reason.as_deref().unwrap_or("no reason is given");
            match check.reached {
                Reached::Yes => format!("{address}: reachable"),
                Reached::No => format!("{address}: not reachable ({reason})"),
                Reached::NotTried => format!("{address}: not tried ({reason})"),
            }
        })
        .collect();
    let told = told.join("; ");
    match answer.verdict() {
        Reached::Yes => Check::ok(NAME, told),
        Reached::No => Check::fail(NAME, told).advice(
            "let the port through firewall and router (UPnP or port forwarding), or name the address from outside \
             with serve --advertise HOST:PORT",
        ),
        Reached::NotTried => Check::warn(NAME, told)
            .advice("have somebody in another place try to fetch from you"),
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::api::AddressCheck;

    use super::{super::State, *};

    #[test]
    fn one_address_that_is_reached_is_enough() {
        let check = |reached, reason: Option<&str>| AddressCheck {
            address: "tcp://203.0.113.7:7401".parse().unwrap(),
            reached,
            reason: reason.map(str::to_owned),
        };
        let no = || check(Reached::No, Some("nothing listens there"));
        let untried = || check(Reached::NotTried, Some("another address"));
        let judged = |addresses| judge(&Reachability { seen_from: None, addresses });
        assert_eq!(judged(vec![no(), check(Reached::Yes, None)]).state, State::Ok);
        let failed = judged(vec![no(), untried()]);
        assert_eq!(failed.state, State::Fail);
        assert!(failed.message.contains("nothing listens") && failed.advice.is_some());
        assert_eq!(judged(vec![untried()]).state, State::Warn);
    }
}
