//! `config`.

use std::{io, path::Path};

use p2pshare_core::{
    config_file::{Setting, in_force, write_new},
    text::visible,
};
use serde_json::json;

use crate::cli::{
    args::ConfigCommand,
    config::{Settings, commented},
    exit::CliError,
    output::Output,
};

pub(crate) fn config(
    output: Output,
    settings: &Settings,
    command: &ConfigCommand,
) -> Result<(), CliError> {
    match command {
        ConfigCommand::Path => {
            let path = path(settings)?;
            output.line(path.display());
            let is_there = path.exists();
            output
                .event("config", json!({ "path": path.display().to_string(), "there": is_there }));
            if !is_there {
                output.note("There is no such file; `p2pshare-peer config init` makes it.");
            }
            Ok(())
        }
        ConfigCommand::Init { force } => {
            let path = path(settings)?;
            write(path, *force)?;
            output.line(format!("Wrote {}", path.display()));
            output.event("config", json!({ "path": path.display().to_string(), "there": true }));
            Ok(())
        }
        ConfigCommand::Show => show(output, settings),
    }
}

fn path(settings: &Settings) -> Result<&Path, CliError> {
    settings.path().ok_or_else(|| {
        CliError::failed("no home directory was found").hint("name a file with --config")
    })
}

fn show(output: Output, settings: &Settings) -> Result<(), CliError> {
    let shown = settings.in_force()?;
    for line in in_force(&shown).lines() {
        output.line(visible(line));
    }
    for Setting { section, key, value, variable, origin, .. } in &shown {
        output.event(
            "setting",
            json!({
                "section": section, "key": key, "value": value, "variable": variable, "origin": origin.name(),
            }),
        );
    }
    Ok(())
}

fn write(path: &Path, force: bool) -> Result<(), CliError> {
    write_new(path, &commented(), force).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            CliError::failed(format!("{} is there already", path.display()))
                .hint("--force replaces it; `p2pshare-peer config show` prints what it says")
        } else {
            CliError::failed(format!("{} cannot be written: {error}", path.display()))
        }
    })
}
