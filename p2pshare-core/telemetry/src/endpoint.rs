//! Where traces go.

use std::{fmt, str::FromStr};

use http::Uri;
use serde::{Deserialize, Serialize};

/// The URL of a collector, `http://HOST:PORT` or `https://HOST:PORT`, or nothing: then no traces are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint(String);

/// Why a text is no URL of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is none at all.
    #[error("it is not the URL of a collector: write http://HOST:4317 or https://HOST:4317")]
    Url,
    /// It has a name or a password in it, which would be shown with the settings.
    #[error("it has a name or password in it: give credentials by OTEL_EXPORTER_OTLP_HEADERS")]
    Credentials,
    /// It has a path.
    #[error("it has a path: traces go by gRPC, which has none; the port is often 4317")]
    Path,
}

impl Endpoint {
    /// The URL, if there is one.
    pub fn url(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // OpenTelemetry says of its variables that an empty one is one that is not set.
        if text.is_empty() {
            return Ok(Self(String::new()));
        }
        let uri: Uri = text.parse().map_err(|_| EndpointError::Url)?;
        let authority = uri.authority().ok_or(EndpointError::Url)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.host().is_empty() {
            return Err(EndpointError::Url);
        }
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        if uri.path_and_query().is_some_and(|path| path != "/") {
            return Err(EndpointError::Path);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_collectors_are_taken() {
        for text in ["http://127.0.0.1:4317", "https://otel.example.org", "http://[::1]:4317/"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().url(), Some(text));
        }
        assert_eq!("".parse::<Endpoint>().unwrap().url(), None);
        let refused = |text: &str| text.parse::<Endpoint>().unwrap_err();
        for text in ["collector", "localhost:4317", "grpc://h:4317", "/v1/traces", "http://", " "] {
            assert_eq!(refused(text), EndpointError::Url, "{text}");
        }
        assert_eq!(refused("https://ann:s3cret@h:4317"), EndpointError::Credentials);
        assert_eq!(refused("http://h:4318/v1/traces"), EndpointError::Path);
    }
}
