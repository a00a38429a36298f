//! What a folder says that is not to be shared: `.p2pignore`.

use std::{fs, io::Read, path::Path};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};

use super::inspect;

/// The file whose lines are patterns as in a `.gitignore`, for the folder it lies in and all below.
pub(crate) const IGNORE_FILE: &str = ".p2pignore";

/// A longer file is not taken: it may have come from a stranger, and each pattern costs memory and time.
const MAX_BYTES: u64 = 64 << 10;

/// Patterns of one file.
const MAX_PATTERNS: usize = 2000;

/// What is to be known of the patterns of one folder.
#[derive(Debug)]
pub(super) enum Patterns {
    /// It has none.
    None,
    /// What they say.
    Some(Gitignore),
    /// They cannot be read: nothing is shared that they may mean.
    Unknown,
    /// The same, but only at the moment.
    Unread,
    /// The folder cannot be looked into.
    Shut,
}

/// What is wrong with a file of patterns, for people.
pub(super) type Fault = String;

impl Patterns {
    /// Reads the patterns of a folder. A line that is no pattern is told, and the others hold. Blocks.
    pub(super) fn load(folder: &Path) -> (Self, Option<Fault>) {
        let text = match read(&folder.join(IGNORE_FILE)) {
            Ok(Some(text)) => text,
            Ok(None) => return (Self::None, None),
            Err(Unread { fault, passes: true }) => return (Self::Unread, Some(fault)),
            Err(Unread { fault, passes: false }) => {
                return match shut(folder) {
                    Some(fault) => (Self::Shut, Some(fault)),
                    None => (Self::Unknown, Some(fault)),
                };
            }
        };
        Self::parse(&text, folder)
    }

    fn parse(text: &str, folder: &Path) -> (Self, Option<Fault>) {
        let mut builder = GitignoreBuilder::new(folder);
        let mut fault = None;
        for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
            if number > MAX_PATTERNS {
                return (Self::Unknown, Some(format!("it has more than {MAX_PATTERNS} lines")));
            }
            if let Err(error) = builder.add_line(None, line) {
                fault.get_or_insert_with(|| format!("line {number} is no pattern: {error}"));
            }
        }
        match builder.build() {
            Ok(patterns) if patterns.is_empty() => (Self::None, fault),
            Ok(patterns) => (Self::Some(patterns), fault),
            Err(error) => (Self::Unknown, Some(error.to_string())),
        }
    }

    /// What they say of something in the folder or below it, if they say anything: `true` is that it is not shared.
    pub(super) fn ignore(&self, path: &Path, is_folder: bool) -> Option<bool> {
        match self {
            Self::None => None,
            Self::Unknown | Self::Unread | Self::Shut => Some(true),
            Self::Some(patterns) => match patterns.matched(path, is_folder) {
                Match::None => None,
                Match::Ignore(_) => Some(true),
                Match::Whitelist(_) => Some(false),
            },
        }
    }
}

/// Why nothing in a folder can be looked at, if so.
fn shut(folder: &Path) -> Option<Fault> {
    let error = fs::symlink_metadata(folder.join(IGNORE_FILE)).err()?;
    (error.kind() == std::io::ErrorKind::PermissionDenied).then(|| error.to_string())
}

/// Why a file of patterns was not read.
struct Unread {
    fault: Fault,
    /// It may be read later.
    passes: bool,
}

/// `None`: there is no such file.
fn read(path: &Path) -> Result<Option<String>, Unread> {
    let unreadable = |error: std::io::Error| Unread {
        fault: format!("it cannot be read: {error}"),
        passes: !inspect::is_lasting(&error),
    };
    let file = match inspect::open(path) {
        Ok(file) => file,
        Err(error) if inspect::is_absent(&error) => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        let fault = format!("it is longer than {} KiB", MAX_BYTES >> 10);
        return Err(Unread { fault, passes: false });
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_taken(text in "[*?\\[\\]{}!/a-c,\\\\ \n\u{0}\u{e9}]{0,60}", name in "[a-c/*]{1,8}") {
            let folder = Path::new("/folder");
            let (patterns, fault) = Patterns::parse(&text, folder);
            patterns.ignore(&folder.join(name.trim_start_matches('/')), false);
            prop_assert!(!matches!(patterns, Patterns::Unknown) || fault.is_some());
        }
    }

    fn loaded(text: impl AsRef<[u8]>) -> (Patterns, Option<Fault>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(IGNORE_FILE), text).unwrap();
        let (patterns, fault) = Patterns::load(folder.path());
        (patterns, fault, folder)
    }

    #[test]
    fn lines_are_patterns_and_wrong_ones_are_told() {
        let (patterns, fault, folder) = loaded("\u{feff}*.tmp\n# note\n[z-a]\n!keep.tmp\nbuild/\n");
        let says = |name: &str, is| patterns.ignore(&folder.path().join(name), is);
        assert_eq!(says("a.tmp", false), Some(true));
        assert_eq!(says("below/a.tmp", false), Some(true));
        assert_eq!(says("keep.tmp", false), Some(false));
        assert_eq!((says("build", true), says("build", false)), (Some(true), None));
        assert!(fault.is_some_and(|fault| fault.starts_with("line 3 ")));
    }

    #[test]
    fn a_file_that_is_too_much_hides_everything() {
        for text in ["x\n".repeat(MAX_PATTERNS + 1), "x".repeat(MAX_BYTES as usize + 1)] {
            let (patterns, fault, folder) = loaded(text);
            assert!(fault.is_some());
            assert_eq!(patterns.ignore(&folder.path().join("any"), false), Some(true));
        }
        let (patterns, fault, folder) = loaded([0xff, b'\n', 0]);
        assert!(fault.is_none());
        assert_eq!(patterns.ignore(&folder.path().join("any"), false), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_says_nothing_and_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(IGNORE_FILE);
        rustix::fs::mkfifoat(rustix::fs::CWD, &place, rustix::fs::Mode::RUSR).unwrap();
        assert!(matches!(Patterns::load(folder.path()), (Patterns::None, None)));
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        assert!(matches!(Patterns::load(folder.path()), (Patterns::None, None)));
    }
}
