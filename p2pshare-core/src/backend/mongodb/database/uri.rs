//! The URI of a database, whose password nobody sees.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

/// The database that is used unless the URI names one.
const DEFAULT_DATABASE: &str = "p2pshare";

/// Where a MongoDB is: `mongodb://` or `mongodb+srv://` with all that MongoDB's own tools take.
///
/// Displayed and debugged without the password and the options, which can hold secrets too.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoUri {
    text: Zeroizing<String>,
    database: Option<String>,
}

/// A text that is no URI of a MongoDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must begin with `mongodb://` or `mongodb+srv://`, and name a host")]
pub struct ParseMongoUriError;

impl MongoUri {
    /// The same servers, with another database than the URI names.
    pub fn with_database(&self, database: impl Into<String>) -> Self {
        Self { text: self.text.clone(), database: Some(database.into()) }
    }

    pub(super) fn reveal(&self) -> &str {
        &self.text
    }

    /// The database, given the one that the URI names.
    pub(super) fn database(&self, named: Option<&str>) -> String {
        self.database.as_deref().or(named).unwrap_or(DEFAULT_DATABASE).to_owned()
    }

    /// A text without the password, should it be there.
    pub(super) fn redact(&self, text: &str) -> String {
        let (_, user_info, _) = self.parts();
        match user_info.and_then(|info| info.split_once(':')) {
            Some((_, password)) if !password.is_empty() => text.replace(password, "***"),
            _ => text.to_owned(),
        }
    }

    /// Scheme, what stands before the hosts, and the rest. A password that is not written as it must be can have any
    /// character: it ends at the last `@` of all.
    fn parts(&self) -> (&str, Option<&str>, &str) {
        let (scheme, rest) = self.text.split_once("://").unwrap_or(("", &self.text));
        match rest.rsplit_once('@') {
            Some((info, rest)) => (scheme, Some(info), rest),
            None => (scheme, None, rest),
        }
    }
}

impl FromStr for MongoUri {
    type Err = ParseMongoUriError;

    fn from_str(text: &str) -> Result<Self, ParseMongoUriError> {
        let rest = text.strip_prefix("mongodb://").or_else(|| text.strip_prefix("mongodb+srv://"));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.starts_with(['/', '?']) => {
                Ok(Self { text: Zeroizing::new(text.to_owned()), database: None })
            }
            _ => Err(ParseMongoUriError),
        }
    }
}

impl fmt::Display for MongoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, user_info, rest) = self.parts();
        write!(f, "{scheme}://")?;
        if let Some(info) = user_info {
            let (user, password) = info.split_once(':').unwrap_or((info, ""));
            write!(f, "{user}{}@", if password.is_empty() { "" } else { ":***" })?;
        }
        let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
        match &self.database {
            None => f.write_str(rest),
            Some(database) => {
                let hosts = rest.split_once('/').map_or(rest, |(hosts, _)| hosts);
                write!(f, "{hosts}/{database}")
            }
        }
    }
}

impl fmt::Debug for MongoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MongoUri({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("mongodb://h:1,h:2/db?replicaSet=s", "mongodb://h:1,h:2/db"),
            ("mongodb://ann:s3cret@h/db?tls=true", "mongodb://ann:***@h/db"),
            ("mongodb+srv://ann:s3%40cret@h", "mongodb+srv://ann:***@h"),
            ("mongodb://ann:s3c/ret@x?@h/db", "mongodb://ann:***@h/db"),
            ("mongodb://ann@h/db?tlsCertificateKeyFilePassword=s3cret", "mongodb://ann@h/db"),
        ] {
            let uri: MongoUri = text.parse().unwrap();
            assert_eq!(uri.to_string(), shown);
            assert_eq!(format!("{uri:?}"), format!("MongoUri({shown})"));
        }
        let uri: MongoUri = "mongodb://ann:s3cret@h/db".parse().unwrap();
        assert_eq!(uri.redact("no s3cret is told"), "no *** is told");
        assert_eq!(uri.with_database("x").to_string(), "mongodb://ann:***@h/x");
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in ["", "mongodb:", "mongodb://", "mongodb:///db", "sqlite:x", "http://h"] {
            assert_eq!(text.parse::<MongoUri>(), Err(ParseMongoUriError), "{text}");
        }
    }
}
