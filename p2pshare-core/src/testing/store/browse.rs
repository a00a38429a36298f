//! Laws of [`CatalogStore`](crate::index::store::CatalogStore): browsing.

use super::fixture::*;
use crate::{
    api::{Entry, FileListing, UserFile, Visibility},
    path::SharePath,
};

/// Names that sort around the `/`.
const AWKWARD: [&str; 10] =
    ["a", "a b", "a b/x", "a!/x", "a-b", "a/b", "a/b c/d", "a/b/c", "a/c", "a0/x"];

fn file(text: &str, number: u8) -> UserFile {
    UserFile { path: path(text), content: content(number), size: 10 }
}

async fn alice_shares(store: &Store, texts: &[&str]) {
    add_users(store, &["alice"]).await;
    // A path and a folder of the same name cannot be on one peer's disk, but they can be on two.
    for number in 1..=2_u8 {
        add_peer(store, number, "alice").await;
        let entries: Vec<_> = texts.iter().map(|text| entry(text, 1)).collect();
        share(store, "alice", number, &entries).await;
    }
}

async fn files(store: &Store, folder: Option<&str>, limit: u32) -> Vec<UserFile> {
    let folder = folder.map(path);
    let dave = viewer("dave", &[]);
    let mut seen: Vec<UserFile> = Vec::new();
    loop {
        let page =
            store.user_files(&dave, &user("alice"), folder.as_ref(), seen.last(), limit).await;
        let page = ok(page);
        assert!(page.len() <= limit as usize);
        if page.is_empty() {
            return seen;
        }
        seen.extend(page);
    }
}

async fn listing(store: &Store, folder: Option<&str>, limit: u32) -> Vec<FileListing> {
    let folder = folder.map(path);
    let dave = viewer("dave", &[]);
    let mut seen: Vec<FileListing> = Vec::new();
    loop {
        let page =
            store.user_folder(&dave, &user("alice"), folder.as_ref(), seen.last(), limit).await;
        let page = ok(page);
        assert!(page.len() <= limit as usize);
        if page.is_empty() {
            return seen;
        }
        seen.extend(page);
    }
}

fn shown(listing: &[FileListing]) -> Vec<String> {
    let line = |item: &FileListing| match item {
        FileListing::Folder(path) => format!("{path}/"),
        FileListing::File(file) => file.path.to_string(),
    };
    listing.iter().map(line).collect()
}

/// The files below a folder, or all, or the one of this path, come in order, in pages of any size.
pub async fn files_below_a_folder_are_paged_in_order(store: Store) {
    alice_shares(&store, &AWKWARD).await;
    for (folder, expected) in [
        (None, &AWKWARD[..]),
        (Some("a"), &["a", "a/b", "a/b c/d", "a/b/c", "a/c"]),
        (Some("a/b"), &["a/b", "a/b/c"]),
        (Some("a b"), &["a b", "a b/x"]),
        (Some("a/c"), &["a/c"]),
        (Some("A"), &[]),
        (Some("a/b/c/d"), &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|text| file(text, 1)).collect();
        for limit in [1, 2, 3, 100] {
            assert_eq!(files(&store, folder, limit).await, expected, "{folder:?} by {limit}");
        }
    }
}

/// A path is there once for each content and size, however many peers share it; another user's is not.
pub async fn a_file_is_there_once_for_each_content(store: Store) {
    add_users(&store, &["alice", "bob"]).await;
    for (number, owner) in [(1, "alice"), (2, "alice"), (3, "alice"), (4, "bob")] {
        add_peer(&store, number, owner).await;
    }
    let resized = Entry { size: 5, ..entry("a", 2) };
    share(&store, "alice", 1, &[entry("a", 2), entry("b", 1)]).await;
    share(&store, "alice", 2, &[resized, entry("b", 1)]).await;
    share(&store, "alice", 3, &[entry("a", 1)]).await;
    share(&store, "bob", 4, &[entry("bobs", 1)]).await;
    let small = UserFile { size: 5, ..file("a", 2) };
    let expected = [file("a", 1), small, file("a", 2), file("b", 1)];
    let listed: Vec<_> = expected.iter().cloned().map(FileListing::File).collect();
    for limit in [1, 2, 3, 100] {
        assert_eq!(files(&store, None, limit).await, expected);
        assert_eq!(listing(&store, None, limit).await, listed);
    }
    let dave = viewer("dave", &[]);
    assert_eq!(ok(store.user_files(&dave, &user("nobody"), None, None, 9).await), []);
    assert_eq!(ok(store.user_folder(&dave, &user("nobody"), None, None, 9).await), []);
}

/// A folder lists its folders, then its files, each once, in order, in pages of any size.
pub async fn a_folder_lists_folders_then_files(store: Store) {
    alice_shares(&store, &AWKWARD).await;
    for (folder, expected) in [
        (None, &["a/", "a b/", "a!/", "a0/", "a", "a b", "a-b"][..]),
        (Some("a"), &["a/b/", "a/b c/", "a", "a/b", "a/c"]),
        (Some("a/b"), &["a/b", "a/b/c"]),
        (Some("a b"), &["a b", "a b/x"]),
        (Some("a-b"), &["a-b"]),
        (Some("a/b c"), &["a/b c/d"]),
        (Some("b"), &[]),
        (Some("a/b/c/d"), &[]),
    ] {
        for limit in [1, 2, 3, 100] {
            let listed = listing(&store, folder, limit).await;
            assert_eq!(shown(&listed), expected, "{folder:?} by {limit}");
        }
    }
}

