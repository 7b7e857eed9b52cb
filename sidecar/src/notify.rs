//! Tells systemd how the service stands (sd_notify(3)), where it asks by `NOTIFY_SOCKET`.
//!
//! Does not do: failing. Whoever does not ask is told nothing, and a manager that is gone needs to hear nothing.

use std::os::unix::net::UnixDatagram;

/// The variable with the path of the manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Requests are taken.
pub(crate) fn ready() {
    tell("READY=1");
}

/// It is about to end.
pub(crate) fn stopping() {
    tell("STOPPING=1");
}

fn tell(state: &str) {
    let Some(path) = std::env::var_os(SOCKET) else { return };
    let told = UnixDatagram::unbound().and_then(|socket| socket.send_to(state.as_bytes(), path));
    if let Err(error) = told {
        tracing::warn!(%error, state, "the service manager cannot be told");
    }
}
