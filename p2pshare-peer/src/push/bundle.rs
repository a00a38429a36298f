//! Files that are pushed together.

use std::path::PathBuf;

use futures::{StreamExt, stream, stream::BoxStream};
use p2pshare_core::path::SharePath;

use super::PushError;

/// A file that takes hardly more than asking whether it is wanted, in bytes.
const SMALL: u64 = 128 << 10;

/// So many small files go together,
const MOST: usize = 64;
/// or so many bytes of them.
const MOST_BYTES: u64 = 2 << 20;

/// A file that is to be pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToPush {
    pub(super) local: PathBuf,
    /// Its name for the receiver.
    pub(super) name: SharePath,
    pub(super) size: u64,
}

/// The files, as they are found.
pub(super) type Files<'a> = BoxStream<'a, Result<ToPush, PushError>>;

/// Puts small files together; each large one is by itself and comes at once. Memory is that of one bundle.
pub(super) fn bundles(files: Files<'_>) -> BoxStream<'_, Result<Vec<ToPush>, PushError>> {
    let state = (files, Vec::new(), 0_u64, None);
    let bundles =
        stream::unfold(state, |(mut files, mut small, mut bytes, mut failed)| async move {
            loop {
                let next = match failed.take() {
                    Some(error) => Some(Err(error)),
                    None => files.next().await,
                };
                let bundle = match next {
                    Some(Ok(file)) if file.size > SMALL => Ok(vec![file]),
                    Some(Ok(file)) => {
                        bytes = bytes.saturating_add(file.size);
                        small.push(file);
                        if small.len() < MOST && bytes < MOST_BYTES {
                            continue;
                        }
                        bytes = 0;
                        Ok(std::mem::take(&mut small))
                    }
                    Some(Err(error)) if small.is_empty() => Err(error),
                    None if small.is_empty() => return None,
                    // What was found before goes first.
                    Some(Err(error)) => {
                        failed = Some(error);
                        Ok(std::mem::take(&mut small))
                    }
                    None => Ok(std::mem::take(&mut small)),
                };
                return Some((bundle, (files, small, bytes, failed)));
            }
        });
    bundles.boxed()
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    async fn sizes(sizes: &[u64]) -> Vec<Vec<u64>> {
        let files = sizes.iter().enumerate().map(|(number, size)| {
            let name = SharePath::parse(&number.to_string()).unwrap();
            Ok(ToPush { local: PathBuf::from(number.to_string()), name, size: *size })
        });
        let files = stream::iter(files.collect::<Vec<_>>()).boxed();
        let bundles: Vec<_> = bundles(files).try_collect().await.unwrap();
        bundles.iter().map(|bundle| bundle.iter().map(|file| file.size).collect()).collect()
    }

    #[tokio::test]
    async fn what_was_found_before_an_error_comes_first() {
        let file = |text: &str| {
            let name = SharePath::parse(text).unwrap();
            Ok(ToPush { local: PathBuf::from(text), name, size: 1 })
        };
        let error = PushError::NotFound(PathBuf::from("x"));
        let files = vec![file("a"), file("b"), Err(error), file("c")];
        let found: Vec<_> = bundles(stream::iter(files).boxed()).collect().await;
        let found: Vec<_> = found.iter().map(|bundle| bundle.as_ref().map(Vec::len).ok()).collect();
        assert_eq!(found, [Some(2), None, Some(1)]);
    }

    #[tokio::test]
    async fn small_files_go_together_and_large_ones_alone() {
        assert!(sizes(&[]).await.is_empty());
        assert_eq!(sizes(&[1, SMALL + 1, 0, SMALL]).await, [vec![SMALL + 1], vec![1, 0, SMALL]]);
        let many = sizes(&[1; MOST + 3]).await;
        assert_eq!(many, [vec![1; MOST], vec![1; 3]]);
        let most = usize::try_from(MOST_BYTES / SMALL).unwrap();
        assert_eq!(sizes(&[SMALL; 40]).await[0], vec![SMALL; most]);
    }
}
