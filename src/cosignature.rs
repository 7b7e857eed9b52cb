//! The cosignature module.
