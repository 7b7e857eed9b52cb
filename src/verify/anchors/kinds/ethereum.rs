//! EVM bundles: the contract's storage in a block, and what makes that block one of the chain.

use super::{Found, Learned, Proof, Standing, standing};
use crate::anchor::evm::{self, BlockHeader, Bundle, Expected};
use crate::check::{Check, Status};
use crate::code::CheckName;
use crate::hash::Hash;
use crate::time::UnixMillis;
use crate::verify::anchors::AnchorTrust;

/// Storage must show the statement, in a block that something makes the chain's.
const NEEDED: [&[CheckName]; 2] =
    [&[CheckName::AnchorEvmStorage], &[CheckName::AnchorEvmHeader, CheckName::AnchorEvmFinality]];

pub(super) fn check(proof: &Proof<'_>, trust: Option<&AnchorTrust>, learned: &mut Learned) -> Found {
    let chains = trust.map_or(&[][..], |trust| trust.ethereum.as_slice());
    let bundle = Bundle::decode(proof.bytes).ok();
    let named =
        bundle.as_ref().and_then(|bundle| chains.iter().find(|trust| trust.chain_id == bundle.chain_id));
    let checks = match (&bundle, named) {
        (Some(bundle), None) => untrusted(bundle.chain_id),
        // What is no bundle says so under any trust.
        (None, None) => evm::checks(proof.bytes, &expected(proof), &evm::Trust::new(0)),
        (_, Some(trust)) => {
            let learned = learned.ethereum.entry(trust.chain_id).or_default();
            evm::checks_after(proof.bytes, &expected(proof), trust, learned)
        }
    };
    let at = bundle.as_ref().and_then(time);
    let standing = standing(&checks, &NEEDED, at);
    Found { checks: needed(checks, standing), standing }
}

/// What the bundle must show.
fn expected<'a>(proof: &Proof<'a>) -> Expected<'a> {
    let statement = proof.statement;
    Expected {
        origin: statement.origin.as_str(),
        seq: statement.seq,
        size: statement.to.size.get(),
        root: statement.to.root,
        previous: statement.previous,
        statement: Hash::of(proof.statement_bytes),
    }
}

/// A chain that the reader says nothing about.
fn untrusted(chain_id: u64) -> Vec<Check> {
    let detail = format!("needs a trust file that names chain {chain_id} and its anchor contract");
    super::checks_of(proof_kind()).iter().map(|name| Check::not_checked(*name, detail.clone())).collect()
}

const fn proof_kind() -> crate::anchor::statement::AnchorKind {
    crate::anchor::statement::AnchorKind::Ethereum
}

/// The time of the block whose state is shown.
fn time(bundle: &Bundle) -> Option<UnixMillis> {
    let header = BlockHeader::decode(bundle.headers.first()?).ok()?;
    Some(UnixMillis::new(header.timestamp.checked_mul(1000)?))
}

/// Leaves out what was not checked where the proof holds without it: a pinned block needs no committee.
fn needed(mut checks: Vec<Check>, standing: Standing) -> Vec<Check> {
    if matches!(standing, Standing::Holds { .. }) {
        checks.retain(|check| check.status != Status::NotChecked);
    }
    checks
}
