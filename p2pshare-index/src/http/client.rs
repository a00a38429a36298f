//! Who is at the other end of a connection.

use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{HeaderMap, request::Parts};

use super::state::App;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The IP address that a request came from, if it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddr(pub(crate) Option<IpAddr>);

impl ClientAddr {
    /// What counts as one client in limits: an IPv4 address, or the /64 network of an IPv6 address, which is the least
    /// that one customer gets. All unknown addresses are one client.
    pub(crate) fn network(self) -> IpAddr {
        match self.0.map(|address| address.to_canonical()) {
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            Some(address) => address,
        }
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

impl FromRequestParts<App> for ClientAddr {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let connected = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(address)| address.ip().to_canonical());
        let address =
            connected.map(|from| behind(from, &parts.headers, &app.options.trusted_proxies));
        Ok(Self(address))
    }
}

/// The IP address of a client, if it is certain that nobody stands in between who was not told of: the index may
/// connect to it. Behind a proxy that is not a trusted one, the address would be the proxy's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DirectAddr(pub(crate) Option<IpAddr>);

impl FromRequestParts<App> for DirectAddr {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let Ok(ClientAddr(client)) = ClientAddr::from_request_parts(parts, app).await;
        let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let connected = connected.map(|ConnectInfo(address)| address.ip().to_canonical());
        let trusted = &app.options.trusted_proxies;
        Ok(Self(client.filter(|client| is_direct(*client, connected, &parts.headers, trusted))))
    }
}

fn is_direct(
    client: IpAddr,
    connected: Option<IpAddr>,
    headers: &HeaderMap,
    trusted: &[IpAddr],
) -> bool {
    const OF_PROXIES: [&str; 4] = [FORWARDED_FOR, "forwarded", "via", "x-real-ip"];

    if trusted.contains(&client) {
        return false;
    }
    let is_forwarded = OF_PROXIES.iter().any(|name| headers.contains_key(*name));
    connected.is_some_and(|connected| trusted.contains(&connected) || !is_forwarded)
}

/// The client behind trusted proxies: each of them appends to `X-Forwarded-For` whom it was called by, so the last one
/// who is not a trusted proxy is the client. What stands before that anybody can have written.
fn behind(connected: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let mut client = connected;
    let mut hops = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .rev()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','))
        .map(|hop| hop.trim().parse::<IpAddr>());
    while trusted.contains(&client) {
        match hops.next() {
            Some(Ok(hop)) => client = hop.to_canonical(),
            _ => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn forwarded(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted = [ip("10.0.0.1"), ip("10.0.0.2")];
        let see = |from, values: &[&str]| behind(ip(from), &forwarded(values), &trusted);
        assert_eq!(see("203.0.113.9", &["1.2.3.4"]), ip("203.0.113.9"));
        assert_eq!(see("10.0.0.1", &["6.6.6.6, 1.2.3.4"]), ip("1.2.3.4"));
        assert_eq!(see("10.0.0.1", &["6.6.6.6, 1.2.3.4", "10.0.0.2"]), ip("1.2.3.4"));
        assert_eq!(see("10.0.0.1", &["1.2.3.4, junk"]), ip("10.0.0.1"));
        assert_eq!(see("10.0.0.1", &[]), ip("10.0.0.1"));
    }

    #[test]
    fn a_proxy_that_is_not_known_hides_its_clients() {
        let trusted = [ip("10.0.0.1")];
        let direct = |from: &str, headers: &HeaderMap| {
            let client = behind(ip(from), headers, &trusted);
            is_direct(client, Some(ip(from)), headers, &trusted)
        };
        let none = HeaderMap::new();
        assert!(direct("203.0.113.9", &none));
        assert!(direct("10.0.0.1", &forwarded(&["203.0.113.9"])));
        assert!(!direct("10.0.0.1", &none), "the proxy itself");
        assert!(!direct("10.0.0.2", &forwarded(&["203.0.113.9"])), "a proxy that nobody named");
        for name in ["via", "forwarded", "x-real-ip"] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), "x".parse().unwrap())]);
            assert!(!direct("10.0.0.2", &headers), "{name}");
        }
        assert!(!is_direct(ip("10.0.0.2"), None, &none, &trusted));
    }

    #[test]
    fn one_customer_is_one_network() {
        let network = |text| ClientAddr(Some(ip(text))).network();
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), ip("192.0.2.1"));
    }
}
