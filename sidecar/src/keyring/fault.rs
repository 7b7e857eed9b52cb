//! What can happen to a call of a key provider, each with what to do.

use std::time::Duration;

use ledgerstone::code::Code;

use super::SecretError;
use crate::outbound::http::HttpFault;

/// What happened to a call of a key provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No answer over HTTP.
    #[error("{0}")]
    Http(HttpFault),
    /// No answer in time.
    #[error("no answer within {} s; look at the provider's load and at keys.timeout", .limit.as_secs_f64())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// Too many calls wait.
    #[error("{waiting} calls wait already: the provider is slower than decisions come")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The Vault is sealed.
    #[error("it is sealed: unseal it (`vault operator unseal` or `bao operator unseal`)")]
    Sealed,
    /// The service asks for fewer calls, and went on doing so.
    #[error(
        "it takes no more calls for now ({said}): ask for a higher quota, or send fewer decisions at once"
    )]
    Throttled {
        /// What it said, printable.
        said: String,
    },
    /// The service failed.
    #[error("it failed with HTTP {status} ({said}): look at its own log")]
    Failed {
        /// The status.
        status: u16,
        /// What it said, printable.
        said: String,
    },
    /// The service does not take the credentials, or they may not do this.
    #[error(
        "it denies access ({said}): check the token or role, and that its policy allows to encrypt and decrypt with this key"
    )]
    Denied {
        /// What it said, printable.
        said: String,
    },
    /// There is no such key, or it is disabled.
    #[error(
        "it has no such usable key ({said}): check the name in the configuration, or run `ledgerstone-sidecar keys create`"
    )]
    NoKey {
        /// What it said, printable.
        said: String,
    },
    /// The service refuses for a reason of its own.
    #[error("it answered HTTP {status} ({said})")]
    Rejected {
        /// The status.
        status: u16,
        /// What it said, printable.
        said: String,
    },
    /// What came is not what the interface describes.
    #[error(
        "its answer is not what its interface describes ({what}): check that the address is the provider's"
    )]
    Malformed {
        /// What is wrong, without any of the content.
        what: &'static str,
    },
    /// The wrapped key was changed, or wrapped under another key.
    #[error("the wrapped key was changed, or wrapped under another key")]
    NotWrapped,
    /// The PIN or token cannot be read.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// The token took the PIN for a wrong one.
    #[error(
        "the token refuses the PIN ({said}); it is not tried again until it changes, because a token locks itself after a few: put the right PIN in place"
    )]
    PinRefused {
        /// What the token said.
        said: String,
    },
    /// One more wrong PIN would lock the token.
    #[error(
        "one more wrong PIN would lock the token, so none is tried: log in once by hand (`pkcs11-tool --login --list-objects`), which resets the count, then start again"
    )]
    PinLastTry,
    /// The token is not there.
    #[error("no token with the label {label:?} is present: connect it, or check keys.pkcs11.token")]
    NoToken {
        /// The label.
        label: String,
    },
    /// The module cannot be loaded or set up.
    #[error("the PKCS#11 module cannot be used ({said}): check keys.pkcs11.module")]
    Module {
        /// What the loader or the module said.
        said: String,
    },
    /// The token has no key of that label, or several.
    #[error(
        "the token has {count} AES keys with the label {label:?}, and exactly one is needed: run `ledgerstone-sidecar keys create`, or check keys.pkcs11.key"
    )]
    KeyCount {
        /// How many.
        count: usize,
        /// The label.
        label: String,
    },
    /// The key could be read out of the token.
    #[error(
        "the key on the token can be extracted: use one that is sensitive and not extractable (`ledgerstone-sidecar keys create` makes one)"
    )]
    Extractable,
    /// The token knows no mechanism that wraps.
    #[error("the token can wrap neither with CKM_AES_KEY_WRAP nor with CKM_AES_GCM under this key")]
    NoMechanism,
    /// The token or its module failed.
    #[error("the token failed ({said}): look at its state")]
    Token {
        /// What it said.
        said: String,
    },
    /// No credentials for AWS.
    #[error(
        "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod or machine a role"
    )]
    NoCredentials,
    /// Credentials for AWS could not be fetched.
    #[error("AWS credentials cannot be had from {from}: {fault}")]
    Credentials {
        /// Where they were asked for.
        from: &'static str,
        /// What happened.
        fault: Box<Self>,
    },
    /// A part of the provider ended.
    #[error("the provider's part of the sidecar ended because of a defect; report it")]
    Defect,
}

impl Fault {
    /// What the reader must do about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Http(fault) => fault.code(),
            Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::Sealed
            | Self::Throttled { .. }
            | Self::Failed { .. }
            | Self::NoToken { .. }
            | Self::Token { .. } => Code::Unavailable,
            Self::Malformed { .. } => Code::Malformed,
            Self::NotWrapped => Code::Inconsistent,
            Self::Credentials { fault, .. } => fault.code(),
            Self::Secret(error) => error.code(),
            Self::Defect => Code::Internal,
            _ => Code::Misuse,
        }
    }
}
