//! What the files of a download are called.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::content::ContentId;

/// Longest name of a file on all common file systems, in bytes.
const MAX_NAME: usize = 255;

/// What follows the name of the target: a dot, 16 digits of the id, `.part`, `.manifest`, `.tmp`.
const MAX_SUFFIX: usize = 1 + 16 + 5 + 9 + 4;

/// The files of an unfinished download, beside its target.
///
/// For `NAME` they are `NAME.ID.part` and `NAME.ID.part.manifest`, where `ID` is the first 16 digits of the content's
/// id: two contents of the same name never touch each other's. A name that would become too long is cut, and `~` with 8
/// digits of its hash stands for what was cut off, so that no two names of one folder meet.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) part: PathBuf,
    pub(super) manifest: PathBuf,
    /// The manifest while it is written.
    pub(super) manifest_tmp: PathBuf,
}

/// What the name of a part file's manifest ends with.
const MANIFEST_SUFFIX: &str = ".part.manifest";

impl Names {
    /// `None` when the target has no name, as `/` and `..` have none.
    pub(super) fn of(target: &Path, content: &ContentId) -> Option<Self> {
        let part = format!("{}.{content:.16}.part", stem(target.file_name()?));
        Some(Self {
            manifest_tmp: target.with_file_name(format!("{part}.manifest.tmp")),
            manifest: target.with_file_name(format!("{part}.manifest")),
            part: target.with_file_name(part),
        })
    }

    /// Whether a file of this name may be the manifest of a part file.
    pub(super) fn is_manifest(name: &str) -> bool {
        name.ends_with(MANIFEST_SUFFIX)
    }

    /// The first digits of the content's id in the name of a manifest, if it is that of a download to this target.
    pub(super) fn digits_of_manifest<'a>(target: &Path, name: &'a str) -> Option<&'a str> {
        let rest = name.strip_prefix(&stem(target.file_name()?))?.strip_prefix('.')?;
        rest.strip_suffix(MANIFEST_SUFFIX).filter(|digits| digits.len() == 16)
    }
}

/// The name, or as much of it as leaves room for the rest.
fn stem(name: &OsStr) -> String {
    const MAX: usize = MAX_NAME - MAX_SUFFIX;

    if let Some(text) = name.to_str()
        && text.len() <= MAX
    {
        return text.to_owned();
    }
    let text = name.to_string_lossy();
    let hash = ContentId::of(name.as_encoded_bytes());
    let (kept, _) = text.split_at(text.floor_char_boundary(MAX - 9));
    format!("{kept}~{hash:.8}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(target: &str) -> Names {
        Names::of(Path::new(target), &ContentId::of(b"")).unwrap()
    }

    #[test]
    fn stand_beside_the_target() {
        let names = names("a/b/film.mkv");
        let part = Path::new("a/b/film.mkv.af1349b9f5f9a1a6.part");
        assert_eq!(names.part, part);
        assert_eq!(names.manifest, Path::new(&format!("{}.manifest", part.display())));
        assert!(Names::of(Path::new("a/.."), &ContentId::of(b"")).is_none());
    }

    #[test]
    fn tell_whose_manifest_it_is() {
        let digits = |target: &str, name| Names::digits_of_manifest(Path::new(target), name);
        let name = "film.mkv.af1349b9f5f9a1a6.part.manifest";
        assert_eq!(digits("a/film.mkv", name), Some("af1349b9f5f9a1a6"));
        assert_eq!(digits("a/film", name), None);
        assert_eq!(digits("a/film.mkv.2", name), None);
        assert_eq!(digits("a/..", name), None);
    }

    #[test]
    fn long_names_stay_apart() {
        let long = "é".repeat(127);
        let [a, b] = ["a", "b"].map(|end| names(&format!("{long}{end}")).part);
        assert_ne!(a, b);
    }

    proptest! {
        #[test]
        fn are_never_too_long(name in "[^/\0]{1,255}") {
            prop_assume!(name != "." && name != "..");
            let names = names(&name);
            for path in [names.part, names.manifest, names.manifest_tmp] {
                prop_assert!(path.file_name().unwrap().len() <= MAX_NAME);
            }
        }
    }
}
