//! What a share path accepts, refuses and promises.
#![allow(clippy::unwrap_used, reason = "a helper of a test panics as the test does")]

use std::path::{Component, Path, PathBuf};

use p2pshare_core::path::{PartProblem, PathError, SharePath};
use proptest::prelude::*;

fn path(text: &str) -> SharePath {
    SharePath::parse(text).unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

fn problem(text: &str) -> PartProblem {
    match SharePath::parse(text) {
        Err(PathError::Part { problem, .. }) => problem,
        other => panic!("{text:?} gave {other:?}"),
    }
}

#[test]
fn ordinary_names_are_accepted() {
    let longest = "é".repeat(127) + "x";
    for text in [
        "a",
        "a/b/c.txt",
        ".hidden/.profile",
        " leading space",
        "Dvořák/09 Largo.flac",
        "家族 👨\u{200d}👩\u{200d}👧.jpg",
        "wait…",
        "..a",
        "a..b",
        "console/common/com/com10/lpt/nul1/aux-1",
        "CONFIG.SYS",
        "COMx",
        "~",
        "\u{301}mark first",
        "½ cup",
        longest.as_str(),
    ] {
        assert_eq!(path(text).as_str(), text);
    }
    path(&vec!["a"; 64].join("/"));
    path(&vec!["a".repeat(63); 64].join("/"));
}

#[test]
fn what_could_leave_the_folder_is_refused() {
    for text in
        [".", "..", "a/..", "../a", "a/./b", "\u{2024}\u{2024}", "\u{2025}", "\u{ff0e}\u{ff0e}/x"]
    {
        assert_eq!(problem(text), PartProblem::Dots, "{text:?}");
    }
    for text in ["a\\b", "a\u{ff0f}b", "a\u{ff3c}b", "a\u{fe68}b", "\u{2100}", "..\\x"] {
        assert!(matches!(problem(text), PartProblem::Separator(_)), "{text:?}");
    }
    for text in ["/", "/a", "//a"] {
        assert_eq!(SharePath::parse(text), Err(PathError::NotRelative), "{text:?}");
    }
    for text in ["a//b", "a/"] {
        assert_eq!(problem(text), PartProblem::Empty, "{text:?}");
    }
    assert_eq!(SharePath::parse(""), Err(PathError::Empty));
    assert_eq!(problem("C:"), PartProblem::Forbidden(':'));
}

#[test]
fn what_windows_or_a_terminal_chokes_on_is_refused() {
    for c in ['<', '>', ':', '"', '|', '?', '*'] {
        assert_eq!(problem(&format!("a{c}b")), PartProblem::Forbidden(c));
    }
    for c in ['\0', '\n', '\u{1b}', '\u{7f}', '\u{80}', '\u{9f}', '\u{2028}', '\u{2029}'] {
        assert_eq!(problem(&format!("a{c}b")), PartProblem::Control(c));
    }
    for text in ["a.", "a ", "...", " ", "a /b"] {
        assert_eq!(problem(text), PartProblem::Trailing, "{text:?}");
    }
    for text in [
        "CON",
        "con",
        "Prn",
        "aux.txt",
        "x/NUL/y",
        "nul.tar.gz",
        "COM1",
        "lpt9.log",
        "COM0",
        "COM\u{b9}",
        "lpt\u{b3}.x",
        "CONIN$",
        "conout$.txt",
        "con .txt",
        "\u{ff23}ON",
    ] {
        assert_eq!(problem(text), PartProblem::Device, "{text:?}");
    }
}

#[test]
fn limits_and_normal_form() {
    assert_eq!(problem("e\u{301}"), PartProblem::NotNormalized);
    assert_eq!(problem("\u{212a}"), PartProblem::NotNormalized);
    assert_eq!(problem(&"a".repeat(256)), PartProblem::TooLong { bytes: 256 });
    assert_eq!(SharePath::parse(&vec!["a"; 65].join("/")), Err(PathError::TooDeep { parts: 65 }));
    let long = vec!["a".repeat(100); 41].join("/");
    assert_eq!(SharePath::parse(&long), Err(PathError::TooLong { bytes: 4140 }));
}

#[test]
fn errors_name_the_part_and_hide_nothing_behind_it() {
    let error = SharePath::parse("good/ba\u{1b}[2Jd/x").unwrap_err().to_string();
    assert!(
        error
            .starts_with("part 2 of the path (`ba\\u{1b}[2Jd`) holds the control character U+001B"),
        "{error}"
    );
    let error = SharePath::from_parts(["a/b"]).unwrap_err();
    assert!(matches!(
        error,
        PathError::Part { number: 1, problem: PartProblem::Separator('/'), .. }
    ));
}

#[test]
fn taking_paths_apart_and_together() {
    let p = path("music/live/Set.TAR.GZ");
    assert_eq!(p.parts().collect::<Vec<_>>(), ["music", "live", "Set.TAR.GZ"]);
    assert_eq!(p.file_name(), "Set.TAR.GZ");
    assert_eq!(p.extension().as_deref(), Some("gz"));
    assert_eq!(p.parent(), Some(path("music/live")));
    assert_eq!(path("music").parent(), None);
    assert_eq!(path("a.b/c").extension(), None);
    assert_eq!(path(".profile").extension(), None);
    assert_eq!(path("music").join(&path("live/x")), Ok(path("music/live/x")));
    assert!(
        p.starts_with(&path("music")) && p.starts_with(&path("music/live")) && p.starts_with(&p)
    );
    assert!(!p.starts_with(&path("mus")) && !path("music").starts_with(&p));
    assert_eq!(p.strip_prefix(&path("music")), Some(path("live/Set.TAR.GZ")));
    assert_eq!(p.strip_prefix(&p), None);
    assert_eq!(p.strip_prefix(&path("music/li")), None);
    assert_eq!(p.under(Path::new("/srv/in")), PathBuf::from("/srv/in/music/live/Set.TAR.GZ"));
    let deep = path(&vec!["a"; 40].join("/"));
    assert_eq!(deep.join(&deep), Err(PathError::TooDeep { parts: 80 }));
    assert_eq!(SharePath::from_parts(["a", "b c"]), Ok(path("a/b c")));
    assert_eq!(SharePath::from_parts::<[&str; 0]>([]), Err(PathError::Empty));
}

#[test]
fn serde_goes_through_the_parser() {
    let p: SharePath = serde_json::from_str("\"a/b\"").unwrap();
    assert_eq!(serde_json::to_string(&p).unwrap(), "\"a/b\"");
    assert!(serde_json::from_str::<SharePath>("\"../b\"").is_err());
    assert!(serde_json::from_str::<SharePath>("7").is_err());
}

fn sanitized(local: impl AsRef<Path>) -> (String, bool) {
    let s = SharePath::sanitize(local.as_ref()).unwrap();
    (s.path.as_str().to_owned(), s.changed)
}

#[test]
fn real_files_get_harmless_names() {
    for (local, shared) in [
        ("a:b?.txt", "a_b_.txt"),
        ("back\\slash", "back_slash"),
        ("end.", "end_"),
        ("sp ", "sp_"),
        ("...", ".._"),
        ("nul.txt", "_nul.txt"),
        ("con/aux", "_con/_aux"),
        ("e\u{301}", "é"),
        ("new\nline", "new_line"),
        ("\u{2025}", "_\u{2025}"),
        ("\u{2100}", "_"),
    ] {
        assert_eq!(sanitized(local), (shared.to_owned(), true), "{local:?}");
    }
    assert_eq!(sanitized("./a/b.txt"), ("a/b.txt".to_owned(), false));
    for local in ["/a", "../a", "a/../b"] {
        assert_eq!(SharePath::sanitize(Path::new(local)), Err(PathError::NotRelative), "{local:?}");
    }
    assert_eq!(SharePath::sanitize(Path::new("")), Err(PathError::Empty));
    let deep = vec!["a"; 65].join("/");
    assert_eq!(SharePath::sanitize(Path::new(&deep)), Err(PathError::TooDeep { parts: 65 }));
}

#[test]
fn long_names_are_cut_and_stay_apart() {
    let name = |end: &str| format!("{}{end}.flac", "long ".repeat(80));
    let ((one, _), (two, _)) = (sanitized(name("one")), sanitized(name("two")));
    assert_ne!(one, two);
    for cut in [&one, &two] {
        assert!(
            cut.len() <= 255 && cut.starts_with("long long") && cut.ends_with(".flac"),
            "{cut}"
        );
    }
    assert!(sanitized("文".repeat(200)).0.len() <= 255);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_can_be_shared() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    assert_eq!(sanitized(OsStr::from_bytes(b"caf\xe9.txt")), ("caf_.txt".to_owned(), true));
    assert_eq!(sanitized("kept \u{fffd}"), ("kept \u{fffd}".to_owned(), false));
}

/// Strings of pieces that have got programs into trouble, mixed with anything at all.
fn nasty() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        4 => proptest::sample::select(vec![
            "/", "//", "\\", "..", ".", "../", "/..", "./", " ", "\0", ":", "C:", "\\\\?\\", "con", "NUL", "com\u{b9}",
            "CONIN$", ".txt", "\u{ff0f}", "\u{ff3c}", "\u{2025}", "\u{2024}", "\u{ff0e}", "\u{301}", "e", "\u{202e}",
            "\u{200b}", "\u{2028}", "\n", "~", "%2e%2e%2f", "\u{2044}", "\u{2215}", "\u{338}", "\u{110c}\u{1161}",
            "\u{fdfa}", "\u{feff}", "\u{10ffff}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ])
        .prop_map(str::to_owned),
        2 => "[a-z]{1,3}",
        1 => any::<char>().prop_map(String::from),
    ];
    prop_oneof![
        proptest::collection::vec(fragment, 0..24).prop_map(|parts| parts.concat()),
        "\\PC{0,40}",
        any::<String>(),
    ]
}

fn assert_stays_inside(path: &SharePath) {
    let folder = Path::new("/srv/inbox");
    let place = path.under(folder);
    let below = place.strip_prefix(folder).unwrap();
    assert!(below.components().all(|c| matches!(c, Component::Normal(_))), "{path:?}");
    assert_eq!(below.components().count(), path.parts().count(), "{path:?}");
    assert!(!place.to_str().unwrap().contains(['\\', '\0']));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_path_never_leaves_its_folder(text in nasty()) {
        if let Ok(path) = SharePath::parse(&text) {
            assert_stays_inside(&path);
            prop_assert_eq!(path.as_str(), text.as_str());
            let shown = path.to_string();
            prop_assert_eq!(&SharePath::parse(&shown).unwrap(), &path);
            prop_assert_eq!(&SharePath::from_parts(path.parts()).unwrap(), &path);
            for part in path.parts() {
                SharePath::parse(part).unwrap();
            }
            if let Some(parent) = path.parent() {
                prop_assert_eq!(&SharePath::parse(parent.as_str()).unwrap(), &parent);
                let rest = path.strip_prefix(&parent).unwrap();
                prop_assert_eq!(parent.join(&rest).unwrap(), path);
            }
        }
    }

    #[test]
    fn a_sanitized_name_is_valid_and_stays_as_it_is(text in nasty()) {
        if let Ok(first) = SharePath::sanitize(Path::new(&text)) {
            assert_stays_inside(&first.path);
            prop_assert_eq!(&SharePath::parse(first.path.as_str()).unwrap(), &first.path);
            let second = SharePath::sanitize(Path::new(first.path.as_str())).unwrap();
            prop_assert!(!second.changed);
            prop_assert_eq!(second.path, first.path);
        } else {
            // One name of a file can always be made harmless: only its place can stand in the way.
            let local = Path::new(&text);
            let names = local.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
            prop_assert!(!names || !local.components().any(|c| matches!(c, Component::Normal(_))));
        }
    }

    #[cfg(unix)]
    #[test]
    fn any_bytes_of_a_name_can_be_sanitized(bytes in proptest::collection::vec(1u8.., 1..300)) {
        use std::os::unix::ffi::OsStrExt;

        let local = std::ffi::OsStr::from_bytes(&bytes);
        let components = || Path::new(local).components();
        let is_name = |c| matches!(c, Component::Normal(_));
        let names = components().all(|c| is_name(c) || c == Component::CurDir);
        let expected = names && components().any(is_name);
        prop_assert_eq!(SharePath::sanitize(Path::new(local)).is_ok(), expected);
    }

    #[test]
    fn a_path_that_parses_needs_no_sanitizing(text in nasty()) {
        if let Ok(path) = SharePath::parse(&text) {
            let same = SharePath::sanitize(Path::new(&text)).unwrap();
            prop_assert_eq!((same.path, same.changed), (path, false));
        }
    }
}