/// A folder is told by its whole path, however deep it is.
pub async fn a_folder_has_its_whole_path(store: Store) {
    let deep: Vec<_> = (0..SharePath::MAX_PARTS).map(|part| format!("p{part}")).collect();
    let whole = deep.join("/");
    alice_shares(&store, &[&whole]).await;
    for depth in 0..SharePath::MAX_PARTS - 1 {
        let folder = deep[..depth].join("/");
        let folder = (depth > 0).then_some(folder.as_str());
        let below = deep[..=depth].join("/");
        let listed = listing(&store, folder, 9).await;
        assert_eq!(listed, [FileListing::Folder(path(&below))]);
    }
    let parent = deep[..SharePath::MAX_PARTS - 1].join("/");
    assert_eq!(listing(&store, Some(&parent), 9).await, [FileListing::File(file(&whole, 1))]);
}

/// A place to go on from need not be there any more.
pub async fn browsing_goes_on_where_something_was(store: Store) {
    alice_shares(&store, &["b", "d", "f/x", "h/x"]).await;
    let (dave, alice) = (viewer("dave", &[]), user("alice"));
    let gone = file("c", 9);
    let after = ok(store.user_files(&dave, &alice, None, Some(&gone), 1).await);
    assert_eq!(after, [file("d", 1)]);
    for (after, expected) in [
        (FileListing::Folder(path("a")), &["f/", "h/", "b", "d"][..]),
        (FileListing::Folder(path("g")), &["h/", "b", "d"]),
        (FileListing::Folder(path("z")), &["b", "d"]),
        (FileListing::File(file("a", 1)), &["b", "d"]),
        (FileListing::File(file("b", 0)), &["b", "d"]),
        (FileListing::File(file("b", 1)), &["d"]),
        (FileListing::File(file("z", 1)), &[]),
    ] {
        let listed = ok(store.user_folder(&dave, &alice, None, Some(&after), 9).await);
        assert_eq!(shown(&listed), expected, "{after:?}");
    }
}

/// Capital letters, diacritics and signs that some query languages know are part of a path here.
pub async fn paths_are_compared_as_they_are(store: Store) {
    let texts = ["%/x", "A/x", "_/x", "a%/x", "a/x", "á/x"];
    alice_shares(&store, &texts).await;
    for text in texts {
        let folder = text.trim_end_matches("/x");
        let expected = [FileListing::File(file(text, 1))];
        assert_eq!(listing(&store, Some(folder), 9).await, expected, "{folder}");
        assert_eq!(files(&store, Some(folder), 9).await, [file(text, 1)], "{folder}");
    }
}

/// Folders are found among very many files, in every scope, whatever their letters take.
pub async fn folders_are_found_among_files(store: Store) {
    add_users(&store, &["alice", "dave"]).await;
    add_peer(&store, 1, "alice").await;
    add_group(&store, "club", "alice", &["dave"]).await;
    let mut shared: Vec<_> = (0..90).map(|at| entry(&format!("ä 漢/ö{at:02}"), 1)).collect();
    shared.push(entry("ä 漢/ö/x/y", 1));
    shared.push(entry("ä 漢/ö41 ü/x", 1));
    shared.extend((0..50).map(|at| entry_for(&format!("ä 漢/ö60/{at}"), 2, &shared_with("club"))));
    shared.push(entry_for("ä 漢/öz/x", 3, &Visibility::Unlisted));
    shared.push(entry("ä 漢0/x", 1));
    share(&store, "alice", 1, &shared).await;
    let folder = path("ä 漢");
    for (viewer, expected) in [
        (viewer("carol", &[]), &["ä 漢/ö/", "ä 漢/ö41 ü/"][..]),
        (viewer("dave", &["club"]), &["ä 漢/ö/", "ä 漢/ö41 ü/", "ä 漢/ö60/"]),
        (viewer("alice", &["club"]), &["ä 漢/ö/", "ä 漢/ö41 ü/", "ä 漢/ö60/", "ä 漢/öz/"]),
    ] {
        for limit in [1, 2, 100] {
            let mut seen: Vec<FileListing> = Vec::new();
            while !matches!(seen.last(), Some(FileListing::File(_))) {
                let after = seen.last();
                let page =
                    store.user_folder(&viewer, &user("alice"), Some(&folder), after, limit).await;
                seen.extend(ok(page));
            }
            let folders: Vec<_> =
                shown(&seen).into_iter().filter(|line| line.ends_with('/')).collect();
            assert_eq!(folders, expected, "{viewer:?} by {limit}");
        }
    }
}

/// Asking for nothing gives nothing.
pub async fn browsing_is_bounded(store: Store) {
    alice_shares(&store, &["a", "b/c"]).await;
    let alice = user("alice");
    share(&store, "alice", 1, &[entry_for("c", 3, &Visibility::Unlisted)]).await;
    let dave = viewer("dave", &[]);
    assert_eq!(ok(store.user_files(&dave, &alice, None, None, 0).await), []);
    assert_eq!(ok(store.user_folder(&dave, &alice, None, None, 0).await), []);
}
