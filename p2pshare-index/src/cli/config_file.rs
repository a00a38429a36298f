//! `config`: the configuration file, for people.

use std::{io, path::PathBuf};

use p2pshare_core::config_file;
use serde_json::json;

use super::{
    args::{ConfigArgs, ConfigCommand, ConfigFile},
    config::{commented, in_force},
    error::CliError,
    print,
};

/// Does one command.
pub(super) fn run(args: ConfigArgs) -> Result<(), CliError> {
    match args.command {
        ConfigCommand::Init { force } => {
            let path = path(args.config)?;
            config_file::write_new(&path, &commented()?, force).map_err(|error| {
                if error.kind() == io::ErrorKind::AlreadyExists {
                    CliError::file(&path, "it is there already: --force replaces it")
                } else {
                    CliError::file(&path, format_args!("it cannot be written: {error}"))
                }
            })?;
            print(&format!("wrote {}", path.display()))
        }
        ConfigCommand::Show { json } => show(&args.config.or_default(), json),
        ConfigCommand::Path => print(&path(args.config)?.display().to_string()),
    }
}

fn path(config: ConfigFile) -> Result<PathBuf, CliError> {
    config.path.or_else(ConfigFile::default_path).ok_or_else(|| {
        CliError::Usage("this user has no home folder: name a file with --config".to_owned())
    })
}

fn show(config: &ConfigFile, json: bool) -> Result<(), CliError> {
    let settings = in_force(config)?;
    if !json {
        return print(config_file::in_force(&settings).trim_end());
    }
    for it in settings {
        let object = json!({
            "section": it.section, "key": it.key, "value": it.value, "variable": it.variable,
            "origin": it.origin.name(),
        });
        print(&object.to_string())?;
    }
    Ok(())
}
