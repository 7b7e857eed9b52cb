//! The encoding module.
