//! Every option, once: each is an argument, an environment variable and a key of the configuration file.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::Args;
use p2pshare_core::api::Registration;
use p2pshare_telemetry::Endpoint;
use serde::{Deserialize, Serialize};

use super::{logging::LogFormat, span::Span, store::StoreText};
use crate::PublicUrl;

/// Defines a section of the configuration file, whose options are arguments and variables too. All are optional: what
/// is not given has the default that the resolved configuration says.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub(super) struct $name {
            $(
                $(#[$field_meta])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) $field: Option<$ty>,
            )*
        }

        impl $name {
            /// These options, and those of `other` where none is given here.
            pub(super) fn or(self, other: Self) -> Self {
                let Self { $($field,)* } = other;
                Self { $($field: self.$field.or($field),)* }
            }
        }
    };
}

section! {
    /// Where things are kept.
    DataSection {
        /// Folder of the database and the keys
        ///
        /// Made at the first start, readable by its owner only. [default: the system's folder for data of programs]
        #[arg(long, env = "P2PSHARE_INDEX_DATA_DIR", value_name = "DIR", help_heading = "Data", global = true)]
        data_dir: PathBuf,
        /// Store: `sqlite:PATH`, `mongodb://…`, or `memory:` which forgets all at exit [default: sqlite:DATA_DIR/index.db]
        ///
        /// A URI of MongoDB names the servers, the database, credentials and TLS as MongoDB's own tools take them. Others
        /// on this machine can read arguments: give one with a password by the variable or the configuration file.
        #[arg(long, env = "P2PSHARE_INDEX_STORE", hide_env_values = true, value_name = "URI", help_heading = "Data",
              global = true)]
        store: StoreText,
        /// File of the keys that sign grants; several indexes over one store need the same [default: DATA_DIR/keys.json]
        #[arg(long, env = "P2PSHARE_INDEX_KEY_FILE", value_name = "FILE", help_heading = "Data", global = true)]
        key_file: PathBuf,
    }
}

section! {
    /// The community.
    CommunitySection {
        /// The community's name for its index [default: p2pshare]
        #[arg(long, env = "P2PSHARE_INDEX_NAME", value_name = "NAME", help_heading = "Community")]
        name: String,
        /// Who may make an account: open (anybody), invite (who has a code) or closed (operators make them) [default: open]
        #[arg(long, env = "P2PSHARE_INDEX_REGISTRATION", value_name = "WHO", value_parser = registration,
              help_heading = "Community")]
        registration: Registration,
        /// How long a login lasts when it is not used [default: 30d]
        #[arg(long, env = "P2PSHARE_INDEX_SESSION_LIFETIME", value_name = "TIME", help_heading = "Community")]
        session_lifetime: Span,
        /// How long a grant lasts: removed members keep those they have for so long [default: 10m]
        #[arg(long, env = "P2PSHARE_INDEX_GRANT_LIFETIME", value_name = "TIME", help_heading = "Community")]
        grant_lifetime: Span,
        /// How often a peer says that it is there, 1s to 60s; a new signing key is told to it then [default: 30s]
        #[arg(long, env = "P2PSHARE_INDEX_HEARTBEAT_EVERY", value_name = "TIME", help_heading = "Community")]
        heartbeat_every: Span,
        /// Give grants to clients without a peer key, such as a stock gRPC client [default: true]
        #[arg(long, env = "P2PSHARE_INDEX_UNBOUND_GRANTS", value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", help_heading = "Community")]
        unbound_grants: bool,
        /// Tell strangers on the page at `/` how many accounts there are and how many peers are online [default: true]
        #[arg(long, env = "P2PSHARE_INDEX_PUBLIC_COUNTS", value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", help_heading = "Community")]
        public_counts: bool,
    }
}

