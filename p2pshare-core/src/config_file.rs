//! How a configuration file is written for people: settings in sections, each with what it means and where its value
//! comes from. Reading one is the programs' own affair.

use std::{
    fmt::{self, Display, Formatter, Write as _},
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

/// Longest line of a comment, in characters.
const WIDTH: usize = 100;

/// Where the value of a setting comes from, the strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File,
    /// An environment variable.
    Environment,
    /// An argument.
    Argument,
}

impl Origin {
    /// Its name, for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Argument => "argument",
        }
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One setting, as a configuration file shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The section in which it stands.
    pub section: String,
    /// Its key there.
    pub key: String,
    /// What it means.
    pub help: String,
    /// The environment variable that sets it too.
    pub variable: Option<String>,
    /// Its value as TOML writes it; `None` if it has none.
    pub value: Option<String>,
    /// What stands in place of a value that is not set, such as `FILE`.
    pub placeholder: String,
    /// Where the value comes from.
    pub origin: Origin,
}

/// A configuration file in which every setting is explained, and none is set: each stands there as a comment, with its
/// value or a placeholder. `head` comes first. Settings of one section must follow each other.
pub fn commented(head: &str, settings: &[Setting]) -> String {
    let mut text = String::new();
    comment(&mut text, head);
    let mut section = "";
    for setting in settings {
        if setting.section != section {
            section = &setting.section;
            // Writing to a string cannot fail, here and below.
            let _ = write!(text, "\n[{section}]\n");
        }
        text.push('\n');
        comment(&mut text, &setting.help);
        if let Some(variable) = &setting.variable {
            comment(&mut text, &format!("Variable: {variable}"));
        }
        let _ = match &setting.value {
            Some(value) => writeln!(text, "#{} = {value}", setting.key),
            None => writeln!(text, "#{} = \"{}\"", setting.key, setting.placeholder),
        };
    }
    text
}

/// The settings with their values and where these come from, as a configuration file would say it.
pub fn in_force(settings: &[Setting]) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in settings {
        if setting.section != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            section = &setting.section;
            let _ = writeln!(text, "{gap}[{section}]");
        }
        let said = match &setting.value {
            Some(value) => format!("{} = {value}", setting.key),
            None => format!("#{} is not set", setting.key),
        };
        let from = match (setting.origin, &setting.variable) {
            (Origin::Environment, Some(variable)) => variable.as_str(),
            (origin, _) => origin.name(),
        };
        let _ = writeln!(text, "{said:<48} # {from}");
    }
    text
}

/// Writes a new file and the folders above it; one that is there is replaced only if `replace`, at once or not at all.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when it is there and must stay, else whatever the system says.
pub fn write_new(path: &Path, text: &str, replace: bool) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if replace {
        let temporary = path.with_extension("toml.new");
        fs::write(&temporary, text)?;
        return fs::rename(&temporary, path);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Writes a text as comments, in lines that are not too long.
fn comment(to: &mut String, text: &str) {
    for paragraph in text.lines() {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 1 {
                to.push_str(&line);
                to.push('\n');
                line.truncate(1);
            }
            line.push(' ');
            line.push_str(word);
        }
        to.push_str(&line);
        to.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(section: &str, key: &str, value: Option<&str>, origin: Origin) -> Setting {
        Setting {
            section: section.to_owned(),
            key: key.to_owned(),
            help: format!("What {key} means. {}", "word ".repeat(30)),
            variable: Some(format!("X_{}", key.to_uppercase())),
            value: value.map(str::to_owned),
            placeholder: "FILE".to_owned(),
            origin,
        }
    }

    #[test]
    fn a_commented_file_sets_nothing_and_names_all() {
        let text = commented(
            "First.\n\nSecond.",
            &[
                setting("one", "a", Some("5"), Origin::Default),
                setting("one", "b", None, Origin::Default),
                setting("two", "c", Some("\"x\""), Origin::Default),
            ],
        );
        assert!(text.starts_with("# First.\n#\n# Second.\n\n[one]\n"), "{text}");
        let set: Vec<_> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(set, ["[one]", "[two]"]);
        for line in ["#a = 5", "#b = \"FILE\"", "#c = \"x\"", "# Variable: X_C"] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn a_file_that_is_there_stays_unless_it_is_to_be_replaced() {
        let dir = std::env::temp_dir().join(format!("p2pshare-config-file-{}", std::process::id()));
        let path = dir.join("below").join("peer.toml");
        write_new(&path, "one", false).unwrap();
        let error = write_new(&path, "two", false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        write_new(&path, "two", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_in_force_says_where_it_comes_from() {
        let text = in_force(&[
            setting("one", "a", Some("5"), Origin::Environment),
            setting("one", "b", None, Origin::Default),
            setting("two", "c", Some("true"), Origin::File),
        ]);
        let words: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["a", "=", "5", "#", "X_A"]);
        assert_eq!(words[2], ["#b", "is", "not", "set", "#", "default"]);
        assert_eq!(words[5], ["c", "=", "true", "#", "file"]);
        assert!(Origin::Argument > Origin::Environment && Origin::Environment > Origin::File);
    }
}
