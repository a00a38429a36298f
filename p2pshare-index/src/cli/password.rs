//! Passwords, from where nobody else sees them.

use std::io::{self, BufRead, IsTerminal};

use p2pshare_core::auth::Password;
use zeroize::Zeroizing;

use super::error::CliError;

const VARIABLE: &str = "P2PSHARE_PASSWORD";

/// Longest line that is read: more than any password has.
const MAX_LINE: u64 = 8 * 1024;

/// A new password: from the first line of standard input if told so, else from the environment, else asked twice.
pub(super) fn new_password(from_stdin: bool) -> Result<Password, CliError> {
    let text = if from_stdin {
        first_line(io::stdin().lock())?
    } else if let Some(value) = std::env::var_os(VARIABLE) {
        let value = value
            .into_string()
            .map_err(|_| CliError::Usage(format!("{VARIABLE} is not valid UTF-8")))?;
        Zeroizing::new(value)
    } else if io::stdin().is_terminal() {
        asked_twice()?
    } else {
        return Err(CliError::Usage(format!(
            "there is no terminal to ask for the password: use --password-stdin or {VARIABLE}"
        )));
    };
    Password::new(text).map_err(|error| CliError::Usage(error.to_string()))
}

fn asked_twice() -> Result<Zeroizing<String>, CliError> {
    let ask = |prompt| {
        rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(|error| CliError::Failed(format!("the password cannot be read: {error}")))
    };
    let first = ask("New password: ")?;
    if first != ask("The same again: ")? {
        return Err(CliError::Failed("the two passwords are not the same".to_owned()));
    }
    Ok(first)
}

fn first_line(input: impl BufRead) -> Result<Zeroizing<String>, CliError> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_LINE as usize));
    input
        .take(MAX_LINE)
        .read_line(&mut line)
        .map_err(|error| CliError::Failed(format!("the password cannot be read: {error}")))?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_line_is_cut_off() {
        let read = |text: &str| first_line(text.as_bytes()).unwrap().to_string();
        assert_eq!(read(" pass word \r\nmore"), " pass word ");
        assert_eq!(read("no end"), "no end");
        assert_eq!(read(""), "");
        assert_eq!(read(&"x".repeat(100_000)).len() as u64, MAX_LINE);
        assert!(first_line(&b"\xff\n"[..]).is_err());
    }
}
