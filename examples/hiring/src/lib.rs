//! A hiring screen on the callback study of 2004: résumés as texts, MiniLM with a small head, and what became of each group.
//!
//! The sidecar sees the model server as it would see any other: nothing here knows that it is recorded, but for `main`.

pub mod impact;
pub mod minilm;
pub mod model;
pub mod resumes;
pub mod screen;
pub mod study;
