//! Who is at the other end of a connection.

use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Once,
};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{HeaderMap, request::Parts};

use super::state::App;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Headers by which proxies tell that they stand in between.
const OF_PROXIES: [&str; 4] = [FORWARDED_FOR, "forwarded", "via", "x-real-ip"];

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
        let trusted = &app.options.trusted_proxies;
        Ok(Self(connected(parts).and_then(|from| behind(from, &parts.headers, trusted))))
    }
}

/// The address at the other end of the connection itself. That it is not known is told once: the app that the API is part
/// of is served without it.
fn connected(parts: &Parts) -> Option<IpAddr> {
    static TOLD: Once = Once::new();

    let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    if info.is_none() {
        TOLD.call_once(|| {
            tracing::warn!(
                "requests come without the address of their client, so that all clients share the limits of one: serve the \
                 router with into_make_service_with_connect_info::<SocketAddr>()"
            );
        });
    }
    info.map(|ConnectInfo(address)| address.ip().to_canonical())
}

/// Both ends of the way that a request came: for what only some addresses may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    connected: Option<IpAddr>,
    client: Option<IpAddr>,
    hidden: bool,
}

impl Ends {
    fn new(connected: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpAddr]) -> Self {
        let client = connected.and_then(|from| behind(from, headers, trusted));
        let is_told = connected.is_some_and(|from| trusted.contains(&from))
            && headers.contains_key(FORWARDED_FOR);
        Self { connected, client, hidden: is_forwarded(headers) && !is_told }
    }

    /// Whether a proxy stands in between that is not a trusted one, or that does not tell whom it was called by.
    pub(crate) fn is_hidden(self) -> bool {
        self.hidden
    }

    /// Whether who is connected and who is the client are both known and allowed.
    pub(crate) fn are(self, allowed: impl Fn(IpAddr) -> bool) -> bool {
        let both = [self.connected, self.client];
        !self.hidden && both.iter().all(|end| end.is_some_and(&allowed))
    }
}

impl FromRequestParts<App> for Ends {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::new(connected(parts), &parts.headers, &app.options.trusted_proxies))
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
        let connected = connected(parts);
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
    if trusted.contains(&client) {
        return false;
    }
    connected.is_some_and(|connected| trusted.contains(&connected) || !is_forwarded(headers))
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    OF_PROXIES.iter().any(|name| headers.contains_key(*name))
}

/// The client behind trusted proxies: each of them appends to `X-Forwarded-For` whom it was called by, so the last one
/// who is not a trusted proxy is the client. What stands before that anybody can have written. If it cannot be read, the
/// client is not known: it is not the proxy.
fn behind(connected: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> Option<IpAddr> {
    let mut client = connected;
    let mut hops = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .rev()
        .flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','))
        .map(address_of);
    while trusted.contains(&client) {
        match hops.next() {
            Some(hop) => client = hop?,
            None => break,
        }
    }
    Some(client)
}

/// The address of a hop. Some proxies write a port after it, and brackets around one of IPv6.
fn address_of(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop.trim_ascii()).ok()?;
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => {
            hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()))
        }
    };
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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
        assert_eq!(see("203.0.113.9", &["1.2.3.4"]), Some(ip("203.0.113.9")));
        assert_eq!(see("10.0.0.1", &["6.6.6.6, 1.2.3.4"]), Some(ip("1.2.3.4")));
        assert_eq!(see("10.0.0.1", &["6.6.6.6, 1.2.3.4", "10.0.0.2"]), Some(ip("1.2.3.4")));
        assert_eq!(see("10.0.0.1", &["junk, 1.2.3.4:80"]), Some(ip("1.2.3.4")));
        assert_eq!(see("10.0.0.1", &["[2001:db8::1]:80"]), Some(ip("2001:db8::1")));
        assert_eq!(see("10.0.0.1", &["[2001:db8::1]"]), Some(ip("2001:db8::1")));
        assert_eq!(see("10.0.0.1", &["[::ffff:10.0.0.2]:80", "10.0.0.2"]), Some(ip("10.0.0.2")));
        assert_eq!(see("10.0.0.1", &[]), Some(ip("10.0.0.1")));
        for unreadable in ["1.2.3.4, junk", "1.2.3.4,", "", "unknown", "1.2.3.4:x", "[1.2.3.4]"] {
            assert_eq!(see("10.0.0.1", &[unreadable]), None, "{unreadable}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_hide_nothing_but_themselves() {
        let trusted = [ip("127.0.0.1")];
        let see = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(value).unwrap());
            behind(ip("127.0.0.1"), &headers, &trusted)
        };
        assert_eq!(see(&b"\xff"[..]), None);
        assert_eq!(see(&b"1.2.3.4, \xff"[..]), None);
        assert_eq!(see(&b"\xff, 1.2.3.4"[..]), Some(ip("1.2.3.4")));
    }

    #[test]
    fn both_ends_of_a_way_must_be_allowed() {
        let trusted = [ip("10.0.0.1"), ip("127.0.0.1")];
        let mine = |from, headers: &HeaderMap, trusted: &[IpAddr]| {
            Ends::new(Some(ip(from)), headers, trusted).are(|address| address.is_loopback())
        };
        let none = HeaderMap::new();
        assert!(mine("127.0.0.1", &none, &trusted));
        assert!(mine("127.0.0.1", &forwarded(&["::1"]), &trusted));
        assert!(!mine("127.0.0.1", &forwarded(&["203.0.113.9"]), &trusted));
        assert!(!mine("127.0.0.1", &forwarded(&["junk"]), &trusted));
        assert!(!mine("10.0.0.1", &forwarded(&["127.0.0.1"]), &trusted), "the proxy is not");
        assert!(!mine("203.0.113.9", &none, &trusted));
        assert!(!Ends::new(None, &none, &trusted).are(|_| true));

        assert!(mine("127.0.0.1", &none, &[]));
        for name in OF_PROXIES {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), "::1".parse().unwrap())]);
            assert!(!mine("127.0.0.1", &headers, &[]), "{name}: a proxy that nobody named");
            let is_told = name == FORWARDED_FOR;
            assert_eq!(mine("127.0.0.1", &headers, &trusted), is_told, "{name}");
        }
    }

    #[test]
    fn a_proxy_that_is_not_known_hides_its_clients() {
        let trusted = [ip("10.0.0.1")];
        let direct = |from: &str, headers: &HeaderMap| {
            let client = behind(ip(from), headers, &trusted).unwrap();
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
