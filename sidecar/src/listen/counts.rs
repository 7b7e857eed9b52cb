//! What ports count: connections that are open, and those that came to nothing by reason.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use rustls::CertificateError;
use tokio::sync::OwnedSemaphorePermit;

use crate::metrics::Metrics;

/// The counts of every port of one program.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Mutex<Vec<Arc<OnPort>>>>);

/// The counts of one port.
#[derive(Debug)]
pub(super) struct OnPort {
    name: &'static str,
    open: AtomicU64,
    refused: [AtomicU64; Why::ALL.len()],
}

/// A connection that counts as open until it is dropped.
#[derive(Debug)]
pub(super) struct Open {
    port: Arc<OnPort>,
    _place: OwnedSemaphorePermit,
}

impl Counts {
    /// The counts of the port called `name`.
    pub(super) fn port(&self, name: &'static str) -> Arc<OnPort> {
        let port = Arc::new(OnPort { name, open: AtomicU64::new(0), refused: Default::default() });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&port));
        port
    }

    fn ports(&self) -> Vec<Arc<OnPort>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts them into the metrics.
    pub fn measure(&self, metrics: &Metrics) {
        let port = |port: &OnPort| KeyValue::new("port", port.name);
        let counts = self.clone();
        metrics.series("ledgerstone_connections_open", "Connections that are open, by port", move || {
            let ports = counts.ports();
            ports.iter().map(|on| (vec![port(on)], on.open.load(Ordering::Relaxed))).collect()
        });
        let counts = self.clone();
        metrics.counted_series(
            "ledgerstone_connections_refused",
            "Connections that were closed before anything was asked on them, by port and reason; most are failed handshakes",
            move || {
                let ports = counts.ports();
                let each = ports.iter().flat_map(|on| Why::ALL.into_iter().zip(&on.refused).map(move |(why, n)| {
                    (vec![port(on), KeyValue::new("reason", why.name())], n.load(Ordering::Relaxed))
                }));
                each.filter(|(_, count)| *count > 0).collect()
            },
        );
    }
}

impl OnPort {
    pub(super) fn refused(&self, why: Why) {
        if let Some(count) = self.refused.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        tracing::debug!(port = self.name, reason = why.name(), "a connection was refused");
    }

    pub(super) fn open(self: &Arc<Self>, place: OwnedSemaphorePermit) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open { port: Arc::clone(self), _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.port.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a connection came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// As many as may be are open.
    TooMany,
    /// A newer handshake needed its place.
    MadeRoom,
    /// The handshake took too long.
    TooSlow,
    /// The other end went away.
    Closed,
    /// The client showed no certificate.
    NoCertificate,
    /// The certificate has expired.
    Expired,
    /// The certificate does not hold yet.
    NotYetValid,
    /// The certificate was revoked.
    Revoked,
    /// Whether it was revoked cannot be told: its authority's list is missing or out of date.
    RevocationUnknown,
    /// Nobody that is trusted signed the certificate.
    UnknownIssuer,
    /// The certificate is wrong otherwise, or its key was not shown.
    BadCertificate,
    /// No version of TLS, cipher or protocol in common.
    Incompatible,
    /// The client does not trust this side.
    ClientRefused,
    /// No TLS was spoken, or not by its rules.
    NotTls,
    /// There is no certificate to show: whoever gave it has taken it back.
    Withdrawn,
    /// Anything else.
    Other,
}

impl Why {
    pub(super) const ALL: [Self; 16] = [
        Self::TooMany,
        Self::MadeRoom,
        Self::TooSlow,
        Self::Closed,
        Self::NoCertificate,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::RevocationUnknown,
        Self::UnknownIssuer,
        Self::BadCertificate,
        Self::Incompatible,
        Self::ClientRefused,
        Self::NotTls,
        Self::Withdrawn,
        Self::Other,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::MadeRoom => "made_room",
            Self::TooSlow => "too_slow",
            Self::Closed => "closed",
            Self::NoCertificate => "no_certificate",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::RevocationUnknown => "revocation_unknown",
            Self::UnknownIssuer => "unknown_issuer",
            Self::BadCertificate => "bad_certificate",
            Self::Incompatible => "incompatible",
            Self::ClientRefused => "client_refused",
            Self::NotTls => "not_tls",
            Self::Withdrawn => "withdrawn",
            Self::Other => "other",
        }
    }

    /// Why a handshake failed.
    pub(super) fn of(error: &io::Error) -> Self {
        use rustls::Error as Tls;
        let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) else {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            let closed =
                matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof);
            return if closed { Self::Closed } else { Self::Other };
        };
        match tls {
            Tls::NoCertificatesPresented => Self::NoCertificate,
            Tls::InvalidCertificate(error) => Self::of_certificate(error),
            Tls::PeerIncompatible(_) | Tls::NoApplicationProtocol => Self::Incompatible,
            Tls::AlertReceived(_) => Self::ClientRefused,
            Tls::InvalidMessage(_)
            | Tls::InappropriateMessage { .. }
            | Tls::InappropriateHandshakeMessage { .. }
            | Tls::PeerMisbehaved(_)
            | Tls::PeerSentOversizedRecord
            | Tls::DecryptError => Self::NotTls,
            _ => Self::Other,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        use CertificateError as Error;
        match error {
            Error::Expired | Error::ExpiredContext { .. } => Self::Expired,
            Error::NotValidYet | Error::NotValidYetContext { .. } => Self::NotYetValid,
            Error::Revoked => Self::Revoked,
            Error::UnknownRevocationStatus
            | Error::ExpiredRevocationList
            | Error::ExpiredRevocationListContext { .. } => Self::RevocationUnknown,
            Error::UnknownIssuer => Self::UnknownIssuer,
            _ => Self::BadCertificate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_and_a_name_of_its_own() {
        let mut names: Vec<&str> = Why::ALL.iter().map(|why| why.name()).collect();
        for (place, why) in Why::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, place, "{}", why.name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Why::ALL.len());
    }

    #[test]
    fn what_the_operating_system_says_of_a_closed_connection_is_no_fault_of_tls() {
        assert_eq!(Why::of(&io::ErrorKind::UnexpectedEof.into()), Why::Closed);
        assert_eq!(Why::of(&io::ErrorKind::ConnectionReset.into()), Why::Closed);
        assert_eq!(Why::of(&io::ErrorKind::OutOfMemory.into()), Why::Other);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::NoCertificatesPresented);
        assert_eq!(Why::of(&wrapped), Why::NoCertificate);
    }
}
