//! The client of a running node's local server, for other processes of the same user.

use std::{fmt, time::Duration};

use bytes::Bytes;
use p2pshare_core::{api::Problem, content::ContentId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, header};
use serde::{Serialize, de::DeserializeOwned};

use super::control::Control;
use crate::data_dir::{DataDir, DataDirError};

/// Time to reach the node, which is on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time in which the node must say something.
const READ_TIMEOUT: Duration = Duration::from_secs(150);

/// An answer is cut off after this many bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

const NO_BODY: Option<&()> = None;

/// Why the running node did not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalClientError {
    /// It does not answer, or no longer.
    #[error("the running peer does not answer: {0}")]
    Away(String),
    /// It refused.
    #[error("{}", .0.detail)]
    Problem(Box<Problem>),
    /// It is of another version.
    #[error(
        "the running peer gave an answer that makes no sense ({0}): is it of another version? restart it"
    )]
    BadAnswer(String),
}

/// Talks to the running node of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct LocalClient {
    http: reqwest::Client,
    control: Control,
}

impl LocalClient {
    /// The node that runs for this data directory and can be talked to, if there is one.
    pub fn find(dir: &DataDir) -> Result<Option<Self>, DataDirError> {
        let Some(control) = Control::find(dir)? else { return Ok(None) };
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // The token is for this machine alone.
            .no_proxy()
            // There is no TLS, and to read the system's certificates would take long.
            .tls_certs_only([])
            .tcp_nodelay(true)
            .build();
        match http {
            Ok(http) => Ok(Some(Self { http, control })),
            Err(error) => {
                tracing::warn!(%error, "the running peer cannot be talked to");
                Ok(None)
            }
        }
    }

    /// Asks for something, at a path below `/api` with its query.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, LocalClientError> {
        read(self.send(Method::GET, &format!("/api{path}"), NO_BODY).await?).await
    }

    /// Has something done.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, LocalClientError> {
        read(self.send(Method::POST, &format!("/api{path}"), body).await?).await
    }

    /// Has something removed.
    pub async fn delete(&self, path: &str) -> Result<(), LocalClientError> {
        self.send(Method::DELETE, &format!("/api{path}"), NO_BODY).await.map(drop)
    }

    /// Reads a whole content, while it is downloaded.
    pub async fn content(
        &self,
        content: &ContentId,
        name: &str,
    ) -> Result<ContentStream, LocalClientError> {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let response =
            self.send(Method::GET, &format!("/content/{content}/{name}"), NO_BODY).await?;
        Ok(ContentStream { response })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Response, LocalClientError> {
        let url = format!("{}{path}", self.control.url);
        let mut request = self.http.request(method, url).bearer_auth(self.control.token.reveal());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| away(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        match serde_json::from_slice(&bytes(response).await?) {
            Ok(problem) => Err(LocalClientError::Problem(Box::new(problem))),
            Err(_) => Err(LocalClientError::BadAnswer(format!("status {status}"))),
        }
    }
}

impl fmt::Debug for LocalClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalClient").field("url", &self.control.url).finish_non_exhaustive()
    }
}

/// The bytes of a content, as they come.
#[derive(Debug)]
pub struct ContentStream {
    response: Response,
}

impl ContentStream {
    /// How many bytes come, if that is told.
    pub fn total(&self) -> Option<u64> {
        let value = self.response.headers().get(header::CONTENT_LENGTH)?;
        value.to_str().ok()?.parse().ok()
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the content ends before it is whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LocalClientError> {
        self.response.chunk().await.map_err(|error| away(&error))
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, LocalClientError> {
    let bytes = bytes(response).await?;
    serde_json::from_slice(&bytes).map_err(|error| LocalClientError::BadAnswer(error.to_string()))
}

async fn bytes(mut response: Response) -> Result<Vec<u8>, LocalClientError> {
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| away(&error))? {
        if bytes.len() + part.len() > MAX_ANSWER {
            return Err(LocalClientError::BadAnswer("it is too long".to_owned()));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn away(error: &reqwest::Error) -> LocalClientError {
    // The innermost cause says what a person can use.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    LocalClientError::Away(if error.is_timeout() {
        "timeout".to_owned()
    } else {
        cause.to_string()
    })
}
