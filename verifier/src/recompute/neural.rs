//! Text encoders and language models: networks whose numbers depend on the engine, so that a record is compared within a tolerance.
//!
//! *Guarantees*: a model is given as named bytes, of which no path, no network and no pickle is read; every size that a file claims is
//! checked before memory is taken for it. The same bytes, text and batch give the same bits on one machine, whatever the number of threads; what is
//! computed by `kernels` does on every machine, in every batch.
//!
//! *Does not do*: decide how far two vectors may lie apart; that is a tolerance profile's (`docs/spec/tolerance-profile.md`). The readers
//! of files are always here; what computes needs the feature `neural`.

pub mod causal;
pub mod config;
#[cfg(feature = "neural")]
mod decoder;
pub mod design;
#[cfg(feature = "neural")]
mod disentangled;
#[cfg(feature = "neural")]
mod encoder;
pub mod files;
pub mod gguf;
pub mod head;
pub mod integrated;
#[cfg(feature = "neural")]
mod kernels;
mod keys;
#[cfg(feature = "neural")]
mod language;
#[cfg(feature = "neural")]
mod modern;
pub mod pooling;
#[cfg(feature = "neural")]
mod products;
#[cfg(feature = "neural")]
mod readout;
pub mod safetensors;
pub mod sampler;
#[cfg(feature = "neural")]
mod stored;
#[cfg(feature = "neural")]
pub mod tamper;
#[cfg(feature = "neural")]
mod text;
pub mod tokenizer;
#[cfg(feature = "neural")]
mod vocabulary;
#[cfg(feature = "neural")]
mod weights;

pub use super::processor::Processor;
pub use files::Files;
#[cfg(feature = "neural")]
pub use language::{Difference, Finish, Followed, Generation, LanguageModel, Step};
#[cfg(feature = "neural")]
pub use text::{
    Attributions, ENGINE, GradientType, Gradients, TextAbout, TextModel, TextScore, TokenShare, WordShare,
};

/// A number as the networks' own type has it.
#[expect(clippy::cast_possible_truncation, reason = "the one rounding to f32")]
const fn narrow(number: f64) -> f32 {
    number as f32
}

/// A size as a number.
#[expect(clippy::cast_precision_loss, reason = "sizes below 2^53 are exact")]
const fn float(number: usize) -> f64 {
    number as f64
}
