//! The verify module.
