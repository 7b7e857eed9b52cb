//! The note module.
