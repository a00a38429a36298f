//! Values on the command line, as people write them.

use std::{
    fmt::Display,
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU16, NonZeroU64},
    str::FromStr,
};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::{Span, ToSpan, ZonedDateTime, civil};
use p2pshare_core::{identity::PeerAddr, path::SharePath, time::Timestamp, transfer::RateLimit};
use serde::de::DeserializeOwned;

use crate::{
    daemon::{SlotUsers, SlotsFor},
    download::typed_path,
};

/// Where the page is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UiAddress {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl FromStr for UiAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let address: SocketAddr =
            text.parse().map_err(|_| "write it like 127.0.0.1:7402, or off".to_owned())?;
        match address.ip().is_loopback() {
            true => Ok(Self::At(address)),
            false => Err(
                "the page is for this machine's own user: it must be a loopback address, as 127.0.0.1"
                    .to_owned(),
            ),
        }
    }
}

/// Reads one of the names that a type of the API has.
pub(super) fn named<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| serde_json::from_value(name.into()))
}

/// Reads a number of bytes such as `700`, `64K`, `5MB` or `1.5GiB`. K, M, G, T are powers of 1,000, Ki, Mi … of 1,024.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    const HELP: &str = "write it like 700, 64KiB, 5MB or 1.5G";
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| format!("not a size: {HELP}"))?;
    let unit = unit.trim().trim_end_matches("/s").trim_end_matches(['B', 'b']).to_ascii_lowercase();
    let (letter, base) = match unit.strip_suffix('i') {
        Some(letter) => (letter, 1024_f64),
        None => (unit.as_str(), 1000.0),
    };
    let power = match letter {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(format!("unknown unit: {HELP}")),
    };
    let bytes = number * base.powi(power);
    if bytes.is_finite() && (0.0..=1e18).contains(&bytes) {
        Ok(bytes.round() as u64)
    } else {
        Err(format!("too large: {HELP}"))
    }
}

/// Reads how long ago, such as `36h`, `7d` or `2 weeks`, or when, such as `2026-11-01` (here) or `2026-11-01T08:00:00Z`.
pub(super) fn parse_since(text: &str) -> Result<Timestamp, String> {
    point_before(text, &ZonedDateTime::now())
}

fn point_before(text: &str, now: &ZonedDateTime) -> Result<Timestamp, String> {
    const HELP: &str = "write it like 36h, 7d, 2w or 2026-11-01";
    let text = text.trim();
    // `08:15` would be so many hours.
    let is_long = |text: &str| !text.contains(':');
    let point = if let Some(long) = text.parse::<Span>().ok().filter(|_| is_long(text)) {
        now.checked_sub(long.abs()).map_err(|_| format!("too long ago: {HELP}"))?.timestamp()
    } else if let Ok(point) = text.parse::<jiff::Timestamp>() {
        point
    } else if let Ok(point) = text.parse::<ZonedDateTime>() {
        point.timestamp()
    } else {
        let here: civil::DateTime =
            text.parse().map_err(|_| format!("neither how long ago nor a date: {HELP}"))?;
        let here = here.to_zoned_datetime(now.time_zone().clone());
        here.map_err(|_| format!("no time that there is here: {HELP}"))?.timestamp()
    };
    // The index's clock may be ahead.
    let latest = now.checked_add(1.day()).map_or(jiff::Timestamp::MAX, |day| day.timestamp());
    match point > latest {
        true => Err("this is yet to come, so nothing was published since".to_owned()),
        false => Ok(Timestamp::from_millis(point.as_millisecond())),
    }
}

/// Reads a path as people write it: a leading or trailing slash does not matter.
pub(super) fn parse_share_path(text: &str) -> Result<SharePath, String> {
    typed_path(text.trim_matches('/')).map_err(|error| error.to_string())
}

/// Reads `HOST:PORT` with or without `tcp://`.
pub(super) fn parse_advertise(text: &str) -> Result<PeerAddr, String> {
    let full = if text.contains("://") { text.to_owned() } else { format!("tcp://{text}") };
    full.parse().map_err(|error: p2pshare_core::identity::AddrError| error.to_string())
}

/// Reads `USER=N`.
pub(super) fn parse_user_slots(text: &str) -> Result<SlotsFor, String> {
    slots_for(text, SlotUsers::User, "alice=2")
}

