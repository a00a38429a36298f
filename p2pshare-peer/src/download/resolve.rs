//! From what a person names to the contents and files that are meant.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use p2pshare_core::{
    api::{BrowseQuery, FileListing, ProblemKind},
    content::{ContentId, PIECE_LEN},
    identity::Username,
    path::SharePath,
    text::visible,
};

use super::Target;
use crate::{
    catalog::{MAX_NUMBER, numbered},
    index_client::{ClientError, IndexClient},
    link::ShareLink,
    share::is_unfinished,
};

/// A content and the file that it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub content: ContentId,
    /// How many bytes it has, as the index was told.
    pub size: u64,
    /// Where it goes.
    pub target: PathBuf,
}

impl Wanted {
    /// Whether it has at most one piece, if the index was told the truth.
    pub fn is_small(&self) -> bool {
        self.size <= PIECE_LEN
    }
}

/// A content that is there, and how it is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub content: ContentId,
    /// How many bytes it has, as the index was told.
    pub size: u64,
    /// Its name, relative to what was asked for.
    pub name: SharePath,
    /// What was asked for is this very file, not a folder above it.
    pub exact: bool,
}

/// Why what a person named is nothing that can be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The index did not say.
    #[error(transparent)]
    Index(#[from] ClientError),
    /// There is no such thing.
    #[error("{0} does not exist, or you may not see it")]
    NotFound(Target),
    /// It has more files than are downloaded at once.
    #[error("{0} has more than {MOST} files: name a folder in it")]
    TooMany(Target),
    /// The index says that there is more, and gives nothing.
    #[error("the index gives no end of the list of {0}: tell its operator")]
    NoEnd(Target),
    /// The link is for another index.
    #[error("the link is for the index at {}, and you are logged in at {here}", link.index())]
    OtherIndex {
        /// The link.
        link: Box<ShareLink>,
        /// Where the user is logged in.
        here: String,
    },
    /// One file name for several files.
    #[error("{} is a file, where a folder is needed: name one with -o", .0.display())]
    NotAFolder(PathBuf),
}

/// Most files below one folder.
const MOST: usize = 4_000_000;

/// Finds out what is meant by `targets`, and where each file goes: below the folder `output`, or, for one file, to the
/// very path `output` if no folder is there. Without `output` everything goes into the current folder.
///
/// What several targets have in common is wanted once; different contents of one name get numbers, as in `NAME (2)`.
pub async fn resolve(
    client: &IndexClient,
    targets: &[Target],
    output: Option<&Path>,
) -> Result<Vec<Wanted>, ResolveError> {
    place(tell_apart(find(client, targets).await?), output)
}

