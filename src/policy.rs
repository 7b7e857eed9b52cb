//! The policy module.
