//! The checkpoint module.