/// Finds out what is meant by `targets`.
pub async fn find(client: &IndexClient, targets: &[Target]) -> Result<Vec<Found>, ResolveError> {
    let all = Mutex::new(Vec::new());
    let keep = |page| {
        all.lock().unwrap_or_else(PoisonError::into_inner).extend(page);
        ready(Ok::<_, ResolveError>(())).boxed()
    };
    for target in targets {
        find_each(client, target, &keep).await?;
    }
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Finds out what is meant by `target`, and hands it over page by page.
pub async fn find_each<E: From<ResolveError>>(
    client: &IndexClient,
    target: &Target,
    each: &(dyn Fn(Vec<Found>) -> BoxFuture<'static, Result<(), E>> + Send + Sync),
) -> Result<(), E> {
    match target {
        Target::Content(content) => {
            each(vec![content_by_id(client, target, *content).await?]).await
        }
        Target::Link(link) => {
            check_index(client, link)?;
            let there = content_by_id(client, target, link.content()).await?;
            each(vec![Found { name: harmless(link.name().clone()), ..there }]).await
        }
        Target::Path { owner, path } => files_of(client, target, owner, path.as_ref(), each).await,
    }
}

/// The name as it is written to the disk: not shown as something else than it is, and none that a download gives its
/// unfinished files, for those of another download would be lost.
fn harmless(name: SharePath) -> SharePath {
    let name = name.without_turns();
    match is_unfinished(Path::new(name.file_name())) {
        true => numbered(&name, 2).unwrap_or(name),
        false => name,
    }
}

/// A link for another index names nothing here: the same id may be somebody else's secret there.
fn check_index(client: &IndexClient, link: &ShareLink) -> Result<(), ResolveError> {
    if client.urls().any(|url| url.is_same_place(link.index())) {
        return Ok(());
    }
    Err(ResolveError::OtherIndex {
        link: Box::new(link.clone()),
        here: client.urls().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    })
}

/// Gives different contents of the same name different names, and takes what was named twice once.
fn tell_apart(found: Vec<Found>) -> Vec<Found> {
    let mut contents: BTreeMap<SharePath, ContentId> = BTreeMap::new();
    let mut apart = Vec::with_capacity(found.len());
    for mut file in found {
        let taken =
            |name: &SharePath| contents.get(name).is_some_and(|content| *content != file.content);
        let free = (1..=MAX_NUMBER)
            .find_map(|number| numbered(&file.name, number).filter(|name| !taken(name)));
        // Without a free name the two meet at the disk, where neither overwrites the other.
        file.name = free.unwrap_or(file.name);
        if contents.insert(file.name.clone(), file.content).is_none() {
            apart.push(file);
        }
    }
    apart
}

async fn content_by_id(
    client: &IndexClient,
    target: &Target,
    content: ContentId,
) -> Result<Found, ResolveError> {
    let details = client.content(&content).await.map_err(|error| not_found(error, target))?;
    let hit = details.hits.first().ok_or_else(|| ResolveError::NotFound(target.clone()))?;
    let name = hit.names.first().ok_or_else(|| ResolveError::NotFound(target.clone()))?;
    Ok(Found { content, size: hit.size, name: harmless(name.path.last()), exact: true })
}

async fn files_of<E: From<ResolveError>>(
    client: &IndexClient,
    target: &Target,
    owner: &Username,
    path: Option<&SharePath>,
    each: &(dyn Fn(Vec<Found>) -> BoxFuture<'static, Result<(), E>> + Send + Sync),
) -> Result<(), E> {
    let mut query = BrowseQuery { path: path.cloned(), recursive: true, ..BrowseQuery::default() };
    let above = path.and_then(SharePath::parent);
    let (mut any, mut items) = (false, 0);
    loop {
        let mut found = Vec::new();
        let page = client.browse(owner, &query).await.map_err(|error| not_found(error, target))?;
        let named = page.items.len();
        for item in page.items {
            let FileListing::File(file) = item else { continue };
            let name = match &above {
                Some(above) => file.path.strip_prefix(above).unwrap_or_else(|| file.path.clone()),
                None => file.path.clone(),
            };
            // An index that names something else may not choose what is written here.
            if path.is_some_and(|path| !file.path.starts_with(path)) {
                tracing::warn!(asked = %target, path = %visible(file.path.as_str()), "the index named a file that was not asked for");
                continue;
            }
            let exact = path == Some(&file.path);
            let name = harmless(name);
            found.push(Found { content: file.content, size: file.size, name, exact });
        }
        any |= !found.is_empty();
        items += named;
        if items > MOST {
            return Err(ResolveError::TooMany(target.clone()).into());
        }
        each(found).await?;
        if page.next.is_none() {
            break;
        }
        if named == 0 || page.next == query.cursor {
            return Err(ResolveError::NoEnd(target.clone()).into());
        }
        query.cursor = page.next;
    }
    match any {
        true => Ok(()),
        false => Err(ResolveError::NotFound(target.clone()).into()),
    }
}

fn place(found: Vec<Found>, output: Option<&Path>) -> Result<Vec<Wanted>, ResolveError> {
    let folder = match output {
        None => Path::new("."),
        Some(path) if path.is_dir() => path,
        // A path where nothing is: the name of the one file, or a new folder for several.
        Some(path) => match found.as_slice() {
            [one] if one.exact && !ends_with_separator(path) => {
                return Ok(vec![Wanted {
                    content: one.content,
                    size: one.size,
                    target: path.to_owned(),
                }]);
            }
            _ => {
                // With a separator at its end the system finds no file there.
                let bare: PathBuf = path.components().collect();
                match bare.exists() {
                    true => return Err(ResolveError::NotAFolder(bare)),
                    false => path,
                }
            }
        },
    };
    let wanted = found
        .into_iter()
        .map(|file| Wanted {
            content: file.content,
            size: file.size,
            target: file.name.under(folder),
        })
        .collect();
    Ok(wanted)
}

fn ends_with_separator(path: &Path) -> bool {
    path.as_os_str().to_string_lossy().ends_with(std::path::is_separator)
}

fn not_found(error: ClientError, target: &Target) -> ResolveError {
    match error.kind() {
        Some(ProblemKind::NotFound) => ResolveError::NotFound(target.clone()),
        _ => ResolveError::Index(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, exact: bool) -> Found {
        Found { content: ContentId::of(b""), size: 0, name: SharePath::parse(name).unwrap(), exact }
    }

    fn targets(found: Vec<Found>, output: Option<&Path>) -> Vec<PathBuf> {
        place(found, output).unwrap().into_iter().map(|wanted| wanted.target).collect()
    }

    #[test]
    fn no_file_takes_the_name_of_an_unfinished_one() {
        let digits = "0123456789abcdef";
        for (name, becomes) in [
            (format!("a/film.{digits}.part"), format!("a/film.{digits} (2).part")),
            (format!("film.{digits}.part.manifest"), format!("film.{digits}.part (2).manifest")),
            (
                format!("film.{digits}.part.manifest.tmp"),
                format!("film.{digits}.part.manifest (2).tmp"),
            ),
            ("film.part".into(), "film.part".into()),
            ("a/photo\u{202e}gpj.exe".into(), "a/photo_gpj.exe".into()),
        ] {
            let name = harmless(SharePath::parse(&name).unwrap());
            assert_eq!(name.as_str(), becomes);
            assert!(!is_unfinished(Path::new(name.file_name())));
        }
    }

    #[test]
    fn one_file_takes_the_name_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new name.mkv");
        assert_eq!(targets(vec![found("film.mkv", true)], Some(&new)), std::slice::from_ref(&new));
        assert_eq!(
            targets(vec![found("film.mkv", true)], Some(folder.path())),
            [folder.path().join("film.mkv")]
        );
        let slash = folder.path().join("sub/");
        assert_eq!(
            targets(vec![found("film.mkv", true)], Some(&slash)),
            [folder.path().join("sub/film.mkv")]
        );
        assert_eq!(targets(vec![found("film.mkv", true)], None), [PathBuf::from("./film.mkv")]);
    }

    #[test]
    fn contents_of_one_name_do_not_meet() {
        let other = |name| Found { content: ContentId::of(b"other"), ..found(name, true) };
        let apart = tell_apart(vec![
            found("a.txt", true),
            other("a.txt"),
            found("a.txt", true),
            other("b.txt"),
        ]);
        let names: Vec<_> = apart.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["a.txt", "a (2).txt", "b.txt"]);
    }

    #[test]
    fn a_folder_keeps_its_tree() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new");
        let tree = || vec![found("Films/a.mkv", false), found("Films/sub/b.mkv", false)];
        assert_eq!(
            targets(tree(), Some(&new)),
            [new.join("Films/a.mkv"), new.join("Films/sub/b.mkv")]
        );
        // A folder that has one file is a folder all the same.
        assert_eq!(
            targets(vec![found("Films/a.mkv", false)], Some(&new)),
            [new.join("Films/a.mkv")]
        );
        std::fs::write(&new, b"").unwrap();
        for path in [new.clone(), new.join("")] {
            let placed = place(tree(), Some(&path));
            assert!(matches!(placed, Err(ResolveError::NotAFolder(told)) if told == new));
        }
    }
}
