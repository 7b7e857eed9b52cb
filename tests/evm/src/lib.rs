//! Nothing: this package holds tests only, apart from the library's own so that an EVM and its many crates stay out of
//! what is built to use it.
