//! What a request may cost.

use std::{net::IpAddr, time::Duration};

use super::{limits::RateLimits, metrics::Metrics, pages::PageOptions};

/// Settings of [`router`](super::router).
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// A request that takes longer, its body included, is answered with 503.
    pub request_timeout: Duration,
    /// Requests that are worked on at once; four times as many wait for their turn or for their bodies, more are answered
    /// with 503.
    pub concurrent_requests: usize,
    /// Requests of one address that are worked on, wait for their turn or wait for their bodies; more are answered with
    /// 429. It is never more than half of what is let in from all.
    pub requests_per_address: usize,
    /// Most bytes of a body, for the calls that are not named below.
    pub max_body: usize,
    /// Most bytes of a batch for `POST /v1/peers/{id}/files`.
    ///
    /// 1,000 entries whose paths have the largest size (4 KiB) take 4.3 MB of JSON. A client that writes every
    /// character of such paths as `\u` escapes must send smaller batches.
    pub max_publish_body: usize,
    /// Most bytes of a batch for `POST /v1/grants`: 1,000 content ids take 67 kB.
    pub max_grants_body: usize,
    /// Most bytes of all bodies that are held in memory at once, a quarter of it for one address; more are answered with
    /// 503.
    pub body_memory: usize,
    /// Most bytes of all answers that are held in memory because their clients have not read them, a quarter of it for one
    /// address; more are answered with 503. At least four times the largest answer, which has some 5 MB.
    pub answer_memory: usize,
    /// How often somebody may try.
    pub rates: RateLimits,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Addresses that may read the metrics, besides this machine's own: they tell how much is shared, private groups
    /// included. A client whose address is not known may not, nor one behind a proxy unless both are allowed and the proxy
    /// is a trusted one.
    pub metrics_from: Vec<IpAddr>,
    /// Whether peers may have it tried from here whether they can be reached: it connects to the address that the request
    /// came from, and to no other.
    pub reachability: bool,
    /// Pages for people, beside the API: none unless asked for, since an app that this is part of has its own `/`.
    pub pages: Option<PageOptions>,
    /// Where requests are counted. The same one goes into [`ServerOptions`](crate::ServerOptions).
    pub metrics: Metrics,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            concurrent_requests: 512,
            requests_per_address: 256,
            max_body: 64 << 10,
            max_publish_body: 5 << 20,
            max_grants_body: 128 << 10,
            body_memory: 256 << 20,
            answer_memory: 256 << 20,
            rates: RateLimits::default(),
            trusted_proxies: Vec::new(),
            metrics_from: Vec::new(),
            reachability: true,
            pages: None,
            metrics: Metrics::default(),
        }
    }
}
