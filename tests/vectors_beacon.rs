//! What a real beacon node answered on a chain of its own, through every fork from Capella to Fulu.
//!
//! Danger: the forms of the beacon API, the trees of the forks and the versions that sign are the library's own idea of a beacon
//! chain whose forks it was told. End: every answer is read, written anew as SSZ and verified, one committee leads through all periods,
//! and with another genesis, version, epoch, committee or bit it does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may read the environment, start programs and print"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use ledgerstone::anchor::evm::beacon::{
    BeaconError, Bootstrap, Chain, ForkAt, ForksError, MINIMAL, PinnedCommittee, Preset, Trust, Update,
    UpdateError, bootstrap_from_json, update_from_json, updates_from_json, verify_part, verify_update,
};
use ledgerstone::anchor::evm::{self, BeaconFork, BeaconPart, Expected, ForkBytes, Learned};
use ledgerstone::anchor::statement::Statement;
use ledgerstone::check::{Check, Status};
use ledgerstone::code::CheckName;
use ledgerstone::encoding::hex_decode;
use ledgerstone::hash::Hash;
use serde_json::Value;

fn bytes(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/beacon").join(name);
    std::fs::read(path).unwrap()
}

fn hex<const N: usize>(value: &Value) -> [u8; N] {
    hex_decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap().try_into().unwrap()
}

/// The chain as `chain.json` describes it.
fn chain() -> Chain {
    let described: Value = serde_json::from_slice(&bytes("chain.json")).unwrap();
    let fork = |at: &Value| ForkAt {
        epoch: at["epoch"].as_u64().unwrap(),
        version: hex(&at["version"]),
        fork: Some(BeaconFork::parse(at["fork"].as_str().unwrap()).unwrap()),
    };
    let preset = Preset::parse(described["preset"].as_str().unwrap()).unwrap();
    let forks = described["forks"].as_array().unwrap().iter().map(fork).collect();
    Chain::new(preset, hex(&described["genesis_validators_root"]), forks).unwrap()
}

/// Every finality update, in the order of the forks.
fn finalities() -> Vec<Update> {
    BeaconFork::ALL
        .iter()
        .map(|fork| update_from_json(&bytes(&format!("finality-{}.json", fork.as_str())), &MINIMAL).unwrap())
        .collect()
}

fn bootstrap() -> Bootstrap {
    bootstrap_from_json(&bytes("bootstrap.json"), &MINIMAL).unwrap()
}

fn fork_bytes(chain: &Chain, update: &Update) -> ForkBytes {
    let update = update.clone().with_earliest_signature_slot(chain);
    ForkBytes { fork: update.fork, ssz: update.encode() }
}

/// The light client's part from the bootstrap's committee to `finality`, and the trust in that committee.
fn part(chain: &Chain, finality: &Update) -> (BeaconPart, Trust) {
    let bootstrap = bootstrap();
    let pinned = PinnedCommittee::from_bootstrap(chain, &bootstrap, &bootstrap.header.beacon.root()).unwrap();
    let updates = updates_from_json(&bytes("updates.json"), &MINIMAL).unwrap();
    let (first, last) = (pinned.period, chain.period(finality.signature_slot));
    let between =
        updates.iter().filter(|update| (first..last).contains(&chain.period(update.signature_slot)));
    let part = BeaconPart {
        committee: bootstrap.current_sync_committee.encode(),
        updates: between.map(|update| fork_bytes(chain, update)).collect(),
        finality: fork_bytes(chain, finality),
    };
    (part, Trust { chain: chain.clone(), committees: vec![pinned] })
}

#[test]
fn one_committee_leads_through_every_fork() {
    let chain = chain();
    let mut periods = BTreeSet::new();
    for finality in finalities() {
        let (part, trust) = part(&chain, &finality);
        let finalized = verify_part(&part, &trust).unwrap();
        assert_eq!(finalized.slot, finality.finalized.beacon.slot);
        assert_eq!(finalized.learned.len(), part.updates.len());
        assert_eq!((finalized.participants, finalized.committee_size), (32, 32));
        periods.insert(finalized.period);
        // Each committee that was learned is good to start from.
        let again = Trust { committees: finalized.learned.clone(), ..trust.clone() };
        let (last, rest) = (part.updates.len(), finalized.learned.last());
        if let Some(learned) = rest {
            let update = Update::decode(&part.updates[last - 1].ssz, part.updates[last - 1].fork, &MINIMAL);
            let committee = update.unwrap().next.unwrap().0;
            assert_eq!(committee.root(), learned.root);
            let short =
                BeaconPart { committee: committee.encode(), updates: Vec::new(), finality: part.finality };
            assert_eq!(verify_part(&short, &again).unwrap().block_hash, finalized.block_hash);
        }
    }
    assert!(periods.len() >= 3, "{periods:?}");
}

