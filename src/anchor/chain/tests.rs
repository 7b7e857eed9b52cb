//! A chain of real checkpoints over a real tree, and every way in which one link of it can be wrong.

use super::*;
use crate::anchor::statement::NO_STATEMENT;
use crate::checkpoint::LogKeys;
use crate::hash::leaf_hash;
use crate::merkle::TreeSize;
use crate::merkle::memory::MemoryNodes;

struct World {
    keys: LogKeys,
    leaves: Vec<Hash>,
    tree: MemoryNodes,
    links: Vec<Link>,
}

fn keys(origin: &str, seed: u8) -> LogKeys {
    LogKeys::generate_from_seeds(&KeyName::new(origin).unwrap(), [seed; 32], [seed + 1; 32]).unwrap()
}

fn lane(name: &str) -> LaneName {
    LaneName::parse(name).unwrap()
}

impl World {
    /// Statements over these sizes.
    fn new(sizes: &[u64]) -> Self {
        let leaves: Vec<Hash> = (0..64_u64).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect();
        let tree = leaves.iter().copied().collect();
        let mut world = Self { keys: keys("example.com/log", 1), leaves, tree, links: Vec::new() };
        for size in sizes {
            let link = world.link(*size);
            world.links.push(link);
        }
        world
    }

    fn head(&self, size: u64) -> Head {
        let tree: MemoryNodes = self.leaves.iter().copied().take(usize::try_from(size).unwrap()).collect();
        Head { size: tree.size(), root: tree.root() }
    }

    /// The link that follows to `size`.
    fn link(&self, size: u64) -> Link {
        let (from, previous) = self.links.last().map_or((Head::empty(), NO_STATEMENT), |last| {
            (Statement::decode(&last.statement).unwrap().to, Hash::of(&last.statement))
        });
        let to = self.head(size);
        let checkpoint = self.keys.sign(&self.keys.checkpoint(to.size, to.root)).into_bytes();
        let statement = Statement {
            origin: self.keys.origin().clone(),
            lane: lane("ethereum"),
            seq: self.links.len() as u64 + 1,
            from,
            to,
            previous,
            checkpoint: Hash::of(&checkpoint),
        };
        let consistency = if from.size.is_empty() {
            vec![]
        } else {
            consistency::prove(&self.tree, from.size, to.size).unwrap()
        };
        Link { statement: statement.encode().unwrap(), checkpoint, consistency }
    }

    fn verify(&self) -> Result<Vec<Anchored>, ChainError> {
        verify_chain(&self.links, &self.keys.verifier(), None)
    }

    /// The fault of the chain after the statement `seq` was changed; nothing after it is made to fit.
    fn with(sizes: &[u64], seq: usize, change: impl FnOnce(&mut Statement)) -> ChainError {
        let mut world = Self::new(sizes);
        let link = &mut world.links[seq - 1];
        let mut statement = Statement::decode(&link.statement).unwrap();
        change(&mut statement);
        link.statement = statement.encode().unwrap();
        world.verify().unwrap_err()
    }
}

const SIZES: [u64; 5] = [1, 7, 8, 40, 64];

#[test]
fn follows_a_chain_from_its_first_statement_and_gives_every_head() {
    let world = World::new(&SIZES);
    let anchored = world.verify().unwrap();
    let sizes: Vec<u64> = anchored.iter().map(|anchored| anchored.to.size.get()).collect();
    assert_eq!(sizes, SIZES);
    for (seq, (anchored, link)) in (1..).zip(anchored.iter().zip(&world.links)) {
        assert_eq!((anchored.seq, anchored.statement), (seq, Hash::of(&link.statement)));
        assert_eq!(anchored.to, world.head(anchored.to.size.get()));
    }
    let verifier = world.keys.verifier();
    let mut chain = ChainVerifier::new(&verifier, Some(lane("ethereum")));
    assert_eq!(chain.check().status, crate::check::Status::NotChecked);
    world.links.iter().for_each(|link| drop(chain.push(link).unwrap()));
    let check = chain.check();
    assert_eq!(check.status, crate::check::Status::Passed);
    assert!(check.detail.contains("1 to 5") && check.detail.contains("64 entries"), "{}", check.detail);
    assert_eq!(chain.tip().statement, Hash::of(&world.links[4].statement));
}

#[test]
fn refuses_a_chain_with_any_one_statement_left_out_or_twice_or_exchanged() {
    for at in 0..SIZES.len() {
        if at + 1 < SIZES.len() {
            let mut world = World::new(&SIZES);
            world.links.remove(at);
            let error = world.verify().unwrap_err();
            assert_eq!(error.seq, at as u64 + 1);
            assert_eq!(error.fault, ChainFault::Seq { found: at as u64 + 2 });
            assert_eq!(error.code(), Code::Inconsistent);
            let mut world = World::new(&SIZES);
            world.links.swap(at, at + 1);
            assert_eq!(world.verify().unwrap_err().fault, ChainFault::Seq { found: at as u64 + 2 });
        }
        let mut world = World::new(&SIZES);
        let again = world.links[at].clone();
        world.links.insert(at, again);
        assert_eq!(world.verify().unwrap_err().fault, ChainFault::Seq { found: at as u64 + 1 });
    }
}

#[test]
fn refuses_a_gap_though_each_statement_is_valid_for_itself() {
    let mut world = World::new(&[1, 7]);
    let through_8 = World::new(&[1, 7, 8]);
    let mut third =
        Statement::decode(&World { links: through_8.links, ..World::new(&[]) }.link(40).statement).unwrap();
    third.seq = 3;
    third.previous = Hash::of(&world.links[1].statement);
    let (from, to) = (third.from, third.to);
    world.links.push(Link {
        statement: third.encode().unwrap(),
        checkpoint: world.link(40).checkpoint,
        consistency: consistency::prove(&world.tree, from.size, to.size).unwrap(),
    });
    let error = world.verify().unwrap_err();
    assert_eq!(error.fault, ChainFault::From { expected: world.head(7), found: world.head(8) });
    assert!(error.to_string().starts_with("anchor statement 3: it starts at 8 entries"), "{error}");
}