/// Reads `GROUP=N`.
pub(super) fn parse_group_slots(text: &str) -> Result<SlotsFor, String> {
    slots_for(text, SlotUsers::Group, "lab=4")
}

fn slots_for<T>(
    text: &str,
    whom: impl FnOnce(T) -> SlotUsers,
    example: &str,
) -> Result<SlotsFor, String>
where
    T: FromStr<Err: Display>,
{
    const MOST: u16 = 1024;

    let help = || format!("write it like {example}, with a number of slots from 1 to {MOST}");
    let (name, number) = text.split_once('=').ok_or_else(help)?;
    let slots: NonZeroU16 = number.trim().parse().map_err(|_| help())?;
    if slots.get() > MOST {
        return Err(help());
    }
    let name = name.trim().parse().map_err(|error: T::Err| error.to_string())?;
    Ok(SlotsFor { whom: whom(name), slots })
}

/// Reads `IP:PORT`, or a port on this machine's own address.
pub(super) fn parse_local(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| "write a port, or an address such as 127.0.0.1:9401".to_owned())
}

/// A limit that was given; nothing and 0 are none.
pub(super) fn rate(bytes_per_second: Option<u64>) -> RateLimit {
    RateLimit::new(bytes_per_second.and_then(NonZeroU64::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_served_on_loopback_or_not_at_all() {
        assert_eq!("off".parse(), Ok(UiAddress::Off));
        assert_eq!("[::1]:0".parse(), Ok(UiAddress::At("[::1]:0".parse().unwrap())));
        for text in ["", "on", "7402", "0.0.0.0:7402", "192.0.2.1:7402", "localhost:7402"] {
            assert!(text.parse::<UiAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("700", 700),
            ("64K", 64_000),
            ("64KiB", 65_536),
            ("5MB", 5_000_000),
            ("1.5G", 1_500_000_000),
            ("40 MB/s", 40_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "5X", "-1", "1e30T", "NaN"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: ZonedDateTime = "2026-03-31T12:00:00[Europe/Berlin]".parse().unwrap();
        for (text, point) in [
            ("36h", "2026-03-30T00:00:00+02:00"),
            ("90m", "2026-03-31T10:30:00+02:00"),
            // A day in which clocks were changed has 23 hours.
            ("7d", "2026-03-24T12:00:00+01:00"),
            ("2 weeks ago", "2026-03-17T12:00:00+01:00"),
            ("1 month", "2026-02-28T12:00:00+01:00"),
            ("2026-03-30", "2026-03-30T00:00:00+02:00"),
            (" 2026-03-30T08:15 ", "2026-03-30T08:15:00+02:00"),
            ("2026-03-30T08:15:00Z", "2026-03-30T08:15:00Z"),
            ("2026-03-30T08:15[America/New_York]", "2026-03-30T08:15:00-04:00"),
            ("2026-04-01", "2026-04-01T00:00:00+02:00"),
            ("0s", "2026-03-31T12:00:00+02:00"),
        ] {
            let point: jiff::Timestamp = point.parse().unwrap();
            let point = Timestamp::from_millis(point.as_millisecond());
            assert_eq!(point_before(text, &now), Ok(point), "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "7x",
            "yesterday",
            "08:15:00",
            "2026-13-01",
            "2026-04-02",
            "99999 years",
            "9999999999d",
        ] {
            assert!(point_before(text, &now).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        assert_eq!(parse_local("9401").unwrap().to_string(), "127.0.0.1:9401");
        assert_eq!(parse_local("0.0.0.0:9401").unwrap().to_string(), "0.0.0.0:9401");
        assert!(parse_local("here").is_err() && parse_local("99999").is_err());
    }

    #[test]
    fn slots_for_somebody() {
        let alice = parse_user_slots("Alice=2").unwrap();
        assert_eq!(alice.whom, SlotUsers::User("alice".parse().unwrap()));
        assert_eq!(alice.slots.get(), 2);
        let lab = parse_group_slots("film-club = 1024").unwrap();
        assert_eq!(lab.whom, SlotUsers::Group("film-club".parse().unwrap()));
        for wrong in ["alice", "alice=", "alice=0", "alice=-1", "alice=1025", "alice=x", "=3"] {
            assert!(parse_user_slots(wrong).is_err(), "{wrong}");
        }
        assert!(parse_group_slots("lab").unwrap_err().contains("lab=4"));
    }
}