#[test]
fn answers_are_read_and_written_anew_as_the_same_bytes() {
    for (update, fork) in finalities().iter().zip(BeaconFork::ALL) {
        assert_eq!(update.fork, fork);
        assert_eq!(Update::decode_finality(&update.encode(), fork, &MINIMAL).as_ref(), Ok(update));
    }
    for update in updates_from_json(&bytes("updates.json"), &MINIMAL).unwrap() {
        assert_eq!(Update::decode(&update.encode(), update.fork, &MINIMAL).as_ref(), Ok(&update));
    }
}

#[test]
fn another_genesis_version_or_epoch_of_a_fork_verifies_nothing() {
    let chain = chain();
    for (place, finality) in finalities().iter().enumerate() {
        let verified = |chain: &Chain| {
            let (part, trust) = part(&self::chain(), finality);
            verify_part(&part, &Trust { chain: chain.clone(), ..trust })
        };
        assert!(verified(&chain).is_ok());
        let mut other = chain.clone();
        other.genesis_validators_root[31] ^= 1;
        assert_eq!(verified(&other), Err(BeaconError::Update(UpdateError::Signature)));
        let mut other = chain.clone();
        other.forks[place].version[3] ^= 1;
        assert_eq!(verified(&other), Err(BeaconError::Update(UpdateError::Signature)), "{place}");
        // The fork's types are not spoken yet, or it is not known at all.
        let slot = finality.attested.beacon.slot;
        let mut other = chain.clone();
        other.forks[place].epoch = slot / MINIMAL.slots_per_epoch + 1;
        let is_named = |error| {
            matches!(error, Err(BeaconError::Update(UpdateError::Fork(_) | UpdateError::UnknownFork(_))))
                || matches!(error, Err(BeaconError::SignatureSlot { .. }))
        };
        assert!(is_named(verified(&other)), "{place}: {:?}", verified(&other));
        let mut other = chain.clone();
        other.forks[place].fork = None;
        assert!(is_named(verified(&other)), "{place}: {:?}", verified(&other));
    }
}

#[test]
fn a_period_that_is_left_out_and_another_committee_are_refused() {
    let chain = chain();
    let finality = finalities().pop().unwrap();
    let (part, trust) = part(&chain, &finality);
    assert!(part.updates.len() >= 2);
    for place in 0..part.updates.len() {
        let mut gap = part.clone();
        gap.updates.remove(place);
        assert!(verify_part(&gap, &trust).is_err(), "without update {place}");
    }
    let mut other = trust.clone();
    other.committees[0].root[0] ^= 1;
    assert!(matches!(verify_part(&part, &other), Err(BeaconError::OtherCommittee(_))));
    let mut later = trust;
    later.committees[0].period += 1;
    assert!(matches!(verify_part(&part, &later), Err(BeaconError::NotPinned(_))));
}

#[test]
fn no_byte_of_a_finality_update_can_be_another() {
    let chain = chain();
    for finality in finalities() {
        let (whole, trust) = part(&chain, &finality);
        let learned = verify_part(&whole, &trust).unwrap().learned;
        // From the committee that signed, so that only this update is verified again and again.
        let committee = whole.updates.last().map_or(whole.committee, |update| {
            Update::decode(&update.ssz, update.fork, &MINIMAL).unwrap().next.unwrap().0.encode()
        });
        let part = BeaconPart { committee, updates: Vec::new(), finality: whole.finality };
        let committees = if learned.is_empty() { trust.committees } else { learned };
        let trust = Trust { chain: chain.clone(), committees };
        assert!(verify_part(&part, &trust).is_ok());
        for place in 0..part.finality.ssz.len() {
            let mut changed = part.clone();
            changed.finality.ssz[place] ^= 1 << (place % 8);
            assert!(verify_part(&changed, &trust).is_err(), "{:?}: byte {place}", finality.fork);
        }
    }
}

#[test]
fn a_bootstrap_of_another_block_or_fork_is_refused() {
    let (chain, bootstrap) = (chain(), bootstrap());
    let root = bootstrap.header.beacon.root();
    let mut other = root;
    other[0] ^= 1;
    assert_eq!(PinnedCommittee::from_bootstrap(&chain, &bootstrap, &other), Err(BeaconError::Bootstrap));
    let mut changed = bootstrap.clone();
    changed.current_sync_committee.pubkeys.swap(0, 1);
    assert_eq!(PinnedCommittee::from_bootstrap(&chain, &changed, &root), Err(BeaconError::Bootstrap));
    let mut changed = bootstrap;
    changed.fork = BeaconFork::Fulu;
    assert!(matches!(
        PinnedCommittee::from_bootstrap(&chain, &changed, &root),
        Err(BeaconError::Update(UpdateError::Fork(_)))
    ));
}