section! {
    /// Who is listened to, and how.
    ServerSection {
        /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:7400]
        #[arg(long, env = "P2PSHARE_INDEX_LISTEN", value_name = "ADDR", help_heading = "Server")]
        listen: SocketAddr,
        /// Certificate chain, a PEM file
        #[arg(long, env = "P2PSHARE_INDEX_TLS_CERT", value_name = "FILE", help_heading = "Server")]
        tls_cert: PathBuf,
        /// Private key of the certificate, a PEM file
        #[arg(long, env = "P2PSHARE_INDEX_TLS_KEY", value_name = "FILE", help_heading = "Server")]
        tls_key: PathBuf,
        /// What clients connect to, for the commands on the page at `/` [default: what the visitor's browser connected to]
        ///
        /// `https://` or `http://`, a host, and perhaps a port: where something stands between clients and this index.
        #[arg(long, env = "P2PSHARE_INDEX_PUBLIC_URL", value_name = "URL", help_heading = "Server")]
        public_url: PublicUrl,
        /// Use a certificate of one's own making, whose fingerprint is in the URL and which clients pin
        #[arg(long, env = "P2PSHARE_INDEX_TLS_SELF_SIGNED", value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", help_heading = "Server")]
        tls_self_signed: bool,
        /// Allow to listen without TLS on an address that others can reach: passwords travel in the clear
        #[arg(long, env = "P2PSHARE_INDEX_INSECURE", value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", help_heading = "Server")]
        insecure: bool,
        /// Reverse proxies whose X-Forwarded-For is believed, separated by commas [default: none]
        #[arg(long, env = "P2PSHARE_INDEX_TRUSTED_PROXIES", value_name = "IP,…", value_delimiter = ',',
              help_heading = "Server")]
        trusted_proxies: Vec<IpAddr>,
        /// Addresses that may read /metrics, besides this machine's own, separated by commas [default: none]
        ///
        /// Behind a proxy it must be a trusted one, and both it and who is behind it must be allowed. A proxy on this
        /// machine must send X-Forwarded-For, or everybody behind it is taken for this machine.
        #[arg(long, env = "P2PSHARE_INDEX_METRICS_FROM", value_name = "IP,…", value_delimiter = ',',
              help_heading = "Server")]
        metrics_from: Vec<IpAddr>,
        /// Do not try for peers whether they can be reached from here
        #[arg(long, env = "P2PSHARE_INDEX_NO_REACHABILITY", value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true", help_heading = "Server")]
        no_reachability: bool,
        /// Most open connections [default: 16384]
        #[arg(long, env = "P2PSHARE_INDEX_MAX_CONNECTIONS", value_name = "N", help_heading = "Server")]
        max_connections: usize,
        /// Most open connections of one address [default: 512]
        #[arg(long, env = "P2PSHARE_INDEX_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N", help_heading = "Server")]
        max_connections_per_address: usize,
        /// Time for a TLS handshake and for the head of the first request [default: 10s]
        #[arg(long, env = "P2PSHARE_INDEX_HEADER_TIMEOUT", value_name = "TIME", help_heading = "Server")]
        header_timeout: Span,
        /// Close a connection that has had no request for so long [default: 90s]
        #[arg(long, env = "P2PSHARE_INDEX_IDLE_TIMEOUT", value_name = "TIME", help_heading = "Server")]
        idle_timeout: Span,
        /// Time for a request, its body included [default: 30s]
        #[arg(long, env = "P2PSHARE_INDEX_REQUEST_TIMEOUT", value_name = "TIME", help_heading = "Server")]
        request_timeout: Span,
        /// Time for running requests to end when the index stops [default: 10s]
        #[arg(long, env = "P2PSHARE_INDEX_SHUTDOWN_TIMEOUT", value_name = "TIME", help_heading = "Server")]
        shutdown_timeout: Span,
    }
}

