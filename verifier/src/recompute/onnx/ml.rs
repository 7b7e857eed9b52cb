//! The operations of the domain `ai.onnx.ml`.
//!
//! *Guarantees*: each file says which of its operations have the engine's bits.
//!
//! *Does not do*: `TfIdfVectorizer` and other operations on texts, `DictVectorizer`, `CastMap`.

pub(super) mod features;
pub(super) mod forest;
pub(super) mod linear;
pub(super) mod scores;
pub(super) mod svm;
pub(super) mod table;
pub(super) mod trees;
