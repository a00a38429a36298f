//! What is there at a share's root, and on what kind of disk.

use std::path::Path;

use crate::share::{Identity, Priority};

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `None`: nothing.
    pub(super) identity: Option<Identity>,
    /// Others may change it without this system's noticing.
    pub(super) is_remote: bool,
}

impl Place {
    /// Looks. That may take very long where a disk does not answer.
    pub(super) async fn look(root: &Path) -> Self {
        let identity = Identity::of(root, Priority::Wanted).await;
        let root = root.to_owned();
        let is_remote = Priority::Wanted.run(move || is_remote(&root)).await.unwrap_or(false);
        Self { identity, is_remote }
    }
}

#[cfg(target_os = "linux")]
fn is_remote(path: &Path) -> bool {
    // The types are 32 bits wide, whatever the width of the field.
    rustix::fs::statfs(path).is_ok_and(|found| is_remote_type(found.f_type as u32))
}

#[cfg(not(target_os = "linux"))]
fn is_remote(_: &Path) -> bool {
    false
}

/// Whether a file system of this type (`f_type` of `statfs`) can be changed by other machines, or by programs past the
/// kernel as with FUSE.
#[cfg(any(target_os = "linux", test))]
fn is_remote_type(kind: u32) -> bool {
    const NFS: u32 = 0x6969;
    const SMB: u32 = 0x517B;
    const CIFS: u32 = 0xFF53_4D42;
    const SMB2: u32 = 0xFE53_4D42;
    const FUSE: u32 = 0x6573_5546;
    const CEPH: u32 = 0x00C3_6400;
    const AFS: u32 = 0x5346_414F;
    const V9FS: u32 = 0x0102_1997;
    const NCP: u32 = 0x564C;
    const CODA: u32 = 0x7375_7245;
    const OCFS2: u32 = 0x7461_636F;
    const GFS2: u32 = 0x0116_1970;
    const LUSTRE: u32 = 0x0BD0_0BD0;
    const GPFS: u32 = 0x4750_4653;
    const VBOX: u32 = 0x786F_4256;
    [NFS, SMB, CIFS, SMB2, FUSE, CEPH, AFS, V9FS, NCP, CODA, OCFS2, GFS2, LUSTRE, GPFS, VBOX]
        .contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_of_other_machines_are_told_from_own_ones() {
        let (nfs, ext4, tmpfs, btrfs) = (0x6969, 0xEF53, 0x0102_1994, 0x9123_683E);
        assert!(is_remote_type(nfs));
        assert!(![ext4, tmpfs, btrfs].into_iter().any(is_remote_type));
    }

    #[tokio::test]
    async fn another_folder_at_the_same_place_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let nothing = Place::look(&root).await;
        assert_eq!(nothing.identity, None);
        std::fs::create_dir(&root).unwrap();
        let first = Place::look(&root).await;
        assert_eq!(Place::look(&root).await, first);
        std::fs::rename(&root, folder.path().join("away")).unwrap();
        std::fs::create_dir(&root).unwrap();
        assert!(first.identity.is_some() && Place::look(&root).await != first);
    }
}
