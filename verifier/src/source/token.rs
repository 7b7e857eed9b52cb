//! The bearer token that shows a server who asks.
//!
//! Guarantees: it is read from a file that others cannot read, wiped when dropped, in no message; it goes out over TLS, or to
//! this machine itself, and nowhere else.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use zeroize::Zeroizing;

use super::{WebOptions, read_input};
use crate::exit::Refusal;

/// Bytes of a token's file: signed tokens have a few kB, and a header of more is refused by servers.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

impl WebOptions {
    /// What the header `authorization` says to the server at `authority` (host and port), if there is a token.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, it holds no token, or the token would go out in the clear.
    pub(crate) fn authorization(
        &self,
        authority: &str,
        is_tls: bool,
    ) -> Result<Option<Zeroizing<String>>, Refusal> {
        let Some(path) = &self.token else { return Ok(None) };
        if !is_tls && !is_this_machine(authority) {
            return Err(Refusal::usage(
                format_args!("the token would go to {authority} in the clear"),
                "Write https:// or grpcs://, or leave --token-file out.",
            ));
        }
        private(path)?;
        let bytes = Zeroizing::new(read_input(path, TOKEN_BYTES_MAX)?);
        let token = str::from_utf8(&bytes).unwrap_or_default().trim_end_matches(['\r', '\n']);
        if token.is_empty() || !token.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(Refusal::malformed(
                format_args!("{} does not hold one token", path.display()),
                "It must be one line of printable characters without spaces, and nothing else.",
            ));
        }
        Ok(Some(Zeroizing::new(format!("Bearer {token}"))))
    }
}

fn is_this_machine(authority: &str) -> bool {
    let is_loopback =
        |host: &str| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    authority.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
        || is_loopback(authority.trim_matches(['[', ']']))
        || authority.split_once(':').is_some_and(|(host, _)| is_loopback(host))
}

/// Refuses a file that others can read.
#[cfg(unix)]
fn private(path: &Path) -> Result<(), Refusal> {
    use std::os::unix::fs::PermissionsExt as _;
    // What is not there is told by whoever reads it.
    let mode = std::fs::metadata(path).map_or(0, |about| about.permissions().mode());
    if mode & 0o007 == 0 {
        return Ok(());
    }
    Err(Refusal::usage(
        format_args!("others can read the token in {}", path.display()),
        format_args!("Run `chmod 600 {}`.", path.display()),
    ))
}

#[cfg(not(unix))]
fn private(_path: &Path) -> Result<(), Refusal> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_this_machine_and_takes_no_other_for_it() {
        for authority in ["localhost", "localhost:7450", "127.0.0.1:1", "127.9.9.9", "[::1]:7450", "[::1]"] {
            assert!(is_this_machine(authority), "{authority}");
        }
        for authority in
            ["localhost.example", "10.0.0.1:1", "127.0.0.1.example:1", "[::2]:1", "", "example:127"]
        {
            assert!(!is_this_machine(authority), "{authority}");
        }
    }
}