#[test]
fn the_committee_that_an_update_names_signs_the_next_update() {
    let chain = chain();
    let updates = updates_from_json(&bytes("updates.json"), &MINIMAL).unwrap();
    let mut signers = vec![bootstrap().current_sync_committee];
    for (place, update) in updates.iter().enumerate() {
        for signer in &signers {
            // The first two periods of a chain have the same committee.
            let is_named = signer.root() == signers[place].root();
            let verified = verify_update(&chain, signer, update);
            assert!(if is_named { verified.is_ok() } else { verified == Err(UpdateError::Signature) });
        }
        signers.push(update.next.as_ref().unwrap().0.clone());
    }
    assert_ne!(signers[1].root(), signers[2].root());
}

/// The checks of the statement numbered `seq`, after those that taught `learned`.
fn checks(seq: u64, committees: &[PinnedCommittee], learned: &mut Learned) -> Vec<Check> {
    let statement_bytes = bytes(&format!("{seq:08}/statement"));
    let statement = Statement::decode(&statement_bytes).unwrap();
    let expected = Expected {
        origin: statement.origin.as_str(),
        seq,
        size: statement.to.size.get(),
        root: statement.to.root,
        previous: statement.previous,
        statement: Hash::of(&statement_bytes),
    };
    let mut trust = evm::Trust::new(1337);
    trust.beacon = Some(Trust { chain: chain(), committees: committees.to_vec() });
    evm::checks_after(&bytes(&format!("{seq:08}/proof.evm")), &expected, &trust, learned)
}

/// The committee that was computed elsewhere.
fn pinned() -> PinnedCommittee {
    let described: Value = serde_json::from_slice(&bytes("chain.json")).unwrap();
    PinnedCommittee { period: 0, root: hex(&described["committee"]["root"]) }
}

fn has(checks: &[Check], status: Status) -> bool {
    checks
        .iter()
        .filter(|check| check.name != CheckName::AnchorEvmStorage)
        .all(|check| check.status == status)
}

#[test]
fn a_lanes_bundles_rest_on_the_committee_that_the_first_starts_from() {
    let bootstrap = bootstrap();
    let root = bootstrap.header.beacon.root();
    assert_eq!(PinnedCommittee::from_bootstrap(&chain(), &bootstrap, &root), Ok(pinned()));
    let mut learned = Learned::default();
    for seq in [2, 4, 7, 8] {
        let checks = checks(seq, &[pinned()], &mut learned);
        assert!(has(&checks, Status::Passed) && checks[0].status == Status::Passed, "{seq}: {checks:?}");
        let basis = checks[2].rests_on.as_deref().unwrap();
        assert!(basis.ends_with("the pinned sync committee of period 0"), "{seq}: {basis}");
    }
    // One that does not follow the others starts from a committee of which nothing is known.
    for seq in [4, 7, 8] {
        let alone = checks(seq, &[pinned()], &mut Learned::default());
        assert!(has(&alone, Status::NotChecked) && alone[0].status == Status::Passed, "{seq}: {alone:?}");
    }
}

#[test]
fn nothing_is_learned_from_a_bundle_that_does_not_hold_and_a_pin_counts_more_than_what_is_learned() {
    let mut other = pinned();
    other.root[0] ^= 1;
    let mut learned = Learned::default();
    assert!(checks(2, &[other], &mut learned)[2].status == Status::Failed);
    assert!(has(&checks(4, &[pinned()], &mut learned), Status::NotChecked));
    let mut learned = Learned::default();
    for seq in [2, 4] {
        assert!(has(&checks(seq, &[pinned()], &mut learned), Status::Passed));
    }
    other.period = 2;
    assert!(checks(7, &[pinned(), other], &mut learned)[2].status == Status::Failed);
    assert!(has(&checks(7, &[pinned()], &mut learned), Status::Passed));
}

#[test]
fn forks_of_ones_own_stand_in_their_order() {
    use BeaconFork::{Capella, Deneb, Electra, Fulu};
    let at = |epoch, fork: Option<BeaconFork>| ForkAt { epoch, version: [1; 4], fork };
    let new = |forks: &[ForkAt]| Chain::new(MINIMAL, [1; 32], forks.to_vec());
    let public = Chain::sepolia();
    let again = Chain::new(public.preset, public.genesis_validators_root, public.forks.clone());
    assert_eq!(again, Ok(public));
    // All at genesis, as test networks have them: the last is in force.
    let young = new(&[at(0, Some(Deneb)), at(0, Some(Electra)), at(0, Some(Fulu)), at(9, None)]).unwrap();
    assert_eq!(young.fork_at(0).and_then(|at| at.fork), Some(Fulu));
    assert_eq!(young.signing_fork(0), young.fork_at(71));
    assert_eq!(young.fork_at(72).map(|at| at.fork), Some(None));
    assert_eq!(new(&[]), Err(ForksError::None));
    for forks in [
        [at(5, Some(Deneb)), at(4, Some(Electra))],
        [at(4, Some(Electra)), at(5, Some(Deneb))],
        [at(4, Some(Capella)), at(5, Some(Capella))],
        [at(4, None), at(5, Some(Fulu))],
        [at(4, None), at(5, None)],
    ] {
        assert_eq!(new(&forks), Err(ForksError::Order), "{forks:?}");
    }
}
