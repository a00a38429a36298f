//! `config …`

use clap::Subcommand;

/// What `config --help` shows at its end.
pub(super) const HELP: &str = "\
The file is read by every command. An argument counts before an environment variable, a variable before the file, the
file before the default:

  [peer]
  index = [\"https://index.example.org:7400\"]

  [serve]
  listen = \"0.0.0.0:7401\"
  inbox = \"/home/alice/Inbox\"
  upload-limit = \"5MB\"";

/// `config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Write a file with every setting, explained and commented out.
    Init {
        /// Replace a file that is there.
        #[arg(long)]
        force: bool,
    },
    /// Print every setting, its value and where that comes from.
    Show,
    /// Print where the configuration file is, or would be.
    Path,
}