#[test]
fn refuses_a_statement_of_another_log_lane_or_chain() {
    let error = World::with(&SIZES, 3, |s| s.origin = KeyName::new("example.com/other").unwrap());
    assert!(matches!(error.fault, ChainFault::Origin { .. }), "{error}");
    let error = World::with(&SIZES, 3, |s| s.lane = lane("bitcoin"));
    assert!(matches!(error.fault, ChainFault::Lane { .. }), "{error}");
    assert_eq!(error.code(), Code::Untrusted);
    let error = World::with(&SIZES, 3, |s| s.previous = Hash::of(b"x"));
    assert!(matches!(error.fault, ChainFault::Previous { .. }), "{error}");
    let world = World::new(&SIZES);
    let named = verify_chain(&world.links, &world.keys.verifier(), Some(lane("bitcoin"))).unwrap_err();
    assert_eq!(named.seq, 1);
    assert!(matches!(named.fault, ChainFault::Lane { .. }), "{named}");
}

#[test]
fn refuses_a_change_of_an_earlier_statement_at_the_one_after_it() {
    // The changed statement is one that the log could have made, but the next one does not name it.
    let mut world = World::new(&[1, 7]);
    let third = world.link(40);
    world.links.pop();
    world.links.push(world.link(8));
    world.links.push(third);
    let error = world.verify().unwrap_err();
    assert_eq!(error.seq, 3);
    assert!(matches!(error.fault, ChainFault::Previous { .. }), "{error}");
}

#[test]
fn refuses_a_checkpoint_that_the_log_did_not_sign_or_of_another_tree() {
    let mut world = World::new(&SIZES);
    world.links[2].checkpoint.push(b'\n');
    assert!(matches!(world.verify().unwrap_err().fault, ChainFault::CheckpointHash { .. }));

    let refit = |world: &mut World, note: Vec<u8>| {
        let mut statement = Statement::decode(&world.links[4].statement).unwrap();
        statement.checkpoint = Hash::of(&note);
        world.links[4] =
            Link { statement: statement.encode().unwrap(), checkpoint: note, ..world.links[4].clone() };
        world.verify().unwrap_err()
    };
    let mut world = World::new(&SIZES);
    let head = world.head(64);
    let stranger = keys("example.com/log", 9);
    let note = stranger.sign(&stranger.checkpoint(head.size, head.root)).into_bytes();
    let error = refit(&mut world, note);
    assert!(matches!(error.fault, ChainFault::Checkpoint(LogVerifyError::Signature { .. })), "{error}");

    let other = world.head(63);
    let note = world.keys.sign(&world.keys.checkpoint(other.size, other.root)).into_bytes();
    let error = refit(&mut world, note);
    assert_eq!(error.fault, ChainFault::CheckpointHead { expected: head, found: other });
    assert!(matches!(refit(&mut world, b"not a note".to_vec()).fault, ChainFault::Checkpoint(_)));
}

#[test]
fn refuses_a_tree_that_was_rewritten_though_the_log_signed_it() {
    let mut world = World::new(&[1, 7]);
    world.leaves = (1..65_u64).map(|leaf| leaf_hash(&leaf.to_be_bytes())).collect();
    let rewritten = world.leaves.iter().copied().collect();
    let honest = core::mem::replace(&mut world.tree, rewritten);
    let mut link = world.link(40);
    for proof in
        [link.consistency.clone(), consistency::prove(&honest, TreeSize::new(7), TreeSize::new(40)).unwrap()]
    {
        link.consistency = proof;
        world.links.truncate(2);
        world.links.push(link.clone());
        let error = world.verify().unwrap_err();
        assert!(matches!(error.fault, ChainFault::Consistency(_)), "{error}");
        assert_eq!((error.seq, error.code()), (3, Code::Inconsistent));
    }
}

#[test]
fn refuses_a_consistency_proof_with_a_hash_more_less_or_changed() {
    for at in 1..SIZES.len() {
        for change in 0..3 {
            let mut world = World::new(&SIZES);
            let proof = &mut world.links[at].consistency;
            match change {
                0 => proof.push(Hash::of(b"x")),
                1 => _ = proof.pop(),
                _ => proof[0] = Hash::of(b"x"),
            }
            let error = world.verify().unwrap_err();
            assert_eq!(error.seq, at as u64 + 1);
            assert!(matches!(error.fault, ChainFault::Consistency(_)), "{error}");
        }
    }
    let mut world = World::new(&SIZES);
    world.links[0].consistency.push(Hash::of(b"x"));
    assert_eq!(world.verify().unwrap_err().fault, ChainFault::ConsistencyLength { hashes: 1 });
    let mut world = World::new(&SIZES);
    world.links[1].consistency = vec![Hash::of(b"x"); 65];
    assert_eq!(world.verify().unwrap_err().fault, ChainFault::ConsistencyLength { hashes: 65 });
}

#[test]
fn a_failed_check_names_the_statement_and_what_to_do() {
    let mut world = World::new(&SIZES);
    world.links[3].statement.push(0);
    let error = world.verify().unwrap_err();
    let check = error.check();
    assert_eq!((check.name, check.code), (CheckName::AnchorStatements, Some(Code::Malformed)));
    assert!(check.detail.starts_with("anchor statement 4: "), "{}", check.detail);
}
