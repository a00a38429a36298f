//! The client of an index's HTTP API.

mod calls;
mod error;
mod pin;
mod url;

pub use error::ClientError;
pub use url::{IndexUrl, IndexUrlError};

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use p2pshare_core::{api::Problem, auth::SessionToken};
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{self, HeaderMap},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span};

/// Time to reach an index.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which an index must send something.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// And for all of a call: an answer that comes byte by byte ends.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(300);

/// An answer is cut off after this many bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// An index that is tried again for so long is told of.
const SILENT: Duration = Duration::from_secs(2);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A client of one index, with or without a session. Cheap to clone.
///
/// An index that does not answer is tried again for as long as `patience` says, if the call can be sent twice without
/// harm; with several URLs of one index the next one is tried at once.
///
/// Cancellation: dropping a call's future gives it up; whether the index did it is then not known.
#[derive(Clone)]
pub struct IndexClient {
    inner: Arc<Inner>,
    token: Option<SessionToken>,
}

struct Inner {
    servers: Vec<Server>,
    current: AtomicUsize,
    patience: Duration,
}

struct Server {
    url: IndexUrl,
    http: reqwest::Client,
}

/// Whether a call may be sent again when it is not known if the index did it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Sending it twice is the same as once.
    Safe,
    /// Only if it surely did not reach the index.
    Unsafe,
}

impl IndexClient {
    /// A client without a session.
    ///
    /// `urls` are addresses of one and the same index, and must not be empty.
    pub fn new(urls: &[IndexUrl], patience: Duration) -> Result<Self, ClientError> {
        if urls.is_empty() {
            return Err(ClientError::NoIndex);
        }
        let servers = urls
            .iter()
            .map(|url| Ok(Server { url: url.clone(), http: http_client(url)? }))
            .collect::<Result<_, ClientError>>()?;
        let inner = Inner { servers, current: AtomicUsize::new(0), patience };
        Ok(Self { inner: Arc::new(inner), token: None })
    }

    /// The same index with a session.
    #[must_use]
    pub fn with_session(&self, token: SessionToken) -> Self {
        Self { inner: self.inner.clone(), token: Some(token) }
    }

    /// The URL that answered last.
    pub fn url(&self) -> &IndexUrl {
        &self.server().1.url
    }

    /// All URLs of the index, as they were given.
    pub fn urls(&self) -> impl Iterator<Item = &IndexUrl> {
        self.inner.servers.iter().map(|server| &server.url)
    }

    fn server(&self) -> (usize, &Server) {
        let servers = &self.inner.servers;
        let current = self.inner.current.load(Ordering::Relaxed) % servers.len();
        (current, &servers[current])
    }

