//! The log module.