section! {
    /// How much one may take. A rate of 0 is no limit.
    LimitsSection {
        /// Requests worked on at once [default: 512]
        #[arg(long, env = "P2PSHARE_INDEX_CONCURRENT_REQUESTS", value_name = "N", help_heading = "Limits")]
        concurrent_requests: usize,
        /// Requests of one address that run or wait at once [default: 256]
        #[arg(long, env = "P2PSHARE_INDEX_REQUESTS_PER_ADDRESS", value_name = "N", help_heading = "Limits")]
        requests_per_address: usize,
        /// Passwords tried from one address in a minute [default: 60]
        #[arg(long, env = "P2PSHARE_INDEX_LOGINS_PER_ADDRESS", value_name = "N", help_heading = "Limits")]
        logins_per_address: u32,
        /// Passwords tried for one account from one address in a minute [default: 20]
        #[arg(long, env = "P2PSHARE_INDEX_LOGINS_PER_ACCOUNT", value_name = "N", help_heading = "Limits")]
        logins_per_account: u32,
        /// Registrations from one address in a minute [default: 30]
        #[arg(long, env = "P2PSHARE_INDEX_REGISTRATIONS_PER_ADDRESS", value_name = "N", help_heading = "Limits")]
        registrations_per_address: u32,
        /// Contents for which one user asks grants in a minute [default: 120000]
        #[arg(long, env = "P2PSHARE_INDEX_GRANTS_PER_USER", value_name = "N", help_heading = "Limits")]
        grants_per_user: u32,
        /// Published files of one user [default: 2000000]
        #[arg(long, env = "P2PSHARE_INDEX_FILES_PER_USER", value_name = "N", help_heading = "Limits")]
        files_per_user: u64,
        /// Sessions of one user; one more ends that which was not used for the longest time [default: 256]
        #[arg(long, env = "P2PSHARE_INDEX_SESSIONS_PER_USER", value_name = "N", help_heading = "Limits")]
        sessions_per_user: u32,
        /// Peers of one user; those that are away and share nothing make room for another [default: 64]
        #[arg(long, env = "P2PSHARE_INDEX_PEERS_PER_USER", value_name = "N", help_heading = "Limits")]
        peers_per_user: u32,
        /// Groups of one user; others can take in who is in fewer than half as many [default: 256]
        #[arg(long, env = "P2PSHARE_INDEX_GROUPS_PER_USER", value_name = "N", help_heading = "Limits")]
        groups_per_user: u32,
        /// Members of one group [default: 10000]
        #[arg(long, env = "P2PSHARE_INDEX_MEMBERS_PER_GROUP", value_name = "N", help_heading = "Limits")]
        members_per_group: u32,
        /// Open invites of one user [default: 100]
        #[arg(long, env = "P2PSHARE_INDEX_INVITES_PER_USER", value_name = "N", help_heading = "Limits")]
        invites_per_user: u32,
    }
}

section! {
    /// The log, on standard error.
    LogSection {
        /// What to log: a level, or TARGET=LEVEL,…; the target `audit` has logins, refusals and changes [default: info for serve, warn for the others]
        #[arg(long, env = "P2PSHARE_LOG", value_name = "FILTER", help_heading = "Log")]
        log: String,
        /// Lines of text, or one JSON object a line [default: text]
        #[arg(long, env = "P2PSHARE_LOG_FORMAT", value_name = "FORMAT", value_enum, help_heading = "Log")]
        log_format: LogFormat,
    }
}

#[cfg(feature = "otel")]
section! {
    /// Where traces go.
    TracesSection {
        /// Send traces to this OpenTelemetry collector, such as http://127.0.0.1:4317, by gRPC [default: none are made]
        ///
        /// OpenTelemetry's other variables work too: OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, …
        #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", help_heading = "Traces")]
        otlp_endpoint: Endpoint,
    }
}

#[cfg(not(feature = "otel"))]
section! {
    /// Where traces go: nowhere, since this program makes none.
    TracesSection {}
}

impl TracesSection {
    /// The collector that they go to.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        #[cfg(feature = "otel")]
        return self.otlp_endpoint.as_ref();
        #[cfg(not(feature = "otel"))]
        None
    }
}

fn registration(text: &str) -> Result<Registration, String> {
    match text {
        "open" => Ok(Registration::Open),
        "invite" => Ok(Registration::Invite),
        "closed" => Ok(Registration::Closed),
        _ => Err("it is one of open, invite, closed".to_owned()),
    }
}
