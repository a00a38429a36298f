//! The configuration that arguments, environment and file mean together.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use p2pshare_core::index::IndexConfig;
use p2pshare_telemetry::{Endpoint, Log};
use serde::{Deserialize, Serialize};

use super::{
    args::{ConfigFile, ServeArgs, ToolArgs},
    error::CliError,
    logging::parse_filter,
    sections::{
        CommunitySection, DataSection, LimitsSection, LogSection, ServerSection, TracesSection,
    },
    span::Span,
    store::StoreUri,
};
use crate::{HttpOptions, Metrics, PageOptions, RateLimits, ServerOptions};

/// What `serve` logs unless told.
const SERVE_LOG: &str = "info";

const DEFAULT_PORT: u16 = 7400;

/// Largest configuration file.
const MAX_FILE: u64 = 1 << 20;

/// How long an index that may not be the only one over its store relies on a session that it looked up.
const SHARED_SESSION_CACHE: Duration = Duration::from_secs(2);

/// The most that the timeouts of the server can be.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    data: DataSection,
    community: CommunitySection,
    server: ServerSection,
    limits: LimitsSection,
    log: LogSection,
    traces: TracesSection,
}

impl File {
    /// The options of arguments and environment, as a file would have them.
    fn of(args: ServeArgs) -> Self {
        let ServeArgs { config: _, data, community, server, limits, log, traces } = args;
        Self { data, community, server, limits, log, traces }
    }

    /// These options, and those of `other` where none is given here.
    fn or(self, other: Self) -> Self {
        Self {
            data: self.data.or(other.data),
            community: self.community.or(other.community),
            server: self.server.or(other.server),
            limits: self.limits.or(other.limits),
            log: self.log.or(other.log),
            traces: self.traces.or(other.traces),
        }
    }
}

/// What is read is written and read again the same, or refused.
pub(super) fn check_round_trip(text: &str) {
    let Ok(file) = toml::from_str::<File>(text) else { return };
    // A number that TOML cannot hold can only come from this program.
    let written = toml::to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let again = toml::from_str::<File>(&written);
    assert!(again.as_ref() == Ok(&file), "{file:?} became {again:?}");
}

/// All that `serve` needs to know.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) data: Data,
    pub(super) listen: SocketAddr,
    pub(super) tls: Tls,
    pub(super) index: IndexConfig,
    pub(super) http: HttpOptions,
    pub(super) server: ServerOptions,
    /// The collector that traces go to.
    pub(super) traces: Option<Endpoint>,
}

/// Where things are kept.
#[derive(Debug)]
pub(super) struct Data {
    /// Folder of the store and the keys, if there is one.
    pub(super) dir: Option<PathBuf>,
    /// File of the keys that sign grants; none: a new one is made at each start, as is the store in memory.
    pub(super) key_file: Option<PathBuf>,
    pub(super) store: StoreUri,
}

/// How connections are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tls {
    None,
    Files { certificate: PathBuf, key: PathBuf },
    SelfSigned,
}

impl Config {
    /// What these arguments mean, and what to log.
    pub(super) fn resolve(args: ServeArgs) -> Result<(Self, Log), CliError> {
        let file = read(&args.config)?;
        Self::from_file(File::of(args).or(file))
    }

    /// What these options mean.
    fn from_file(file: File) -> Result<(Self, Log), CliError> {
        let File { data: data_section, community, server, limits, log: log_section, traces } = file;
        let metrics = Metrics::new();
        let listen =
            server.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)));
        let tls = tls(&server)?;
        if tls == Tls::None
            && !listen.ip().to_canonical().is_loopback()
            && server.insecure != Some(true)
        {
            return Err(CliError::Usage(format!(
                "others can reach {listen}, and without TLS their passwords would travel in the clear: use \
                 --tls-self-signed, or --tls-cert and --tls-key, or --insecure if something else protects it"
            )));
        }
        let log = log(&log_section, SERVE_LOG)?;
        let data = data(data_section)?;
        let is_shared = matches!(data.store, StoreUri::Mongo(_));
        if is_shared && data.key_file.is_none() {
            return Err(CliError::Usage(
                "several indexes may serve this store, and all must sign with the same keys: name their file with \
                 --key-file (the first start makes it), and give every index a copy of it"
                    .to_owned(),
            ));
        }
        let config = Self {
            data,
            listen,
            tls,
            http: http(&server, &limits, pages(&server, &community), metrics.clone())?,
            index: IndexConfig {
                session_cache: if is_shared { SHARED_SESSION_CACHE } else { Duration::ZERO },
                ..index(community, &limits)?
            },
            server: serving(&server, metrics)?,
            traces: traces.endpoint().cloned(),
        };
        Ok((config, log))
    }
}

