//! A reply's two checks for reports: the token, and the certificate behind it.

use super::Imprint;
use super::error::StampError;
use super::token::{Opened, Path, Stamp};
use super::trust::Trust;
use crate::check::Check;
use crate::code::CheckName;

/// Checks a reply (`proof.tsr`) for the bytes of a statement: [`CheckName::AnchorTimestampToken`], then
/// [`CheckName::AnchorTimestampCertificate`]. Without a root in `trust` the second is *not checked*, unless the certificate
/// shows by itself that it does not hold. An algorithm that is not supported makes a check *not checked*, never passed.
#[must_use]
pub fn checks(statement: &[u8], reply: &[u8], trust: Option<&Trust>) -> Vec<Check> {
    const CERTIFICATE: CheckName = CheckName::AnchorTimestampCertificate;
    let nobody = Trust::default();
    let trust = trust.unwrap_or(&nobody);
    match Opened::open(reply, &Imprint::of(statement), None, trust) {
        Ok(opened) => {
            let basis = format!("the certificate of {}", opened.stamp.signer);
            let token = Check::passed(CheckName::AnchorTimestampToken, told(&opened.stamp)).resting_on(basis);
            vec![token, certificate(&opened, trust)]
        }
        Err(fault) => {
            let rest = "the token does not hold, so its certificate proves nothing";
            vec![failed(CheckName::AnchorTimestampToken, &fault), Check::not_checked(CERTIFICATE, rest)]
        }
    }
}

fn certificate(opened: &Opened<'_>, trust: &Trust) -> Check {
    const NAME: CheckName = CheckName::AnchorTimestampCertificate;
    if trust.has_roots() {
        return match opened.certify() {
            Ok(path) => {
                let root = path.certificates.last().map(|root| format!("the trusted root {root}"));
                Check::passed(NAME, led(&path)).resting_on(root.unwrap_or_default())
            }
            Err(fault) => failed(NAME, &fault),
        };
    }
    match opened.check_purpose() {
        Ok(()) => {
            let detail = "it was made for timestamps and was valid then; to say more a root certificate of the authority is \
                          needed in the trust file";
            Check::not_checked(NAME, detail)
        }
        Err(fault) => failed(NAME, &fault),
    }
}

fn failed(name: CheckName, fault: &StampError) -> Check {
    match fault {
        StampError::Unsupported { .. } | StampError::NoCertificate => {
            Check::not_checked(name, fault.to_string())
        }
        _ => Check::failed(name, fault.code(), fault.to_string()),
    }
}

fn told(stamp: &Stamp) -> String {
    let accuracy = stamp.accuracy_micros.map(|micros| match micros {
        micros if micros % 1_000_000 == 0 => format!(", accurate to {} s", micros / 1_000_000),
        micros if micros % 1000 == 0 => format!(", accurate to {} ms", micros / 1000),
        micros => format!(", accurate to {micros} us"),
    });
    let qualified = if stamp.claims_qualified { "; it says that it is a qualified timestamp" } else { "" };
    format!(
        "signed at {}{} under policy {}, serial {}{qualified}",
        stamp.time,
        accuracy.unwrap_or_default(),
        stamp.policy,
        stamp.serial
    )
}

fn led(path: &Path) -> String {
    let below = path.certificates.len().saturating_sub(1);
    let subjects: Vec<&str> = path.certificates.iter().map(|one| one.subject.as_str()).collect();
    let revocation = match path.revocation_checked {
        checked if checked == below => "none was revoked".to_owned(),
        0 => "no revocation list from after the token's time was given".to_owned(),
        checked => format!("revocation lists from after the token's time cover {checked} of {below}"),
    };
    format!("{}; {revocation}", subjects.join(" <- "))
}
