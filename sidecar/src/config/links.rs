//! What `[links]` says: where links to receipts are opened, under which address, and for how long.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::layers::Layers;

/// What an address under which people reach the listener looks like.
const PUBLIC_URL: &str =
    "https://HOST, with a path or without, and nothing behind it; http:// for trying it out";

/// Links to receipts.
#[derive(Clone, Debug)]
pub struct LinksConfig {
    /// Where they are opened, if anywhere.
    pub listen: Option<SocketAddr>,
    /// The address that people outside have for that.
    pub public_url: Option<String>,
    /// The file that keeps them.
    pub file: Option<PathBuf>,
    /// How long a link works unless it is made for another time.
    pub expires: Duration,
    /// The longest time that one may be made for.
    pub expires_max: Duration,
}

impl LinksConfig {
    pub(super) fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let listen = layers.address_if_set("links.listen")?;
        let file = layers.path("links.file")?;
        if listen.is_some() && file.is_none() {
            return Err(ConfigError::Half { present: "links.listen", absent: "links.file" });
        }
        let public_url = match layers.get("links.public_url") {
            None => None,
            Some(_) => Some(layers.parse("links.public_url", PUBLIC_URL, public_url)?),
        };
        Ok(Self {
            listen,
            public_url,
            file,
            expires: layers.duration("links.expires")?,
            expires_max: layers.duration("links.expires_max")?,
        })
    }
}

fn public_url(text: &str) -> Option<String> {
    let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:[]%".contains(c);
    (!rest.is_empty() && !rest.starts_with('/') && rest.chars().all(plain)).then(|| text.to_owned())
}
