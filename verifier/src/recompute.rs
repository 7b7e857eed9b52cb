//! Runs a recorded model again, from the model's own file, so that a recorded answer can be compared with it.
//!
//! *Guarantees*: an evaluator here either gives the bits that the model's own library gives, or says which of its numbers only come
//! near and how near ([`Tolerance`]), or refuses the file with what it does not know and where it stands. Files are hostile input: no panic, no memory beyond a small multiple of
//! the file's length. What a file holds is decided by its bytes, never by its name.
//!
//! *Does not do*: read files, or judge what a difference means. `docs/recompute.md` is the page for users: formats, what is exact, what is refused.

pub mod catboost;
pub mod description;
pub mod error;
mod interventional;
pub mod lightgbm;
mod model;
pub mod neural;
pub mod onnx;
mod permutations;
pub mod processor;
pub(crate) mod rows;
pub mod scorecard;
pub mod tamper;
#[cfg(feature = "neural")]
pub mod tensor_trees;
mod texts;
mod treeshap;
pub mod xgboost;

pub use error::{ModelError, RowError};
pub use interventional::{BACKGROUND_ROWS_MAX, Background};
pub use model::{About, Against, MODEL_BYTES_MAX, Model, Precision, Score, Tolerance};
pub use permutations::{EVALUATIONS_MAX, Permutations};
pub use texts::{TEXT_BYTES_MAX, Texts};
