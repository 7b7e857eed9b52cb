//! The example's parts: the applications, the model, what serves it, and the loan office around it.

pub mod applications;
pub mod model;
pub mod office;
