//! The URL of an index.

use std::{fmt, net::SocketAddr, str::FromStr};

use data_encoding::HEXLOWER_PERMISSIVE;
use reqwest::Url;
use url::Host;

/// URL of an index: `http://host:port` or `https://host:port`, with `#sha256=HEX` to accept only the certificate of
/// this fingerprint.
#[derive(Clone, PartialEq, Eq)]
pub struct IndexUrl {
    base: Url,
    pin: Option<[u8; 32]>,
}

/// A text that is no URL of an index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the URL of an index: {reason}; it looks like http://127.0.0.1:7400")]
pub struct IndexUrlError {
    text: String,
    reason: String,
}

impl IndexUrl {
    /// The fingerprint of the certificate to accept, if one is pinned.
    pub fn pin(&self) -> Option<[u8; 32]> {
        self.pin
    }

    /// Whether both lead to the same place, where either may leave out the fingerprint.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let pins_agree = match (self.pin, other.pin) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => true,
        };
        self.base == other.base && pins_agree
    }

    /// Whether it leads to this machine, wherever it is used.
    pub fn is_local(&self) -> bool {
        match self.base.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Whether it is reached by TLS.
    pub fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The address of the index, looked up by name if need be; `None` if that fails.
    pub(crate) fn socket_addr(&self) -> Option<SocketAddr> {
        self.base.socket_addrs(|| None).ok()?.into_iter().next()
    }

    /// The URL of a call: every part is one path segment, whatever characters it has.
    pub(super) fn join(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

impl FromStr for IndexUrl {
    type Err = IndexUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            |reason: String| IndexUrlError { text: text.chars().take(200).collect(), reason };
        let mut base = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() || !base.has_host()
        {
            return Err(wrong("it does not begin with http:// or https:// and a host".into()));
        }
        if base.query().is_some() || !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("it has a user, a password or a query".into()));
        }
        let pin = match base.fragment() {
            None => None,
            Some(fragment) => Some(parse_pin(fragment).ok_or_else(|| {
                wrong("after # only sha256= and 64 hex digits can follow".into())
            })?),
        };
        if pin.is_some() && base.scheme() != "https" {
            return Err(wrong("a fingerprint needs https://".into()));
        }
        base.set_fragment(None);
        // With or without slashes at its end it is the same place.
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok(Self { base, pin })
    }
}

fn parse_pin(fragment: &str) -> Option<[u8; 32]> {
    let hex = fragment.strip_prefix("sha256=")?.replace(':', "");
    HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?.try_into().ok()
}

impl fmt::Display for IndexUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))?;
        match self.pin {
            Some(pin) => write!(f, "#sha256={}", HEXLOWER_PERMISSIVE.encode(&pin)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for IndexUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_survives_its_text() {
        let pinned = format!("https://example.org:7400#sha256={}", "ab".repeat(32));
        let slashes: IndexUrl = "http://127.0.0.1:7400/below//".parse().unwrap();
        assert_eq!(Ok(slashes), "http://127.0.0.1:7400/below".parse());
        for text in ["http://127.0.0.1:7400", "https://example.org/share", &pinned] {
            let url: IndexUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), text);
            assert_eq!(url.to_string().parse(), Ok(url));
        }
    }

    #[test]
    fn places_are_told_apart() {
        let url = |text: &str| text.parse::<IndexUrl>().unwrap();
        let pinned = |byte: &str| url(&format!("https://a:1#sha256={}", byte.repeat(32)));
        assert!(url("https://a:1").is_same_place(&url("https://a:1/")));
        assert!(url("https://a:1").is_same_place(&pinned("ab")));
        assert!(!pinned("ab").is_same_place(&pinned("cd")));
        assert!(!url("https://a:1").is_same_place(&url("http://a:1")));
        assert!(!url("https://a:1").is_same_place(&url("https://a:2")));
        assert!(url("http://127.0.0.5:1").is_local() && url("http://[::1]:1").is_local());
        assert!(url("http://localhost:1").is_local() && !url("http://192.0.2.1:1").is_local());
    }

    #[test]
    fn calls_are_below_the_base_and_cannot_leave_it() {
        let url: IndexUrl = "https://example.org/share/".parse().unwrap();
        assert_eq!(url.join(&["v1", "me"]).as_str(), "https://example.org/share/v1/me");
        assert_eq!(
            url.join(&["v1", "a/../b?c#d"]).as_str(),
            "https://example.org/share/v1/a%2F..%2Fb%3Fc%23d"
        );
    }

    #[test]
    fn what_is_no_index_is_refused() {
        for text in [
            "",
            "127.0.0.1:7400",
            "ftp://x",
            "http://",
            "http://u:p@x",
            "http://x?q",
            "http://x#sha256=00",
        ] {
            assert!(text.parse::<IndexUrl>().is_err(), "{text}");
        }
    }
}
