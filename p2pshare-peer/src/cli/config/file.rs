//! The configuration file as it is written: keys and values with the lines on which they stand.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Largest configuration file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// One `key = value` of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The section.
    pub(super) section: String,
    /// The key.
    pub(super) key: String,
    /// The values as an argument would give them; one unless it is a list.
    pub(super) values: Vec<String>,
    /// Whether it is written as `true` or `false`.
    pub(super) is_bool: bool,
    /// Whether it is a list.
    pub(super) is_list: bool,
    /// The line of the key, from 1 on.
    pub(super) line: usize,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// It cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// What stands there makes no sense.
    #[error("{}, line {line}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where, from 1 on.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// Reads the file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, FileError> {
    let fail = |error| FileError::Io { path: path.to_owned(), error };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > MAX_FILE {
        return Err(fail(io::Error::other("it is far too large to be a configuration file")));
    }
    Ok(Some(text))
}

/// Every setting of the text, in the order of sections and keys, or the first line that is wrong and why.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let at = |offset: usize| line_of(text, offset);
    let document = DeTable::parse(text).map_err(|error| {
        (at(error.span().map_or(0, |span| span.start)), error.message().to_owned())
    })?;
    let mut entries = Vec::new();
    for (section, table) in document.get_ref() {
        let line = at(section.span().start);
        let Some(table) = table.get_ref().as_table() else {
            return Err((
                line,
                format!("{:?} stands in no section, such as [serve]", section.get_ref()),
            ));
        };
        for (key, value) in table {
            let line = at(key.span().start);
            let wrong = |what: &str| (line, format!("{:?} {what}", key.get_ref()));
            let list = value.get_ref().as_array();
            let values = match list {
                Some(list) => list.iter().map(plain).collect(),
                None => plain(value).map(|value| vec![value]),
            };
            let values = values
                .ok_or_else(|| wrong("must be a text, a number, true, false or a list of these"))?;
            entries.push(Entry {
                section: section.get_ref().to_string(),
                key: key.get_ref().to_string(),
                values,
                is_bool: value.get_ref().is_bool(),
                is_list: list.is_some(),
                line,
            });
        }
    }
    Ok(entries)
}

/// A value as an argument would give it.
fn plain(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|it| it.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_with_their_lines() {
        let text = "# x\n[serve]\nlisten = \"[::1]:1\"\nupload-slots = 0x10\ninsecure = true\n\n[peer]\nindex = [\"a\", \"b\"]\n";
        let entries = parse(text).unwrap();
        let seen: Vec<_> = entries
            .iter()
            .map(|it| (it.section.as_str(), it.key.as_str(), it.values.join("|"), it.line))
            .collect();
        assert_eq!(seen.len(), 4);
        assert!(seen.contains(&("peer", "index", "a|b".to_owned(), 8)), "{seen:?}");
        assert!(seen.contains(&("serve", "upload-slots", "16".to_owned(), 4)), "{seen:?}");
        assert!(entries.iter().any(|it| it.is_bool && it.key == "insecure"));
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_line() {
        for (text, line, says) in [
            ("[serve]\nlisten = ", 2, ""),
            ("\nlisten = \"x\"\n", 2, "no section"),
            ("[serve]\n\nlisten = 1979-05-27\n", 3, "a text"),
            ("[serve]\nlisten = { a = 1 }\n", 2, "a text"),
            ("[serve]\nlisten = [[1]]\n", 2, "a text"),
            ("[serve]\nlisten = 1\nlisten = 2\n", 3, ""),
            ("not toml", 1, ""),
        ] {
            let (at, what) = parse(text).unwrap_err();
            assert_eq!(at, line, "{text:?}: {what}");
            assert!(what.contains(says), "{text:?}: {what}");
        }
    }
}
