use clap::Parser;
use p2pshare_core::api::Registration;

use super::{super::args::Args, *};
use crate::cli::args::Command;

fn resolve(arguments: &[&str]) -> Result<Config, String> {
    let args = Args::try_parse_from(["p2pshare-index", "serve"].iter().chain(arguments))
        .map_err(|error| error.to_string())?;
    match args.command {
        Command::Serve(serve) => match Config::resolve(*serve) {
            Ok((config, _)) => Ok(config),
            Err(error) => Err(error.to_string()),
        },
        other => panic!("{other:?}"),
    }
}

fn with_file(text: &str, arguments: &[&str]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.toml");
    fs::write(&path, text).unwrap();
    let mut all = vec!["--config", path.to_str().unwrap()];
    all.extend(arguments);
    resolve(&all)
}

/// Every option, with a value that is not its default.
const FULL: &str = r#"
[data]
data-dir = "/srv/index"
store = "sqlite:/srv/index/other.db"
key-file = "/srv/keys/index.json"

[community]
name = "Friends of the archive"
registration = "invite"
session-lifetime = "1d"
grant-lifetime = "5m"
heartbeat-every = "10s"
unbound-grants = false
public-counts = false

[server]
listen = "[::1]:7500"
tls-cert = "/etc/cert.pem"
tls-key = "/etc/key.pem"
tls-self-signed = false
public-url = "https://files.example.org"
insecure = false
trusted-proxies = ["127.0.0.1", "::1"]
metrics-from = ["10.0.0.9"]
no-reachability = true
max-connections = 100
max-connections-per-address = 10
header-timeout = "2s"
idle-timeout = "20s"
request-timeout = "5s"
shutdown-timeout = "1s"

[limits]
concurrent-requests = 8
requests-per-address = 11
logins-per-address = 1
logins-per-account = 2
registrations-per-address = 3
grants-per-user = 4
files-per-user = 5
sessions-per-user = 6
peers-per-user = 7
groups-per-user = 8
members-per-group = 9
invites-per-user = 10

[log]
log = "warn,audit=info"
log-format = "json"
"#;

/// What it has too where traces can be made.
const TRACES: &str = if cfg!(feature = "otel") {
    "\n[traces]\notlp-endpoint = \"http://127.0.0.1:4317\"\n"
} else {
    ""
};

#[test]
fn the_file_round_trips_with_every_option() {
    let full = format!("{FULL}{TRACES}");
    let file: File = toml::from_str(&full).unwrap();
    let written = toml::to_string(&file).unwrap();
    assert_eq!(toml::from_str::<File>(&written).unwrap(), file);

    let keys = |text: &str| text.lines().filter(|line| line.contains(" = ")).count();
    let command = <Args as clap::CommandFactory>::command();
    let serve = command.find_subcommand("serve").unwrap();
    let options = serve.get_arguments().filter(|argument| argument.get_long() != Some("config"));
    assert_eq!(keys(&full), options.count(), "the file of this test has every option");
    assert_eq!(keys(&written), keys(&full), "every option is written");
}

#[test]
fn every_option_has_a_variable_of_its_own() {
    let command = <Args as clap::CommandFactory>::command();
    let serve = command.find_subcommand("serve").unwrap();
    for argument in serve.get_arguments() {
        let long = argument.get_long().unwrap();
        let expected = match long {
            "otlp-endpoint" => "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
            "log" | "log-format" => format!("P2PSHARE_{}", long.to_uppercase().replace('-', "_")),
            _ => format!("P2PSHARE_INDEX_{}", long.to_uppercase().replace('-', "_")),
        };
        assert_eq!(argument.get_env().unwrap().to_str().unwrap(), expected);
        assert!(argument.get_help_heading().is_some(), "{long}");
    }
}

#[test]
fn the_file_is_used_and_arguments_count_before_it() {
    let full = format!("{FULL}{TRACES}");
    let config = with_file(&full, &["--name", "Others", "--header-timeout", "3s"]).unwrap();
    assert_eq!(config.index.name, "Others");
    assert_eq!(config.index.registration, Registration::Invite);
    assert!(!config.index.unbound_grants);
    assert_eq!(config.index.entries_per_user, 5);
    assert_eq!(config.listen, "[::1]:7500".parse().unwrap());
    assert_eq!(config.server.header_timeout, Duration::from_secs(3));
    assert_eq!(config.server.idle_timeout, Duration::from_secs(20));
    assert_eq!(config.http.rates.grants_per_user, 4);
    assert_eq!(config.http.trusted_proxies.len(), 2);
    assert!(!config.http.reachability);
    assert_eq!(config.data.store, StoreUri::Sqlite("/srv/index/other.db".into()));
    assert!(matches!(config.tls, Tls::Files { .. }));
    assert_eq!(config.traces.is_some(), cfg!(feature = "otel"));
}

#[test]
fn unknown_keys_and_wrong_values_are_named() {
    let cases = [
        ("[server]\nlisen = \"127.0.0.1:1\"", "lisen"),
        ("[sever]\n", "sever"),
        ("listen = \"127.0.0.1:1\"", "listen"),
        ("[server]\nlisten = \"here\"", "listen"),
        ("[community]\nregistration = \"some\"", "some"),
        ("[server]\nidle-timeout = 5", "idle-timeout"),
        ("[server]\nidle-timeout = \"0s\"", "idle-timeout"),
        ("[limits]\nconcurrent-requests = 0", "concurrent-requests"),
        ("[data]\nstore = \"redis:x\"", "redis:x"),
        ("[log]\nlog = \"=,=\"", "--log"),
        ("[community]\nname = \"\"", "name"),
        ("not toml", "index.toml"),
    ];
    for (text, named) in cases {
        let error = with_file(text, &[]).unwrap_err();
        assert!(error.contains(named), "{text:?}: {error}");
    }
    assert!(resolve(&["--config", "/nonexistent/x.toml"]).unwrap_err().contains("x.toml"));
}

#[test]
fn plain_text_beyond_this_machine_must_be_wanted() {
    for open in ["0.0.0.0:7400", "[::]:7400", "192.0.2.1:7400", "[::ffff:192.0.2.1]:1"] {
        let error = resolve(&["--listen", open]).unwrap_err();
        assert!(error.contains("--insecure"), "{error}");
        assert!(resolve(&["--listen", open, "--insecure"]).is_ok());
        assert!(resolve(&["--listen", open, "--tls-self-signed"]).is_ok());
    }
    for own in ["127.0.0.1:0", "127.8.9.1:7400", "[::1]:7400", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(resolve(&["--listen", own]).unwrap().tls, Tls::None);
    }
    assert!(resolve(&["--tls-cert", "x"]).unwrap_err().contains("go together"));
    let both = ["--tls-cert", "x", "--tls-key", "y", "--tls-self-signed"];
    assert!(resolve(&both).unwrap_err().contains("exclude each other"));
}

#[test]
fn what_is_in_memory_leaves_no_files() {
    let config = resolve(&["--store", "memory:"]).unwrap();
    assert_eq!((config.data.dir, config.data.store), (None, StoreUri::Memory));
    let config = resolve(&["--data-dir", "/d"]).unwrap();
    assert_eq!(config.data.store, StoreUri::Sqlite("/d/index.db".into()));
}
