//! The tile module.
