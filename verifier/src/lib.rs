//! x
pub mod recompute;
