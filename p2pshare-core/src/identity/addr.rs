//! Where a peer is reached.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::text::{serde_as_text, visible};

/// An address of a peer, written as `KIND://…`. Today there is one kind, `tcp://HOST:PORT`; more can join.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PeerAddr {
    /// Reached directly over TCP.
    Tcp {
        /// The machine.
        host: Host,
        /// The port.
        port: NonZeroU16,
    },
}

impl PeerAddr {
    /// Longest text form, in bytes: the scheme, the longest name of a host, a port.
    pub const MAX_BYTES: usize = "tcp://".len() + DnsName::MAX_BYTES + ":65535".len();

    /// The TCP address of a socket; `None` if its port is 0. The scope of an IPv6 address is left out: it means
    /// nothing to another machine.
    pub fn from_socket(socket: SocketAddr) -> Option<Self> {
        let host = Host::from(socket.ip());
        NonZeroU16::new(socket.port()).map(|port| Self::Tcp { host, port })
    }
}

impl Display for PeerAddr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

impl FromStr for PeerAddr {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, AddrError> {
        if text.len() > Self::MAX_BYTES {
            return Err(AddrError::TooLong { bytes: text.len() });
        }
        let (scheme, rest) = text.split_once("://").ok_or(AddrError::NoScheme)?;
        if scheme != "tcp" {
            return Err(AddrError::UnknownScheme(scheme.to_owned()));
        }
        let (host, port) = rest.rsplit_once(':').ok_or(AddrError::Port)?;
        Ok(Self::Tcp { port: parse_port(port)?, host: host.parse()? })
    }
}

serde_as_text!(PeerAddr);

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(
    PeerAddr,
    PeerAddr::MAX_BYTES,
    r"^tcp://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$",
    "Where a peer is reached: `tcp://HOST:PORT`, the host an IPv4 address, an IPv6 address in brackets or a DNS name.",
    "tcp://203.0.113.7:7401"
);

fn parse_port(text: &str) -> Result<NonZeroU16, AddrError> {
    // The number parser would also take a sign.
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddrError::Port);
    }
    text.parse().map_err(|_| AddrError::Port)
}

/// The machine in an address. An IPv6 address is written in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A name to be looked up.
    Dns(DnsName),
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip) => write!(f, "{ip}"),
            Self::V6(ip) => write!(f, "[{ip}]"),
            Self::Dns(name) => write!(f, "{name}"),
        }
    }
}

impl FromStr for Host {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, AddrError> {
        if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return inside.parse().map(Self::V6).map_err(|_| AddrError::Host);
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::V4(ip));
        }
        DnsName::parse(text).map(Self::Dns)
    }
}

/// A DNS name as machines have them (RFC 1123), in lower case: labels of 1 to 63 letters, digits and hyphens, no
/// hyphen at either end of a label, no dot at the end. The last label is no number, so that no resolver can take the
/// name for an IPv4 address in a short or hexadecimal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(Box<str>);

impl DnsName {
    /// Longest name, in bytes.
    pub const MAX_BYTES: usize = 253;

    /// Reads a name; upper case is folded.
    ///
    /// # Errors
    /// [`AddrError::Host`].
    pub fn parse(text: &str) -> Result<Self, AddrError> {
        let last = text.rsplit('.').next().unwrap_or(text);
        if text.len() > Self::MAX_BYTES || !text.split('.').all(is_label) || is_number(last) {
            return Err(AddrError::Host);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for DnsName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|b| b.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Why a text is not a [`PeerAddr`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddrError {
    /// It does not say how the peer is reached.
    #[error("the address has no kind: write it as tcp://HOST:PORT")]
    NoScheme,
    /// It says a way that this version does not know.
    #[error("the kind of address `{}` is not known to this version: write tcp://HOST:PORT, or update", visible(.0))]
    UnknownScheme(String),
    /// The host is not valid.
    #[error(
        "the host of the address is not valid: it must be an IPv4 address, an IPv6 address in brackets or a DNS name"
    )]
    Host,
    /// The port is missing or not valid.
    #[error(
        "the port of the address is missing or not valid: end the address in `:` and a number from 1 to 65535"
    )]
    Port,
    /// It is too long.
    #[error("the address is {bytes} bytes long, at most {max} are allowed", max = PeerAddr::MAX_BYTES)]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
}
