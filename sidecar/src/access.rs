//! Who may do what: roles, certificates, tokens, rates, and reads that are entries themselves.
//!
//! Guarantees: without `[access]` nothing here is asked. With it every method of every port stands in one [`table`], and what does not is refused; a
//! caller's roles come from a certificate that TLS verified (`access/rule.rs`) or from a token that the issuer signed (`access/token.rs`); reading sealed records
//! through the sidecar is an entry before it is an answer (`access/reads.rs`).
//! Does not do: protecting files. Whoever has the key files and the store can open records without the sidecar.

mod caller;
mod guard;
mod jwks;
mod layer;
mod limit;
mod oidc;
pub(crate) mod reads;
mod role;
mod rule;
mod signature;
pub mod table;
mod token;

pub use self::caller::{Caller, Origin};
pub use self::guard::{AccessConfig, Guard, RateLimits, Reason, Refusal};
pub use self::jwks::{JWKS_BYTES_MAX, JWKS_KEYS_MAX, JwksError, KeySet};
pub use self::layer::{AccessLayer, Guarded};
pub use self::limit::{Limit, Rate};
pub use self::oidc::{ASK_PAUSE, FetchError, KeySource, Oidc, OidcConfig, Person, Unknown};
pub use self::reads::{ReadFault, Reads};
pub use self::role::{Role, Roles};
pub use self::rule::{Certificates, RULES_MAX, Rule, Who};
pub use self::signature::Algorithm;
pub use self::table::{Open, Port, Row, TABLE};
pub use self::token::{ClaimPath, Expected, TOKEN_BYTES_MAX, TokenError, Verified, verify};
