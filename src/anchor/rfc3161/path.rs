//! The path from an authority's certificate to a trusted root (RFC 5280, section 6), at the token's time.
//!
//! Guarantees: every certificate of a path was valid at that time, was signed by the next one's key, may certify what
//! stands below it, and only a trusted root ends it; the search is bounded. Does not do: look at today's date.

use super::algorithm::SignatureFault;
use super::certificate::{Certificate, usage};
use super::error::{PurposeFault, StampError};
use super::revocation::RevocationList;
use super::{name, oid};
use crate::limits::{TIMESTAMP_PATH_MAX, TIMESTAMP_PATH_SIGNATURES_MAX};
use crate::time::UnixMillis;

/// Checks that `certificate` was made for timestamps and nothing else (RFC 3161, section 2.3), and was valid at `at`.
pub(super) fn check_signer(certificate: &Certificate<'_>, at: UnixMillis) -> Result<(), StampError> {
    let fault = match &certificate.extensions.purposes {
        None => Some(PurposeFault::NoExtendedKeyUsage),
        Some((_, purposes)) if *purposes != [oid::TIME_STAMPING] => Some(PurposeFault::OtherPurposes),
        Some((false, _)) => Some(PurposeFault::NotCritical),
        Some(_) if !certificate.may(usage::SIGN) => Some(PurposeFault::KeyUsage),
        Some(_) => unknown(certificate),
    };
    match fault {
        Some(fault) => Err(StampError::Purpose { subject: name::text(certificate.subject), fault }),
        None => check_time(certificate, at),
    }
}

fn unknown(certificate: &Certificate<'_>) -> Option<PurposeFault> {
    certificate.extensions.unknown_critical.map(|oid| PurposeFault::CriticalExtension(oid.to_string()))
}

fn check_time(certificate: &Certificate<'_>, at: UnixMillis) -> Result<(), StampError> {
    if certificate.is_valid_at(at) {
        return Ok(());
    }
    Err(StampError::NotValidThen {
        subject: name::text(certificate.subject),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        at,
    })
}

/// The certificates from `signer` to a root, both included. `others` only help; they are not trusted.
pub(super) fn build<'s, 'a>(
    signer: &'s Certificate<'a>,
    others: &'s [Certificate<'a>],
    roots: &'s [Certificate<'a>],
    at: UnixMillis,
) -> Result<Vec<&'s Certificate<'a>>, StampError> {
    let mut search =
        Search { others, roots, at, signatures_left: TIMESTAMP_PATH_SIGNATURES_MAX, fault: None };
    let mut path = vec![signer];
    if search.extend(&mut path) {
        return Ok(path);
    }
    Err(search.fault.unwrap_or_else(|| StampError::NoPath {
        subject: name::text(signer.subject),
        issuer: name::text(signer.issuer),
    }))
}

struct Search<'s, 'a> {
    others: &'s [Certificate<'a>],
    roots: &'s [Certificate<'a>],
    at: UnixMillis,
    signatures_left: usize,
    /// Why the first issuer that was found would not do; where none was found, where the path ended.
    fault: Option<StampError>,
}

impl<'s, 'a> Search<'s, 'a> {
    /// Extends `path` to a root, or leaves it as it was.
    fn extend(&mut self, path: &mut Vec<&'s Certificate<'a>>) -> bool {
        let Some(last) = path.last().copied() else { return false };
        if self.roots.iter().any(|root| root.whole == last.whole) {
            return true;
        }
        let (roots, others) = (self.roots, self.others);
        let mut ends_here = true;
        for issuer in roots.iter().chain(others).filter(|issuer| issuer.subject == last.issuer) {
            if path.iter().any(|known| known.whole == issuer.whole) {
                continue;
            }
            ends_here = false;
            match self.check_issuer(issuer, path) {
                Ok(()) => {
                    path.push(issuer);
                    if self.extend(path) {
                        return true;
                    }
                    path.pop();
                }
                Err(fault) => self.note(fault),
            }
        }
        if ends_here {
            self.note(StampError::NoPath {
                subject: name::text(last.subject),
                issuer: name::text(last.issuer),
            });
        }
        false
    }

    /// Keeps the first fault, and one that says more in place of one that says that a certificate is missing.
    fn note(&mut self, fault: StampError) {
        if matches!(self.fault, None | Some(StampError::NoPath { .. })) {
            self.fault = Some(fault);
        }
    }

