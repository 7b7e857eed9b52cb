//! An onnxruntime library that the user names, and a model in it, or the advice that this program has no such engine.
//!
//! Guarantees: a library that is not there or is none is refused with what to do. Does not do: look for one.

use std::path::Path;

use crate::exit::Refusal;
#[cfg(not(feature = "onnxruntime"))]
use crate::recompute::{RowError, Texts, onnx::Numbers};

#[cfg(feature = "onnxruntime")]
pub(super) use with_engine::open;

/// A model that onnxruntime took; there is none in this program.
#[cfg(not(feature = "onnxruntime"))]
pub(super) enum Peer {}

#[cfg(not(feature = "onnxruntime"))]
pub(super) fn open(_: &Path, _: &Path, _: &[u8], _: usize) -> Result<Peer, Refusal> {
    Err(Refusal::usage(
        "this program was built without the feature `onnxruntime`",
        "Use a `ledgerstone` that was built with it.",
    ))
}

#[cfg(not(feature = "onnxruntime"))]
impl Peer {
    pub(super) fn numbers(&mut self, _: &[f64], _: &Texts) -> Result<Numbers, RowError> {
        match *self {}
    }

    pub(super) fn numbers_of_rows(&mut self, _: &[f64], _: &Texts) -> Result<Vec<Numbers>, RowError> {
        match *self {}
    }

    pub(super) fn build(&self) -> &str {
        match *self {}
    }
}

#[cfg(feature = "onnxruntime")]
mod with_engine {
    use super::{Path, Refusal};
    use crate::output::printable;
    use crate::recompute::onnx::runtime::{Library, RuntimeError, Session};
    use crate::recompute::onnx::{Model, Numbers};
    use crate::recompute::{RowError, Texts};

    /// A model that onnxruntime took.
    pub(in crate::command) struct Peer {
        session: Session,
        build: String,
    }

    /// Loads the library and has it read the bytes of a model file.
    ///
    /// # Errors
    /// The library or the file cannot be used.
    pub(in crate::command) fn open(
        library: &Path,
        name: &Path,
        bytes: &[u8],
        threads: usize,
    ) -> Result<Peer, Refusal> {
        if !Model::is_start(bytes) {
            return Err(Refusal::usage(
                format_args!("{} is no ONNX file, and onnxruntime reads no other", name.display()),
                "Leave the engine out.",
            ));
        }
        let refused =
            |error: RuntimeError| Refusal::new(error.code(), printable(&error.to_string()), error.advice());
        let library = Library::load(library).map_err(refused)?;
        let session = Session::new(&library, bytes, threads).map_err(refused)?;
        Ok(Peer { session, build: printable(&library.build()) })
    }

    impl Peer {
        /// What onnxruntime says of a row.
        pub(in crate::command) fn numbers(
            &mut self,
            row: &[f64],
            texts: &Texts,
        ) -> Result<Numbers, RowError> {
            self.session.numbers(row, texts)
        }

        /// What onnxruntime says of rows that it is given at once.
        pub(in crate::command) fn numbers_of_rows(
            &mut self,
            rows: &[f64],
            texts: &Texts,
        ) -> Result<Vec<Numbers>, RowError> {
            self.session.numbers_of_rows(rows, texts)
        }

        /// What the library says of its build.
        pub(in crate::command) fn build(&self) -> &str {
            &self.build
        }
    }
}
