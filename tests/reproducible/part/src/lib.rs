//! A package beside the program, as the library is beside the sidecar.

/// Where this file is, as the compiler sees it.
#[must_use]
pub fn place() -> &'static str {
    file!()
}