    /// Checks that `issuer` may stand above the last of `path`, and signed it.
    fn check_issuer(
        &mut self,
        issuer: &Certificate<'a>,
        path: &[&Certificate<'a>],
    ) -> Result<(), StampError> {
        let too_long = StampError::PathTooLong { max: TIMESTAMP_PATH_MAX };
        if path.len() == TIMESTAMP_PATH_MAX {
            return Err(too_long);
        }
        let not_an_issuer = |fault| StampError::NotAnIssuer { subject: name::text(issuer.subject), fault };
        let is_root = self.roots.iter().any(|root| root.whole == issuer.whole);
        if let Some(fault) = issuer_fault(issuer, is_root, path) {
            return Err(not_an_issuer(fault));
        }
        check_time(issuer, self.at)?;
        self.signatures_left = self.signatures_left.checked_sub(1).ok_or(too_long)?;
        let below = path.last().map_or(Err(SignatureFault::Wrong), |last| last.signed_by(&issuer.key));
        let subject = path.last().map(|last| name::text(last.subject)).unwrap_or_default();
        below.map_err(|fault| StampError::of_signature(fault, format!("certificate of {subject}")))
    }
}

/// Why `issuer` may not stand above `path`, whose first certificate is the authority's.
fn issuer_fault(issuer: &Certificate<'_>, is_root: bool, path: &[&Certificate<'_>]) -> Option<PurposeFault> {
    let extensions = &issuer.extensions;
    // A root of version 1 can say nothing of itself; others must say that they are authorities.
    match extensions.basic {
        Some((true, length)) => {
            // RFC 5280, section 4.2.1.9: those that certify themselves do not count.
            let below = path.iter().skip(1).filter(|below| below.subject != below.issuer).count();
            let below = u64::try_from(below).unwrap_or(u64::MAX);
            if let Some(allowed) = length.filter(|allowed| below > *allowed) {
                return Some(PurposeFault::PathLength { allowed, found: below });
            }
        }
        _ if !extensions.any && is_root => {}
        _ => return Some(PurposeFault::NotAnAuthority),
    }
    if !issuer.may(usage::SIGN_CERTIFICATES) {
        return Some(PurposeFault::KeyUsage);
    }
    let allows = |purposes: &Vec<_>| {
        purposes.contains(&oid::TIME_STAMPING) || purposes.contains(&oid::ANY_EXTENDED_KEY_USAGE)
    };
    if extensions.purposes.as_ref().is_some_and(|(_, purposes)| !allows(purposes)) {
        return Some(PurposeFault::OtherPurposes);
    }
    unknown(issuer)
}

/// Checks every certificate of `path` below its root against `lists`. Gives how many of them a list covers that was issued at or after
/// `at`.
pub(super) fn check_revocation(
    path: &[&Certificate<'_>],
    lists: &[RevocationList<'_>],
    at: UnixMillis,
) -> Result<usize, StampError> {
    let mut covered = 0;
    for (certificate, issuer) in path.iter().zip(path.iter().skip(1)) {
        let mut is_covered = false;
        for list in lists.iter().filter(|list| list.issuer == certificate.issuer) {
            check_list(list, issuer)?;
            if let Some(revocation) = list.find(certificate.serial)?
                && !revocation.spares(at)
            {
                return Err(StampError::Revoked {
                    subject: name::text(certificate.subject),
                    since: revocation.since,
                    at,
                });
            }
            is_covered |= list.this_update >= at;
        }
        covered += usize::from(is_covered);
    }
    Ok(covered)
}

fn check_list(list: &RevocationList<'_>, issuer: &Certificate<'_>) -> Result<(), StampError> {
    let text = || name::text(list.issuer);
    if let Some(extension) = list.unknown_critical {
        return Err(StampError::RevocationList { issuer: text(), extension: extension.to_string() });
    }
    let signed = list.signed_by(&issuer.key);
    signed.map_err(|fault| StampError::of_signature(fault, format!("revocation list of {}", text())))?;
    if issuer.may(usage::SIGN_LISTS) {
        return Ok(());
    }
    Err(StampError::NotAnIssuer { subject: text(), fault: PurposeFault::KeyUsage })
}
