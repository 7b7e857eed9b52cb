//! Timestamps of RFC 3161 authorities, made by OpenSSL and by the authority in the library, each checked by the other.
//!
//! Danger: a reply is taken for more than its authority signed: another statement's, another authority's, a certificate's
//! made for something else, out of its time, revoked or exchanged. Expected: each rule refuses the reply that breaks it
//! alone, with an error that names the rule; no byte of a reply can be changed so that it means something else.

#![cfg(feature = "rfc3161-authority")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

#[path = "rfc3161/authority.rs"]
mod authority;
#[path = "rfc3161/bytes.rs"]
mod bytes;
#[path = "rfc3161/certificates.rs"]
mod certificates;
#[path = "rfc3161/pki.rs"]
mod pki;
#[path = "rfc3161/tokens.rs"]
mod tokens;
#[path = "rfc3161/vectors.rs"]
mod vectors;
