//! The example's parts: biopsies and the model that scores them, triage notes and the language model that reads them,
//! and the ward that serves both behind one sidecar.

pub mod biopsies;
pub mod notes;
pub mod triage;
pub mod tumour;
pub mod ward;
