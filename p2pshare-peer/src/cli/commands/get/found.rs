//! What is meant by what was asked for, as far as one file is told from several.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use futures::{FutureExt, future::ready};

use crate::{
    cli::exit::{CliError, Exit},
    download::{Found, ResolveError, Target, find_each},
    index_client::IndexClient,
};

/// Why no more of a list is asked for.
enum End {
    Enough,
    Failed(ResolveError),
}

impl From<ResolveError> for End {
    fn from(error: ResolveError) -> Self {
        Self::Failed(error)
    }
}

/// Finds what is meant by `targets`: the file if it is one, two of them if there are more, which are not listed to their
/// end. That each of the targets is there is found out all the same.
pub(super) async fn find_two(
    client: &IndexClient,
    targets: &[Target],
) -> Result<Vec<Found>, ResolveError> {
    let two = Mutex::new(Vec::<Found>::new());
    let keep = |page: Vec<Found>| {
        let is_there = !page.is_empty();
        let mut two = two.lock().unwrap_or_else(PoisonError::into_inner);
        for file in page {
            add(&mut two, file);
        }
        let done = match is_there && two.len() > 1 {
            true => Err(End::Enough),
            false => Ok(()),
        };
        ready(done).boxed()
    };
    for target in targets {
        match find_each(client, target, &keep).await {
            Ok(()) | Err(End::Enough) => {}
            Err(End::Failed(error)) => return Err(error),
        }
    }
    Ok(two.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Adds a file unless there are two, or it is one that was named twice.
fn add(two: &mut Vec<Found>, file: Found) {
    let is_same = |other: &Found| (&other.name, other.content) == (&file.name, file.content);
    if two.len() < 2 && !two.iter().any(is_same) {
        two.push(file);
    }
}

/// Whether what was found goes into a folder, each file under its own name. `false`: that is known once all are.
pub(super) fn goes_into_folder(output: Option<&Path>, several: bool) -> bool {
    match output {
        None => true,
        Some(output) if output.is_dir() => true,
        // With a separator at its end the system finds no file there.
        Some(output) => several && !output.components().collect::<PathBuf>().exists(),
    }
}

impl From<ResolveError> for CliError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Index(error) => error.into(),
            ResolveError::NotFound(_) => Self::new(Exit::NotFound, error.to_string())
                .hint("look for it with `search` or `browse`"),
            ResolveError::OtherIndex { ref link, .. } => {
                let hint = format!(
                    "log in there: p2pshare-peer --index '{}' login USER; or, if both are the same index: get {}",
                    link.index(),
                    link.content()
                );
                Self::new(Exit::NotLoggedIn, error.to_string()).hint(hint)
            }
            ResolveError::NoEnd(_) => Self::failed(error),
            ResolveError::TooMany(_) | ResolveError::NotAFolder(_) => {
                Self::new(Exit::Usage, error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::content::ContentId;

    use super::*;

    fn found(name: &str, bytes: &[u8]) -> Found {
        let content = ContentId::of(bytes);
        Found { content, size: 0, name: name.parse().unwrap(), exact: false }
    }

    #[test]
    fn what_is_named_twice_is_one_file() {
        let mut two = Vec::new();
        for (file, number) in [
            (found("a", b"a"), 1),
            (found("a", b"a"), 1),
            (found("a", b"other"), 2),
            (found("b", b"b"), 2),
        ] {
            add(&mut two, file);
            assert_eq!(two.len(), number);
        }
    }

    #[test]
    fn one_file_may_get_the_name_that_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let (new, file) = (folder.path().join("new"), folder.path().join("file"));
        std::fs::write(&file, b"").unwrap();
        for several in [false, true] {
            assert!(goes_into_folder(None, several));
            assert!(goes_into_folder(Some(folder.path()), several));
            assert_eq!(goes_into_folder(Some(&new), several), several);
            // In the way of several it is told of by whoever has found all.
            assert!(!goes_into_folder(Some(&file), several));
            assert!(!goes_into_folder(Some(&file.join("")), several));
        }
    }
}
