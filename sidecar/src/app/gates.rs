//! Says in the log which rules are in force, before anything is decided by them.
//!
//! Guarantees: the newest policy entry of kind `gate.ROUTE` names the rules of that route before the first decision of the
//! session; where policies need approval, rules that nobody approved are not in force: the sidecar does not start.

use ledgerstone::encoding::hex_encode;
use ledgerstone::entry::RegisteredName;
use ledgerstone::hash::Hash;

use super::RecoverError;
use crate::approvals::Approvals;
use crate::gate::POLICY_KIND;
use crate::intercept::Routes;

/// Has `approvals` put the rules of `routes` into force.
pub(super) async fn open(routes: &Routes, approvals: &Approvals) -> Result<(), RecoverError> {
    for route in routes.configured() {
        if let Some(gate) = route.gate() {
            let kind = kind(route.name()).ok_or(RecoverError::Defect)?;
            approvals.policy(kind, gate.policy()).await?;
        }
    }
    Ok(())
}

/// The kind of a route's rules: `gate.` and the route's name, or the first half of its SHA-256 where it is no name of the log.
fn kind(route: &str) -> Option<RegisteredName> {
    let named = RegisteredName::parse(&format!("{POLICY_KIND}.{route}")).ok();
    named.or_else(|| {
        let digest = Hash::of(route.as_bytes());
        RegisteredName::parse(&format!("{POLICY_KIND}.{}", hex_encode(digest.as_bytes().get(..16)?))).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn every_route_has_a_kind_of_its_own() {
        let of = |route| kind(route).unwrap().to_string();
        assert_eq!(of("loans"), "gate.loans");
        let long = "l".repeat(200);
        let kinds = ["Loans & more", "loans & more", &long, ""].map(of);
        for (place, kind) in kinds.iter().enumerate() {
            assert!(kind.len() <= 64 && kind.starts_with("gate."), "{kind}");
            assert!(!kinds.get(place + 1..).unwrap_or_default().contains(kind), "{kind}");
        }
    }
}
