//! A manifest as bytes: the file beside a download, the blob in a catalog.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `p2pmanif` |
//! | 4 | version, 1 |
//! | 32 | content id |
//! | 8 | length of the content |
//! | as the length says | tail |
//! | as the length says | chaining values |
//!
//! Numbers are little-endian. Nothing needs a checksum, for a manifest verifies itself.

use std::io::{self, Read, Write};

use super::{
    ChainingValue, ContentId, ContentTooLong, Layout, Manifest, ManifestBuilder, ManifestError,
    tail::tail_len,
};

const MAGIC: [u8; 8] = *b"p2pmanif";
const VERSION: u32 = 1;
const HEAD_LEN: usize = 8 + 4 + 32 + 8;
/// How many bytes of chaining values are read at a time.
const PART_LEN: usize = 64 << 10;

/// Why a stored manifest cannot be used. Fetch the manifest again, or hash the file again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestReadError {
    /// Reading failed; the manifest may be good.
    #[error("the stored manifest could not be read: {0}")]
    Io(#[source] io::Error),
    /// It ends too early.
    #[error("the stored manifest ends too early; delete it, it will be made anew")]
    Truncated,
    /// It does not begin as a manifest does.
    #[error("this is not a stored manifest; delete it, it will be made anew")]
    NotAManifest,
    /// A version that this program does not know.
    #[error(
        "the stored manifest has version {found}, this program knows version {VERSION}; update the program"
    )]
    Version {
        /// The version found.
        found: u32,
    },
    /// It is damaged.
    #[error("the stored manifest is damaged ({0}); delete it, it will be made anew")]
    Invalid(#[from] ManifestError),
}

impl Manifest {
    /// Length in bytes of what [`write_to`](Self::write_to) writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEAD_LEN + self.tail().len() + size_of_val(self.chaining_values())
    }

    /// Writes the manifest in the form that [`read_from`](Self::read_from) reads, in a few large writes. Flushing and
    /// syncing are the caller's.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write_to(&self, mut writer: impl Write) -> io::Result<()> {
        let mut start = Vec::with_capacity(HEAD_LEN + self.tail().len());
        start.extend_from_slice(&MAGIC);
        start.extend_from_slice(&VERSION.to_le_bytes());
        start.extend_from_slice(self.id().as_bytes());
        start.extend_from_slice(&self.len().to_le_bytes());
        start.extend_from_slice(self.tail());
        writer.write_all(&start)?;
        writer.write_all(self.chaining_values().as_flattened())
    }

    /// Reads and verifies a manifest. What follows it in the reader is left there.
    ///
    /// The reader may be hostile: memory is taken only for what was really read, at most 64 MiB. The id is the one
    /// that is stored: the caller checks that it is the one wanted.
    ///
    /// # Errors
    ///
    /// [`ManifestReadError`].
    pub fn read_from(mut reader: impl Read) -> Result<Self, ManifestReadError> {
        let head = Head::read_from(&mut reader)?;
        let layout = Layout::new(head.len).map_err(|error: ContentTooLong| {
            ManifestReadError::Invalid(ManifestError::TooLong(error))
        })?;
        let mut tail = vec![0; tail_len(&layout)];
        reader.read_exact(&mut tail).map_err(read_error)?;
        let mut builder = ManifestBuilder::new(head.id, head.len, &tail)?;
        let mut part = vec![0; PART_LEN];
        while builder.missing() > 0 {
            let wanted = builder.missing().saturating_mul(size_of::<ChainingValue>()).min(PART_LEN);
            let part = &mut part[..wanted];
            reader.read_exact(part).map_err(read_error)?;
            builder.push(part)?;
        }
        Ok(builder.finish()?)
    }
}

struct Head {
    id: ContentId,
    len: u64,
}

impl Head {
    fn read_from(reader: &mut impl Read) -> Result<Self, ManifestReadError> {
        if read_array(reader)? != MAGIC {
            return Err(ManifestReadError::NotAManifest);
        }
        match u32::from_le_bytes(read_array(reader)?) {
            VERSION => {}
            found => return Err(ManifestReadError::Version { found }),
        }
        let id = ContentId::from_bytes(read_array(reader)?);
        let len = u64::from_le_bytes(read_array(reader)?);
        Ok(Self { id, len })
    }
}

fn read_array<const N: usize>(reader: &mut impl Read) -> Result<[u8; N], ManifestReadError> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(read_error)?;
    Ok(bytes)
}

fn read_error(error: io::Error) -> ManifestReadError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ManifestReadError::Truncated,
        _ => ManifestReadError::Io(error),
    }
}
