use std::fs;

use super::*;
use crate::cli::args;

fn parse_with(file: &str, arguments: &[&str]) -> Result<Parsed, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("peer.toml");
    fs::write(&path, file).unwrap();
    let all: Vec<OsString> = ["p2pshare-peer", "--config", path.to_str().unwrap()]
        .iter()
        .chain(arguments)
        .map(OsString::from)
        .collect();
    parse(&all).map_err(|error| match error {
        ParseError::Arguments(error) => error.to_string(),
        ParseError::File(error) => error.message,
    })
}

fn serve(parsed: &Parsed) -> &args::ServeArgs {
    match &parsed.cli.command {
        args::Command::Serve(args) => args,
        other => panic!("{other:?}"),
    }
}

/// Lines of a new file that hold a setting, without the `#`.
fn settings_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        line.strip_prefix('#').filter(|it| !it.starts_with(' ') && !it.is_empty())
    })
}

#[test]
fn a_new_file_names_every_setting_and_its_default() {
    let text = commented();
    let known = options(&Cli::command());
    assert_eq!(settings_of(&text).count(), known.len(), "{text}");
    for option in &known {
        assert!(
            settings_of(&text).any(|line| line.starts_with(&format!("{} = ", option.key()))),
            "{}",
            option.key()
        );
    }
    // As it is, it says nothing.
    assert_eq!(file::parse(&text).unwrap(), []);
    // With its defaults taken at their word it says what the program says without it.
    let placeholders: Vec<_> = known
        .iter()
        .map(Known::default_setting)
        .filter(|setting| setting.value.is_none())
        .map(|setting| format!("#{} = \"{}\"", setting.key, setting.placeholder))
        .collect();
    let taken: Vec<_> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') && !placeholders.iter().any(|it| it == line) => {
                rest
            }
            _ => line,
        })
        .collect();
    let full = parse_with(&taken.join("\n"), &["serve"]).unwrap();
    let none = parse_with("", &["serve"]).unwrap();
    assert_eq!(format!("{:?}", serve(&full)), format!("{:?}", serve(&none)));
    assert_eq!(full.settings.origin("serve", "listen"), Origin::File);
    assert_eq!(none.settings.origin("serve", "listen"), Origin::Default);
}

#[test]
fn arguments_count_before_the_file() {
    let file = "[peer]\nindex = [\"http://127.0.0.1:1\", \"http://127.0.0.1:2\"]\n\
                [serve]\nlisten = \"127.0.0.1:5\"\nupload-limit = \"5MB\"\nupload-slots = 3\ninsecure = true\n";
    let parsed = parse_with(file, &["serve", "--listen", "127.0.0.1:6"]).unwrap();
    let args = serve(&parsed);
    assert_eq!(args.listen, "127.0.0.1:6".parse().unwrap());
    assert_eq!(
        (args.upload_limit, args.upload_slots, args.insecure),
        (Some(5_000_000), Some(3), true)
    );
    assert_eq!(parsed.cli.global.index.len(), 2);
    let origin = |key| parsed.settings.origin("serve", key);
    assert_eq!(origin("listen"), Origin::Argument);
    assert_eq!(origin("upload-slots"), Origin::File);
    assert_eq!(origin("inbox"), Origin::Default);
    assert_eq!(parsed.settings.origin(SHARED_SECTION, "index"), Origin::File);
    assert_eq!(parsed.settings.origin("get", "insecure"), Origin::Default);

    let other = parse_with(file, &["--index", "http://127.0.0.1:3", "whoami"]).unwrap();
    assert_eq!(other.cli.global.index.len(), 1);
    assert_eq!(other.settings.origin(SHARED_SECTION, "index"), Origin::Argument);
}

#[test]
fn what_is_in_force_is_a_file_that_says_the_same() {
    let file = "[serve]\nupload-limit = \"5MB\"\n[get]\nno-serve = true\n";
    let shown = parse_with(file, &["config", "show"]).unwrap().settings.in_force().unwrap();
    let of = |section: &str, key: &str| {
        let found = shown.iter().find(|it| it.section == section && it.key == key).unwrap();
        (found.value.clone(), found.origin)
    };
    assert_eq!(of("serve", "upload-limit"), (Some("\"5MB\"".to_owned()), Origin::File));
    assert_eq!(of("get", "no-serve"), (Some("true".to_owned()), Origin::File));
    assert_eq!(of("serve", "listen"), (Some("\"0.0.0.0:7401\"".to_owned()), Origin::Default));
    assert_eq!(of("serve", "inbox"), (None, Origin::Default));

    let text = p2pshare_core::config_file::in_force(&shown);
    let again = parse_with(&text, &["config", "show"]).unwrap().settings.in_force().unwrap();
    let values = |all: &[Setting]| all.iter().map(|it| it.value.clone()).collect::<Vec<_>>();
    assert_eq!(values(&again), values(&shown), "{text}");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, line, says) in [
        ("[serve]\nlisen = \"127.0.0.1:1\"", 2, "listen"),
        ("\n[sever]\nlisten = \"x\"", 3, "[serve]"),
        ("[serve]\nlisten = \"here\"", 2, "here"),
        ("[serve]\nupload-slots = 0", 2, "upload-slots"),
        ("[serve]\nupload-slots = \"many\"", 2, "many"),
        ("[serve]\ninsecure = \"yes\"", 2, "true or false"),
        ("[serve]\nlisten = true", 2, "true or false"),
        ("[serve]\nlisten = [\"127.0.0.1:1\"]", 2, "no list"),
        ("[serve]\nupload-limit = \"fast\"", 2, "fast"),
        ("[peer]\nindex = [\"ftp://x\"]", 2, "ftp://x"),
        ("[peer]\nconfig = \"x\"", 2, "config"),
        ("[serve\n", 1, ""),
    ] {
        let error = parse_with(text, &["whoami"]).err().unwrap();
        assert!(error.contains(&format!("peer.toml, line {line}: ")), "{text:?}: {error}");
        assert!(error.contains(says), "{text:?}: {error}");
    }
    let missing =
        parse(&["p2pshare-peer", "--config", "/nonexistent/x.toml", "whoami"].map(OsString::from));
    assert!(matches!(missing, Err(ParseError::File(error)) if error.message.contains("x.toml")));
}

#[test]
fn a_broken_file_does_not_keep_a_new_one_from_being_made() {
    for command in [&["config", "init"][..], &["config", "path"], &["completions", "bash"]] {
        assert!(parse_with("not toml", command).is_ok(), "{command:?}");
    }
    assert!(parse_with("not toml", &["config", "show"]).is_err());
}

#[test]
fn every_setting_is_known_once_and_none_is_required() {
    let command = Cli::command();
    let known = options(&command);
    for option in &known {
        assert!(!option.arg.is_required_set(), "{}", option.key());
        let same = known.iter().filter(|it| it.is(&option.section, option.key())).count();
        assert_eq!(same, 1, "{}", option.key());
    }
    // A section is one command: what is deeper would not be found.
    for sub in command.get_subcommands().flat_map(Command::get_subcommands) {
        for arg in sub.get_arguments() {
            assert!(arg.get_env().is_none(), "{} {}", sub.get_name(), arg.get_id());
        }
    }
}
