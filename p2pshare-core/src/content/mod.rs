//! Contents: what a file is made of, and how anyone can check it piece by piece.
//!
//! A content is named by its [`ContentId`], the plain BLAKE3 hash of its bytes, and is cut into *pieces* of
//! [`PIECE_LEN`] bytes, the last one shorter. BLAKE3 is a binary tree, and a piece is a whole subtree of it, so a piece
//! has a *chaining value* that is computed from the piece alone, and the chaining values of all pieces merge into the
//! content id. They make up the [`Manifest`], which a stranger can send: it is either right or refused.
//!
//! - [`hash_file`], [`hash_bytes`] and [`ManifestHasher`] make a manifest from a content.
//! - [`Manifest::verify`] and [`ManifestBuilder`] take one from somebody else.
//! - [`PieceVerifier`] checks a piece while its bytes arrive.
//! - [`Layout`], [`PieceIndex`], [`PieceRun`] and [`PieceSet`] count pieces.
//!
//! The shape of the tree is that of section 2.1 of the [BLAKE3 paper].
//!
//! [BLAKE3 paper]: https://github.com/BLAKE3-team/BLAKE3-specs/blob/master/blake3.pdf

mod builder;
mod encoded;
mod hash_file;
mod hasher;
mod id;
#[cfg(feature = "openapi")]
mod id_schema;
mod layout;
mod manifest;
mod piece;
mod set;
mod tail;
mod tree;
mod verifier;

pub use blake3::hazmat::ChainingValue;

pub use self::{
    builder::ManifestBuilder,
    encoded::ManifestReadError,
    hash_file::{HashError, hash_file},
    hasher::{ManifestHasher, hash_bytes},
    id::{ContentId, ContentIdError},
    layout::{ContentTooLong, Layout, MAX_CONTENT_LEN, MAX_PIECE_COUNT, PIECE_LEN},
    manifest::{Manifest, ManifestError},
    piece::{PieceIndex, PieceRun, PieceRunError},
    set::{PieceSet, PieceSetError},
    verifier::{PieceMismatch, PieceVerifier, verify_piece},
};
