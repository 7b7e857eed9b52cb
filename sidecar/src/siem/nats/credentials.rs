//! How a client of NATS says who it is: a `.creds` file with a JWT and an nkey, a token, or a user and a password.
//!
//! Guarantees: secrets are read anew for each connection, from files that nobody else can read, and wiped when dropped.
//! Implements nkeys as in nats-io/nkeys (`strkey`: base32 of prefix, seed and CRC-16) and ADR-14 for credentials files.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::Ed25519KeyPair;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::keyring::{SecretError, SecretSource, read_lines};

/// What the seed of a user begins with: `S`, then `U` in the five bits that follow.
const SEED_OF_USER: [u8; 2] = [18 << 3 | 20 >> 2, (20 & 3) << 6];

/// Prefix, seed, CRC.
const SEED_BYTES: usize = 2 + 32 + 2;

/// How a client says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// The server asks nobody.
    None,
    /// A `.creds` file.
    File(PathBuf),
    /// A token in a file.
    Token(SecretSource),
    /// A user, and the password in a file.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretSource,
    },
}

/// Why a credentials file is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It is not what `nsc generate creds` writes.
    #[error(
        "{path} is no credentials file: it needs a NATS USER JWT and a USER NKEY SEED, as `nsc generate creds` writes them"
    )]
    NoCredentials {
        /// The file.
        path: String,
    },
    /// The server did not say what to sign.
    #[error(
        "the server asks for no signature, so it does not know users by their keys: configure its operator, or a token or password here"
    )]
    NoNonce,
}

impl Credentials {
    /// Puts into `connect` what the server wants to know.
    pub(super) fn fill(
        &self,
        connect: &mut Map<String, Value>,
        nonce: Option<&str>,
    ) -> Result<(), CredentialsError> {
        match self {
            Self::None => {}
            Self::Token(token) => _ = connect.insert("auth_token".to_owned(), json!(*token.read()?)),
            Self::Password { user, password } => {
                connect.insert("user".to_owned(), json!(user));
                connect.insert("pass".to_owned(), json!(*password.read()?));
            }
            Self::File(path) => {
                let nonce = nonce.ok_or(CredentialsError::NoNonce)?;
                let (jwt, key) = read(path)?;
                let signature = URL_SAFE_NO_PAD.encode(key.sign(nonce.as_bytes()));
                connect.insert("jwt".to_owned(), json!(jwt));
                connect.insert("sig".to_owned(), json!(signature));
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<(String, Ed25519KeyPair), CredentialsError> {
    let none = || CredentialsError::NoCredentials { path: path.display().to_string() };
    let text = read_lines(path).map_err(|error| match error {
        SecretError::NotOneLine { .. } => none(),
        error => error.into(),
    })?;
    parse(&text).ok_or_else(none)
}

/// The JWT and the key of a credentials file.
fn parse(text: &str) -> Option<(String, Ed25519KeyPair)> {
    let under = |heading| text.lines().skip_while(|line| !line.contains(heading)).nth(1).map(str::trim);
    let jwt = under("BEGIN NATS USER JWT").filter(|line| line.split('.').count() == 3)?;
    Some((jwt.to_owned(), seed(under("BEGIN USER NKEY SEED")?)?))
}

/// The key of a seed, for example `SUAM...`.
fn seed(text: &str) -> Option<Ed25519KeyPair> {
    let bytes = base32(text)?;
    let (body, sum) = bytes.split_at_checked(SEED_BYTES - 2)?;
    let (prefix, seed) = body.split_at_checked(2)?;
    let is_whole = bytes.len() == SEED_BYTES && prefix == SEED_OF_USER && sum == crc16(body).to_le_bytes();
    is_whole.then(|| Ed25519KeyPair::from_seed_unchecked(seed).ok()).flatten()
}

/// RFC 4648, section 6, without padding; nothing for other letters or left-over bits.
fn base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8));
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    (held < 5 && bits & ((1 << held) - 1) == 0).then_some(bytes)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(
            sum ^ u16::from(*byte) << 8,
            |sum, _| if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 },
        )
    })
}

#[cfg(test)]
mod tests {
    use ring::signature::KeyPair as _;

    use super::*;

    /// The example of NATS's documentation ("NKeys"): the seed of one user, and the public key.
    const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

    fn file(jwt: &str, seed: &str) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }

    #[test]
    fn reads_the_key_and_the_jwt_of_a_credentials_file() {
        let (jwt, key) = parse(&file("e30.e-0.c2ln", SEED)).unwrap();
        assert_eq!(jwt, "e30.e-0.c2ln");
        let public = base32(PUBLIC).unwrap();
        assert_eq!(public[1..33], *key.public_key().as_ref());
    }

    #[test]
    fn refuses_a_seed_with_one_letter_changed() {
        for at in 0..SEED.len() {
            let mut letters: Vec<char> = SEED.chars().collect();
            letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
            assert!(seed(&letters.iter().collect::<String>()).is_none(), "{at}");
        }
    }

    #[test]
    fn refuses_what_is_no_credentials_file() {
        let lower = SEED.to_lowercase();
        for text in [
            String::new(),
            SEED.to_owned(),
            file("e30.e30", SEED),
            file("e30.e30.c2ln", ""),
            file("e30.e30.c2ln", &lower),
            file("e30.e30.c2ln", &SEED[..57]),
            file("e30.e30.c2ln", &format!("{SEED}A")),
            "-----BEGIN NATS USER JWT-----".to_owned(),
        ] {
            assert!(parse(&text).is_none(), "{text}");
        }
    }
}