    /// Sends a call and reads its JSON answer.
    async fn call<T: DeserializeOwned>(
        &self,
        repeat: Repeat,
        method: Method,
        path: &[&str],
        body: Option<&(impl Serialize + Sync)>,
        query: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ClientError> {
        let build = |server: &Server| {
            let mut request = server.http.request(method.clone(), server.url.join(path));
            if let Some(body) = body {
                request = request.json(body);
            }
            if let Some(query) = query {
                request = request.query(query);
            }
            request
        };
        // The first parts of every path are words of the API; names and ids come after them.
        let route = path.iter().take(2).fold(String::new(), |route, part| route + "/" + part);
        let span = p2pshare_telemetry::asking(&method, &route);
        let answer = self.send(repeat, build).instrument(span.clone()).await;
        if answer.is_err() {
            p2pshare_telemetry::failed(&span);
        }
        let answer = answer?;
        // A call without an answer is read as JSON's null, which is the unit type.
        let json = if answer.is_empty() { b"null" } else { answer.as_slice() };
        serde_json::from_slice(json).map_err(|error| ClientError::BadAnswer {
            url: self.url().to_string(),
            reason: error.to_string(),
        })
    }

    /// Sends a call until it is answered, refused, or patience ends.
    async fn send(
        &self,
        repeat: Repeat,
        build: impl Fn(&Server) -> RequestBuilder,
    ) -> Result<Vec<u8>, ClientError> {
        let begun = Instant::now();
        let deadline = begun + self.inner.patience;
        let mut told = false;
        let mut pause = FIRST_PAUSE;
        let mut tried = 0;
        loop {
            let (current, server) = self.server();
            let failure = match self.send_once(server, build(server)).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !failure.may_repeat(repeat) {
                return Err(failure.error);
            }
            tried += 1;
            self.inner.current.store(current + 1, Ordering::Relaxed);
            if tried < self.inner.servers.len() {
                continue;
            }
            let wait = failure.retry_after.unwrap_or(pause).max(pause);
            // An index may ask for any time.
            if wait > deadline.saturating_duration_since(Instant::now()) {
                return Err(failure.error);
            }
            tracing::debug!(error = %failure.error, ?wait, "the index is asked again");
            if !told && begun.elapsed() >= SILENT {
                told = true;
                let left = deadline.saturating_duration_since(Instant::now()).as_secs();
                tracing::warn!("{}: trying again for up to {left} s", failure.error);
            }
            // Jitter, so that many peers do not come back in the same moment.
            sleep(wait.mul_f64(rand::random_range(0.75..1.0))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn send_once(
        &self,
        server: &Server,
        request: RequestBuilder,
    ) -> Result<Vec<u8>, Failure> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.reveal().as_str()),
            None => request,
        };
        let mut context = HeaderMap::new();
        p2pshare_telemetry::propagate(&mut context);
        let request = request.headers(context);
        let unreachable = |error: reqwest::Error| Failure::unreachable(&server.url, &error);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        p2pshare_telemetry::answered(&Span::current(), status);
        let retry_after = retry_after(&response);
        let answer = read(response).await.map_err(unreachable)?.ok_or_else(|| {
            Failure::refused(ClientError::BadAnswer {
                url: server.url.to_string(),
                reason: format!("it is longer than {MAX_ANSWER_BYTES} bytes"),
            })
        })?;
        if status.is_success() {
            return Ok(answer);
        }
        // The first two come from proxies before the index.
        let again = matches!(
            status,
            StatusCode::BAD_GATEWAY
                | StatusCode::GATEWAY_TIMEOUT
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::TOO_MANY_REQUESTS
        );
        let error = match serde_json::from_slice::<Problem>(&answer) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) => ClientError::BadAnswer {
                url: server.url.to_string(),
                reason: format!(
                    "status {status} without a problem document: is this a p2pshare index?"
                ),
            },
        };
        Err(Failure { error, retry_after, reached: true, again })
    }
}

impl fmt::Debug for IndexClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexClient")
            .field("url", self.url())
            .field("session", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

/// One attempt that failed.
struct Failure {
    error: ClientError,
    retry_after: Option<Duration>,
    /// The index may have done what the call says.
    reached: bool,
    /// The same call may succeed later.
    again: bool,
}

impl Failure {
    fn unreachable(url: &IndexUrl, error: &reqwest::Error) -> Self {
        Self {
            error: ClientError::unreachable(url, error),
            retry_after: None,
            reached: !error.is_connect(),
            again: true,
        }
    }

    fn refused(error: ClientError) -> Self {
        Self { error, retry_after: None, reached: true, again: false }
    }

    fn may_repeat(&self, repeat: Repeat) -> bool {
        // A problem of the index's own says that it did nothing.
        let harmless = repeat == Repeat::Safe || !self.reached || self.error.kind().is_some();
        self.again && harmless
    }
}

fn http_client(url: &IndexUrl) -> Result<reqwest::Client, ClientError> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("p2pshare-peer/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(WHOLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true);
    let builder = match url.pin() {
        Some(pin) => builder.tls_backend_preconfigured(pin::client_config(pin)),
        // Reading the system's certificates takes as long as all else that a short command does.
        None if !url.is_encrypted() && !has_proxy() => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(|error| ClientError::unreachable(url, &error))
}

/// Whether the environment names a proxy for plain HTTP. To it a connection may be encrypted.
fn has_proxy() -> bool {
    let names = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    names.into_iter().any(|name| std::env::var_os(name).is_some())
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The body; `None` if it is too long.
async fn read(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await? {
        if body.len() + part.len() > MAX_ANSWER_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&part);
    }
    Ok(Some(body))
}
