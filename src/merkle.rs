//! The merkle module.