/// Where things are that a command works on beside an index, and its log.
pub(super) fn for_tool(args: ToolArgs) -> Result<(Data, Log), CliError> {
    let file = read(&args.config.or_default())?;
    Ok((data(args.data.or(file.data))?, log(&args.log, "warn")?))
}

/// The same for what works on what is in a store, which one in memory has only while its index runs.
pub(super) fn for_stored(args: ToolArgs, what: &str) -> Result<(Data, Log), CliError> {
    let (data, log) = for_tool(args)?;
    if data.store == StoreUri::Memory {
        return Err(CliError::Usage(format!(
            "a store in memory has no {what} when no index runs: name a store with --store or --data-dir"
        )));
    }
    Ok((data, log))
}

fn read(file: &ConfigFile) -> Result<File, CliError> {
    let Some(path) = &file.path else {
        return Ok(File::default());
    };
    let wrong = |what: String| CliError::Usage(format!("{}: {what}", path.display()));
    let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(wrong("this is far too large to be a configuration file".to_owned()));
    }
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

fn data(section: DataSection) -> Result<Data, CliError> {
    let store = section.store.map(|uri| uri.parse()).transpose()?;
    let is_shared = matches!(store, Some(StoreUri::Mongo(_)));
    if section.data_dir.is_none() && store == Some(StoreUri::Memory) {
        return Ok(Data { dir: None, key_file: section.key_file, store: StoreUri::Memory });
    }
    let dir = match section.data_dir {
        Some(dir) => dir,
        None => directories::ProjectDirs::from("", "", "p2pshare-index")
            .map(|dirs| dirs.data_dir().to_path_buf())
            .ok_or_else(|| {
                CliError::Usage("this user has no home folder: name one with --data-dir".to_owned())
            })?,
    };
    let store = store.unwrap_or_else(|| StoreUri::default_in(Path::new(&dir)));
    // Several indexes over one store sign with the same keys: none makes its own unasked.
    let key_file = section.key_file.or_else(|| (!is_shared).then(|| dir.join("keys.json")));
    Ok(Data { dir: Some(dir), key_file, store })
}

/// What `store` logs.
pub(super) fn log_for_stores(section: &LogSection) -> Result<Log, CliError> {
    log(section, "warn")
}

fn log(section: &LogSection, default: &str) -> Result<Log, CliError> {
    Ok(Log {
        filter: parse_filter(section.log.as_deref().unwrap_or(default))?,
        style: section.log_format.unwrap_or_default().into(),
    })
}

fn tls(server: &ServerSection) -> Result<Tls, CliError> {
    let self_signed = server.tls_self_signed == Some(true);
    match (&server.tls_cert, &server.tls_key) {
        (None, None) if self_signed => Ok(Tls::SelfSigned),
        (None, None) => Ok(Tls::None),
        (Some(_), Some(_)) if self_signed => Err(CliError::Usage(
            "--tls-self-signed and --tls-cert exclude each other: choose one".to_owned(),
        )),
        (Some(certificate), Some(key)) => {
            Ok(Tls::Files { certificate: certificate.clone(), key: key.clone() })
        }
        _ => Err(CliError::Usage("--tls-cert and --tls-key go together: give both".to_owned())),
    }
}

fn index(community: CommunitySection, limits: &LimitsSection) -> Result<IndexConfig, CliError> {
    let default = IndexConfig::default();
    let name = community.name.unwrap_or(default.name);
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err(CliError::Usage(
            "the index's name must have 1 to 200 bytes and no control characters".to_owned(),
        ));
    }
    Ok(IndexConfig {
        name,
        registration: community.registration.unwrap_or(default.registration),
        session_lifetime: span(
            "session-lifetime",
            community.session_lifetime,
            default.session_lifetime,
            &IndexConfig::SESSION_LIFETIMES,
        )?,
        grant_lifetime: span(
            "grant-lifetime",
            community.grant_lifetime,
            default.grant_lifetime,
            &IndexConfig::GRANT_LIFETIMES,
        )?,
        heartbeat_every: span(
            "heartbeat-every",
            community.heartbeat_every,
            default.heartbeat_every,
            &IndexConfig::HEARTBEATS,
        )?,
        unbound_grants: community.unbound_grants.unwrap_or(default.unbound_grants),
        entries_per_user: limits.files_per_user.unwrap_or(default.entries_per_user),
        sessions_per_user: at_least_1(
            "sessions-per-user",
            limits.sessions_per_user,
            default.sessions_per_user,
        )?,
        peers_per_user: limits.peers_per_user.unwrap_or(default.peers_per_user),
        groups_per_user: limits.groups_per_user.unwrap_or(default.groups_per_user),
        members_per_group: limits.members_per_group.unwrap_or(default.members_per_group),
        invites_per_user: limits.invites_per_user.unwrap_or(default.invites_per_user),
        ..default
    })
}

