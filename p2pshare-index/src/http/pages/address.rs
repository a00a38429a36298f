//! What clients connect to: told by the operator, or by the visitor's browser, whose word is checked.

use std::{
    fmt::{self, Display, Formatter},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::extract::ConnectInfo;
use http::{header, request::Parts, uri::Authority};
use serde::{Deserialize, Serialize};

use super::PageOptions;

const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Longest name of a host, as DNS has it.
const MAX_HOST: usize = 253;

/// The URL of an index as clients know it: `http` or `https`, a host, perhaps a port, and nothing else.
///
/// It is made of letters, digits and `.-_:[]/` alone, so it is safe in a page and in a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicUrl {
    https: bool,
    host: String,
    port: Option<u16>,
}

/// A text is not the URL of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not the URL of an index: expected http:// or https://, the name or address of a host, and perhaps a port, \
     such as https://files.example.org:7400"
)]
pub struct PublicUrlError;

impl PublicUrl {
    /// From what a client says that it connected to.
    fn from_authority(https: bool, text: &str) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        let host = authority.host();
        let rest = text.strip_prefix(host)?;
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            None => return None,
            Some(port) => {
                let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                Some(port.parse().ok().filter(|port| is_number && *port > 0)?)
            }
        };
        let usual = if https { 443 } else { 80 };
        let host = is_host(host).then(|| host.to_ascii_lowercase())?;
        Some(Self { https, host, port: port.filter(|port| *port != usual) })
    }

    /// Whether only this machine can connect to it.
    pub(super) fn is_loopback(&self) -> bool {
        let address = self.host.trim_matches(['[', ']']).parse::<IpAddr>();
        self.host == "localhost"
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }

    pub(super) fn is_https(&self) -> bool {
        self.https
    }
}

/// An address, or a name of letters, digits, hyphens, underscores and dots.
fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= MAX_HOST && text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let (https, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(PublicUrlError),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        Self::from_authority(https, authority).ok_or(PublicUrlError)
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = PublicUrlError;

    fn try_from(text: String) -> Result<Self, PublicUrlError> {
        text.parse()
    }
}

impl From<PublicUrl> for String {
    fn from(url: PublicUrl) -> Self {
        url.to_string()
    }
}

impl Display for PublicUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// What clients of this index connect to: as the operator says, else what this visitor did. `None`: neither tells.
pub(super) fn of_request(
    parts: &Parts,
    options: &PageOptions,
    proxies: &[IpAddr],
) -> Option<PublicUrl> {
    if let Some(url) = &options.public_url {
        return Some(url.clone());
    }
    let connected = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip().to_canonical());
    let from_proxy = connected.is_some_and(|address| proxies.contains(&address));
    let forwarded = parts.headers.get_all(FORWARDED_PROTO).iter().next_back();
    let was_https = forwarded
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit(',').next())
        .is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"));
    let https = options.https || (from_proxy && was_https);
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let authority = match (parts.uri.authority(), hosts.next(), hosts.next()) {
        (Some(authority), _, _) => authority.as_str(),
        (None, Some(host), None) => host.to_str().ok()?,
        _ => return None,
    };
    PublicUrl::from_authority(https, authority)
}

/// What is taken for the URL of an index has no character that means something in a page or a shell, and stays the same
/// when it is read again.
pub fn fuzz_public_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let of_host = [true, false].map(|https| PublicUrl::from_authority(https, text));
    for url in of_host.into_iter().flatten().chain(text.parse()) {
        let told = url.to_string();
        let is_plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_:[]/".contains(&byte)
        };
        assert!(told.bytes().all(is_plain), "{told:?} of {text:?}");
        assert_eq!(told.parse(), Ok(url), "{text:?}");
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn read(text: &str) -> Option<String> {
        PublicUrl::from_authority(true, text).map(|url| url.to_string())
    }

    #[test]
    fn hosts_are_taken_as_they_are() {
        for (text, url) in [
            ("files.example.org", "https://files.example.org"),
            ("Files.Example.ORG:7400", "https://files.example.org:7400"),
            ("192.0.2.7:443", "https://192.0.2.7"),
            ("[2001:db8::1]:7400", "https://[2001:db8::1]:7400"),
            ("my_index-1", "https://my_index-1"),
            ("example.org.", "https://example.org."),
        ] {
            assert_eq!(read(text).as_deref(), Some(url));
        }
    }

    #[test]
    fn whatever_else_a_client_writes_is_not_repeated() {
        let long = "a".repeat(64);
        let longer = ["a"; 200].join(".");
        for text in [
            "",
            ":7400",
            "a:",
            "a:0",
            "a:+1",
            "a:65536",
            "a:1:2",
            "user@example.org",
            "a b",
            "<script>",
            "a\"b",
            "a'b",
            "a;reboot",
            "$(reboot)",
            "`reboot`",
            "a|b",
            "a&b",
            "a/b",
            "a?b",
            "a#b",
            "a%20b",
            "-a",
            "a..b",
            ".a",
            "[::1",
            "[::1]x",
            "[fe80::1%eth0]",
            "[v1.x]",
            "::1",
            "ex\u{e4}mple.org",
            &long,
            &longer,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_operators_word_is_checked_too() {
        let read = |text: &str| text.parse::<PublicUrl>().map(|url| url.to_string());
        assert_eq!(read("https://a.example/").unwrap(), "https://a.example");
        assert_eq!(read("http://a.example:81").unwrap(), "http://a.example:81");
        for wrong in
            ["a.example", "ftp://a.example", "https://", "https://a.example/x", "https://a b"]
        {
            assert_eq!(read(wrong), Err(PublicUrlError), "{wrong}");
        }
    }

    #[test]
    fn only_trusted_proxies_tell_the_scheme() {
        let proxy: IpAddr = "10.0.0.1".parse().unwrap();
        let see = |from: &str, forwarded: &str, options: &PageOptions| {
            let request = Request::builder()
                .header("host", "a.example")
                .header(FORWARDED_PROTO, forwarded)
                .extension(ConnectInfo(SocketAddr::new(from.parse().unwrap(), 1)));
            let (parts, ()) = request.body(()).unwrap().into_parts();
            of_request(&parts, options, &[proxy]).unwrap().to_string()
        };
        let plain = PageOptions::default();
        assert_eq!(see("10.0.0.1", "https", &plain), "https://a.example");
        assert_eq!(see("10.0.0.1", "https, http", &plain), "http://a.example");
        assert_eq!(see("10.0.0.2", "https", &plain), "http://a.example");
        let told = PageOptions { public_url: "https://b.example".parse().ok(), ..plain.clone() };
        assert_eq!(see("10.0.0.2", "http", &told), "https://b.example");
        let tls = PageOptions { https: true, ..plain };
        assert_eq!(see("10.0.0.2", "http", &tls), "https://a.example");
    }

    #[test]
    fn two_hosts_are_none() {
        let request = Request::builder().header("host", "a.example").header("host", "b.example");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(of_request(&parts, &PageOptions::default(), &[]), None);
    }

    #[test]
    fn what_only_this_machine_reaches() {
        for (text, is) in [
            ("http://localhost:7400", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:7400", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://192.0.2.1", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().is_loopback(), is, "{text}");
        }
    }
}
