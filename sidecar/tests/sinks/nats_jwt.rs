//! An operator of NATS with an account and a user, as `nsc` would make them: nkeys, JWTs signed by them, a credentials file.
//!
//! Source: nats-io/nkeys and nats-io/jwt, version 2.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::world::secret;

const OPERATOR: u8 = 14 << 3;
const ACCOUNT: u8 = 0;
const USER: u8 = 20 << 3;

struct Nkey {
    prefix: u8,
    seed: [u8; 32],
}

impl Nkey {
    fn public(&self) -> String {
        let key = self.pair();
        encode(&[&[self.prefix], key.public_key().as_ref()].concat())
    }

    fn seed(&self) -> String {
        encode(&[&[18 << 3 | self.prefix >> 5, (self.prefix & 31) << 3], self.seed.as_slice()].concat())
    }

    fn pair(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.seed).unwrap()
    }

    /// What this key says of `subject`.
    fn jwt(&self, subject: &Nkey, name: &str, nats: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claims = json!({
            "jti": name, "iat": 1_700_000_000, "iss": self.public(), "name": name, "sub": subject.public(), "nats": nats,
        });
        let signed = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(&claims));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.pair().sign(signed.as_bytes())))
    }
}

/// Base32 of the bytes and their CRC-16.
fn encode(bytes: &[u8]) -> String {
    let mut sum = 0_u16;
    for byte in bytes {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 };
        }
    }
    let bytes = [bytes, &sum.to_le_bytes()].concat();
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let value = |bits: &[u8]| (0..5).fold(0, |value, at| value << 1 | bits.get(at).unwrap_or(&0));
    bits.chunks(5)
        .map(|bits| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(value(bits))]))
        .collect()
}

/// Writes `user.creds` into `folder`, and gives what the server's configuration says of its operator.
pub(crate) fn write(folder: &Path) -> String {
    let [operator, system, account, user] = [(OPERATOR, 1), (ACCOUNT, 2), (ACCOUNT, 3), (USER, 4)]
        .map(|(prefix, byte)| Nkey { prefix, seed: [byte; 32] });
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let of_account = json!({ "limits": limits, "type": "account", "version": 2 });
    // A system account has no JetStream.
    let mut of_system = of_account.clone();
    for key in ["mem_storage", "disk_storage", "streams", "consumer"] {
        of_system["limits"].as_object_mut().unwrap().remove(key);
    }
    std::fs::write(
        folder.join("operator.jwt"),
        operator.jwt(&operator, "operator", &json!({ "type": "operator", "version": 2 })),
    )
    .unwrap();
    secret(folder, "user.creds", &credentials(&account, &user));
    format!(
        "operator: \"{}\"\nsystem_account: {}\nresolver: MEMORY\nresolver_preload {{\n  {}: {}\n  {}: {}\n}}\n",
        folder.join("operator.jwt").display(),
        system.public(),
        system.public(),
        operator.jwt(&system, "system", &of_system),
        account.public(),
        operator.jwt(&account, "account", &of_account),
    )
}

/// Credentials of a user whom another account made.
pub(crate) fn stranger() -> String {
    credentials(&Nkey { prefix: ACCOUNT, seed: [8; 32] }, &Nkey { prefix: USER, seed: [9; 32] })
}

fn credentials(account: &Nkey, user: &Nkey) -> String {
    let of_user = json!({ "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        account.jwt(user, "user", &of_user),
        user.seed()
    )
}

/// What a client with the credentials of [`write`] says beside its other words.
pub(crate) fn connect(nonce: &str) -> Value {
    let (account, user) = (Nkey { prefix: ACCOUNT, seed: [3; 32] }, Nkey { prefix: USER, seed: [4; 32] });
    let of_user = json!({ "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
    json!({
        "jwt": account.jwt(&user, "reader", &of_user),
        "sig": URL_SAFE_NO_PAD.encode(user.pair().sign(nonce.as_bytes())),
    })
}