/// What the pages say. The certificate is known later.
fn pages(server: &ServerSection, community: &CommunitySection) -> PageOptions {
    let default = PageOptions::default();
    PageOptions {
        public_url: server.public_url.clone(),
        counts: community.public_counts.unwrap_or(default.counts),
        ..default
    }
}

fn http(
    server: &ServerSection,
    limits: &LimitsSection,
    pages: PageOptions,
    metrics: Metrics,
) -> Result<HttpOptions, CliError> {
    let default = HttpOptions::default();
    let rates = RateLimits::default();
    Ok(HttpOptions {
        request_timeout: timeout(
            "request-timeout",
            server.request_timeout,
            default.request_timeout,
        )?,
        concurrent_requests: at_least_1(
            "concurrent-requests",
            limits.concurrent_requests,
            default.concurrent_requests,
        )?,
        requests_per_address: at_least_1(
            "requests-per-address",
            limits.requests_per_address,
            default.requests_per_address,
        )?,
        rates: RateLimits {
            logins_per_address: limits.logins_per_address.unwrap_or(rates.logins_per_address),
            logins_per_account_and_address: limits
                .logins_per_account
                .unwrap_or(rates.logins_per_account_and_address),
            registrations_per_address: limits
                .registrations_per_address
                .unwrap_or(rates.registrations_per_address),
            grants_per_user: limits.grants_per_user.unwrap_or(rates.grants_per_user),
            ..rates
        },
        trusted_proxies: server.trusted_proxies.clone().unwrap_or_default(),
        metrics_from: server.metrics_from.clone().unwrap_or_default(),
        reachability: server.no_reachability != Some(true),
        pages: Some(pages),
        metrics,
        ..default
    })
}

fn serving(server: &ServerSection, metrics: Metrics) -> Result<ServerOptions, CliError> {
    let default = ServerOptions::default();
    let header_timeout = timeout("header-timeout", server.header_timeout, default.header_timeout)?;
    Ok(ServerOptions {
        max_connections: at_least_1(
            "max-connections",
            server.max_connections,
            default.max_connections,
        )?,
        max_connections_per_address: at_least_1(
            "max-connections-per-address",
            server.max_connections_per_address,
            default.max_connections_per_address,
        )?,
        handshake_timeout: header_timeout,
        header_timeout,
        idle_timeout: timeout("idle-timeout", server.idle_timeout, default.idle_timeout)?,
        shutdown_timeout: span(
            "shutdown-timeout",
            server.shutdown_timeout,
            default.shutdown_timeout,
            &(Duration::ZERO..=HOUR),
        )?,
        metrics,
        ..default
    })
}

fn timeout(name: &str, given: Option<Span>, default: Duration) -> Result<Duration, CliError> {
    span(name, given, default, &(Duration::from_secs(1)..=HOUR))
}

/// A length of time within bounds.
fn span(
    name: &str,
    given: Option<Span>,
    default: Duration,
    bounds: &RangeInclusive<Duration>,
) -> Result<Duration, CliError> {
    match given {
        None => Ok(default),
        Some(Span(span)) if bounds.contains(&span) => Ok(span),
        Some(given) => Err(CliError::Usage(format!(
            "{name} is {given}; it can be {} to {}",
            Span(*bounds.start()),
            Span(*bounds.end())
        ))),
    }
}

fn at_least_1<T: PartialEq + From<bool>>(
    name: &str,
    given: Option<T>,
    default: T,
) -> Result<T, CliError> {
    let value = given.unwrap_or(default);
    if value == T::from(false) {
        return Err(CliError::Usage(format!("{name} is 0; it must be at least 1")));
    }
    Ok(value)
}

mod in_force;
pub(super) use in_force::{commented, in_force};

#[cfg(test)]
mod tests;
