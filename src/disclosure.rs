//! The disclosure module.
