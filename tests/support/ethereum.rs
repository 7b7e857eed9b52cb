//! A small Ethereum of one block, made from seeds: state and receipts tries, headers, and a beacon chain whose sync
//! committees sign with keys that the test knows. Shared by the tests, the benchmark and the fuzz corpus.

use std::collections::BTreeMap;

use blst::min_pk::{AggregatePublicKey, AggregateSignature, PublicKey, SecretKey};
use ledgerstone::anchor::evm::beacon::{
    BeaconHeader, Bootstrap, Chain, ExecutionHeader, ForkAt, Header, PinnedCommittee, Preset, SyncAggregate,
    SyncCommittee, Update,
};
use ledgerstone::anchor::evm::{
    Advance, BeaconFork, BeaconPart, Bundle, Expected, ForkBytes, LogId, ReceiptProof, Trust, Word,
    advanced_topic, beacon, code_hash, keccak256, rlp,
};
use ledgerstone::hash::Hash;

pub const ORIGIN: &str = "log.example/anchors";
pub const CHAIN_ID: u64 = 1337;
pub const CONTRACT: [u8; 20] = [0xc0; 20];
pub const FIRST_KEY: [u8; 20] = [0xa1; 20];
pub const SEQ: u32 = 7;
pub const SIZE: u64 = 70_000;

pub fn root() -> Hash {
    Hash::of(b"root")
}

pub fn statement() -> Hash {
    Hash::of(b"statement 7")
}

pub fn expected() -> Expected<'static> {
    Expected {
        origin: ORIGIN,
        seq: u64::from(SEQ),
        size: SIZE,
        root: root(),
        previous: Hash::of(b"statement 6"),
        statement: statement(),
    }
}

/// A Merkle-Patricia trie over keys of nibbles, built anew for each question.
pub struct Trie(BTreeMap<Vec<u8>, Vec<u8>>);

impl Trie {
    pub fn new(pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (nibbles(&key), value)).collect())
    }

    pub fn root(&self) -> Word {
        match self.0.is_empty() {
            true => ledgerstone::anchor::evm::trie::EMPTY_ROOT,
            false => keccak256(&self.node(&[], &mut Vec::new(), None)),
        }
    }

    /// The nodes on the path of `key`, whether or not it is there.
    pub fn proof(&self, key: &[u8]) -> Vec<Vec<u8>> {
        let mut nodes = Vec::new();
        if !self.0.is_empty() {
            let top = self.node(&[], &mut nodes, Some(&nibbles(key)));
            nodes.push(top);
        }
        nodes.reverse();
        nodes
    }

    /// The node over all keys that start with `prefix`; those below it that are on `path` and have a hash go to `nodes`.
    fn node(&self, prefix: &[u8], nodes: &mut Vec<Vec<u8>>, path: Option<&[u8]>) -> Vec<u8> {
        let under: Vec<_> = self.0.iter().filter(|(key, _)| key.starts_with(prefix)).collect();
        let mut items = Vec::new();
        if let [(key, value)] = under.as_slice() {
            rlp::write_bytes(&mut items, &hex_prefix(&key[prefix.len()..], true));
            rlp::write_bytes(&mut items, value);
            return list(&items);
        }
        let (first, last) = (under[0].0, under[under.len() - 1].0);
        let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        if shared > prefix.len() {
            rlp::write_bytes(&mut items, &hex_prefix(&first[prefix.len()..shared], false));
            self.child(&first[..shared], &mut items, nodes, path);
            return list(&items);
        }
        for nibble in 0..16 {
            let below = [prefix, &[nibble]].concat();
            if under.iter().any(|(key, _)| key.starts_with(&below)) {
                self.child(&below, &mut items, nodes, path);
            } else {
                rlp::write_bytes(&mut items, &[]);
            }
        }
        rlp::write_bytes(&mut items, under.iter().find(|(key, _)| *key == prefix).map_or(&[], |(_, v)| v));
        list(&items)
    }

    fn child(&self, prefix: &[u8], items: &mut Vec<u8>, nodes: &mut Vec<Vec<u8>>, path: Option<&[u8]>) {
        let on_path = path.filter(|path| path.starts_with(prefix));
        let node = self.node(prefix, nodes, on_path);
        if node.len() < 32 {
            items.extend(node);
        } else {
            rlp::write_bytes(items, &keccak256(&node));
            if on_path.is_some() {
                nodes.push(node);
            }
        }
    }
}

fn nibbles(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect()
}

fn hex_prefix(nibbles: &[u8], is_leaf: bool) -> Vec<u8> {
    let flag = if is_leaf { 0x20 } else { 0 };
    let (mut out, rest) = match nibbles.len() % 2 {
        1 => (vec![flag | 0x10 | nibbles[0]], &nibbles[1..]),
        _ => (vec![flag], nibbles),
    };
    out.extend(rest.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    out
}

pub fn list(items: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    rlp::write_list(&mut out, items);
    out
}

fn strings(items: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    items.iter().for_each(|item| rlp::write_bytes(&mut out, item));
    out
}

/// The RLP of a header with the fields of a block since Prague.
pub fn header(number: u64, parent: &Word, state_root: &Word, receipts_root: &Word) -> Vec<u8> {
    let mut items =
        strings(&[parent, &[2; 32], &[3; 20], state_root, &[5; 32], receipts_root, &[0; 256], &[]]);
    for value in [number, 36_000_000, 12_345_678, 1_795_000_000 + 12 * number] {
        rlp::write_uint(&mut items, value);
    }
    items.extend(strings(&[b"extra", &[14; 32], &[0; 8]]));
    rlp::write_uint(&mut items, 7);
    items.extend(strings(&[&[17; 32]]));
    rlp::write_uint(&mut items, 0);
    rlp::write_uint(&mut items, 131_072);
    items.extend(strings(&[&[20; 32], &[21; 32]]));
    list(&items)
}

/// A storage word as the trie holds it: RLP without leading zeros.
fn stored(word: &[u8]) -> Vec<u8> {
    let start = word.iter().take_while(|byte| **byte == 0).count();
    strings(&[&word[start..]])
}

/// What the one block holds; each field may be set to something else to see it noticed.
pub struct Block {
    pub storage: Trie,
    pub accounts: BTreeMap<Vec<u8>, Vec<u8>>,
    pub receipts: Trie,
}

pub fn packed(seq: u32, size: u64, key: &[u8; 20]) -> Vec<u8> {
    [&key[..], &size.to_be_bytes(), &seq.to_be_bytes()].concat()
}

/// RLP of the contract's account.
pub fn account(storage_root: &Word, code: &Word) -> Vec<u8> {
    let mut items = Vec::new();
    rlp::write_uint(&mut items, 1);
    items.extend(strings(&[&[], storage_root, code]));
    list(&items)
}

pub fn advance() -> Advance {
    Advance {
        log_id: LogId::new(&FIRST_KEY, ORIGIN),
        seq: SEQ,
        previous: Hash::of(b"statement 6"),
        size: SIZE,
        root: root(),
        statement: statement(),
    }
}

/// One event.
pub fn log(address: &[u8], topics: &[&[u8]], data: &[u8]) -> Vec<u8> {
    let mut items = strings(&[address]);
    items.extend(list(&strings(topics)));
    items.extend(strings(&[data]));
    list(&items)
}

/// An EIP-1559 receipt with an event of somebody else and the contract's.
pub fn receipt(status: u8, contract: &[u8; 20], advance: &Advance) -> Vec<u8> {
    receipt_of(status, &log(contract, &[&advanced_topic(), advance.log_id.as_bytes()], &advance.event_data()))
}

/// An EIP-1559 receipt with an event of somebody else and these logs.
pub fn receipt_of(status: u8, more: &[u8]) -> Vec<u8> {
    let mut logs = log(&[0xee; 20], &[&[1; 32]], b"something else");
    logs.extend(more);
    let mut items = strings(&[&[status][usize::from(status == 0)..]]);
    rlp::write_uint(&mut items, 36_000);
    items.extend(strings(&[&[0; 256]]));
    items.extend(list(&logs));
    [&[2], list(&items).as_slice()].concat()
}

pub fn index_key(index: u64) -> Vec<u8> {
    let mut key = Vec::new();
    rlp::write_uint(&mut key, index);
    key
}

impl Block {
    /// A block in which the contract names the statement, among a few hundred accounts and receipts.
    pub fn new() -> Self {
        let [packed_slot, statement_slot, _] = LogId::new(&FIRST_KEY, ORIGIN).slots();
        let mut slots = vec![
            (keccak256(&packed_slot).to_vec(), stored(&packed(SEQ, SIZE, &FIRST_KEY))),
            (keccak256(&statement_slot).to_vec(), stored(statement().as_bytes())),
        ];
        slots.extend((0..40_u8).map(|n| (keccak256(&[n]).to_vec(), stored(&[n + 1; 32]))));
        let storage = Trie::new(slots);
        let mut accounts: BTreeMap<_, _> = (0..300_u16)
            .map(|n| (keccak256(&n.to_be_bytes()).to_vec(), account(&[9; 32], &[8; 32])))
            .collect();
        accounts.insert(keccak256(&CONTRACT).to_vec(), account(&storage.root(), &code_hash()));
        let receipts = (0..200).map(|n| (index_key(n), receipt(u8::from(n == 5), &CONTRACT, &advance())));
        Self { storage, accounts, receipts: Trie::new(receipts) }
    }

    pub fn state(&self) -> Trie {
        Trie::new(self.accounts.clone())
    }

    /// The bundle over this block, with `following` further headers after it.
    pub fn bundle(&self, following: u64) -> Bundle {
        let state = self.state();
        let [packed_slot, statement_slot, _] = LogId::new(&FIRST_KEY, ORIGIN).slots();
        let mut headers = vec![header(1000, &[1; 32], &state.root(), &self.receipts.root())];
        for number in 1001..1001 + following {
            let parent = keccak256(&headers[headers.len() - 1]);
            headers.push(header(number, &parent, &[0x55; 32], &[0x66; 32]));
        }
        Bundle {
            chain_id: CHAIN_ID,
            contract: CONTRACT,
            first_key: FIRST_KEY,
            headers,
            account_proof: state.proof(&keccak256(&CONTRACT)),
            packed_proof: self.storage.proof(&keccak256(&packed_slot)),
            statement_proof: self.storage.proof(&keccak256(&statement_slot)),
            receipt: None,
            beacon: None,
        }
    }

    pub fn receipt_proof(&self, index: u64) -> ReceiptProof {
        ReceiptProof { headers: Vec::new(), index, proof: self.receipts.proof(&index_key(index)) }
    }
}

/// Trust in the bundle's last block.
pub fn pinned(bundle: &Bundle) -> Trust {
    let mut trust = Trust::new(CHAIN_ID);
    trust.blocks = vec![keccak256(&bundle.headers[bundle.headers.len() - 1])];
    trust
}

/// A committee whose secret keys are known.
pub struct Committee {
    keys: Vec<SecretKey>,
    pub public: SyncCommittee,
}

impl Committee {
    pub fn new(seed: u8, preset: &Preset) -> Self {
        let keys: Vec<SecretKey> = (0..preset.committee_size)
            .map(|n| SecretKey::key_gen(Hash::of(&[seed, (n >> 8) as u8, n as u8]).as_bytes(), &[]).unwrap())
            .collect();
        let points: Vec<PublicKey> = keys.iter().map(SecretKey::sk_to_pk).collect();
        let sum = AggregatePublicKey::aggregate(&points.iter().collect::<Vec<_>>(), false).unwrap();
        let public = SyncCommittee {
            pubkeys: points.iter().map(PublicKey::compress).collect(),
            aggregate_pubkey: sum.to_public_key().compress(),
        };
        Self { keys, public }
    }

    /// What the first `participants` members sign; the others' bits are not set.
    fn sign(&self, message: &Word, participants: usize) -> SyncAggregate {
        const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
        let mut bits = vec![0_u8; self.keys.len() / 8];
        (0..participants).for_each(|n| bits[n / 8] |= 1 << (n % 8));
        let signatures: Vec<_> =
            self.keys[..participants].iter().map(|key| key.sign(message, DST, &[])).collect();
        let sum = AggregateSignature::aggregate(&signatures.iter().collect::<Vec<_>>(), false).unwrap();
        SyncAggregate { bits, signature: sum.to_signature().compress() }
    }
}

fn pair(left: &Word, right: &Word) -> Word {
    *Hash::of(&[*left, *right].concat()).as_bytes()
}

/// A Merkle tree of which only some nodes are known; every other one is zero.
struct Sparse(BTreeMap<u64, Word>);

impl Sparse {
    fn node(&self, gindex: u64) -> Word {
        let is_above = |leaf: u64| {
            let (mine, its) = (gindex.ilog2(), leaf.ilog2());
            its > mine && leaf >> (its - mine) == gindex
        };
        match self.0.get(&gindex) {
            Some(known) => *known,
            None if self.0.keys().any(|leaf| is_above(*leaf)) => {
                pair(&self.node(2 * gindex), &self.node(2 * gindex + 1))
            }
            None => [0; 32],
        }
    }

    fn branch(&self, mut gindex: u64) -> Vec<Word> {
        let mut branch = Vec::new();
        while gindex > 1 {
            branch.push(self.node(gindex ^ 1));
            gindex /= 2;
        }
        branch
    }
}

/// A beacon chain of one fork from genesis on.
pub fn chain(fork: BeaconFork, preset: Preset) -> Chain {
    Chain {
        preset,
        genesis_validators_root: [0x47; 32],
        forks: vec![ForkAt { epoch: 0, version: [6, 6, 6, 6], fork: Some(fork) }],
    }
}

/// What an update is made of.
pub struct Claim<'a> {
    pub attested_slot: u64,
    pub finalized_slot: u64,
    pub execution_block: Word,
    pub next: Option<&'a Committee>,
    pub participants: usize,
}

/// A beacon header over an execution block, and the state that is given.
fn light_header(fork: BeaconFork, slot: u64, block_hash: &Word, state_root: Word) -> Header {
    let lengths = [32, 20, 32, 32, 256, 32, 8, 8, 8, 8, 5, 32, 32, 32, 32, 8, 8];
    let count = if fork == BeaconFork::Capella { 15 } else { 17 };
    let mut fields: Vec<Vec<u8>> = lengths[..count].iter().map(|length| vec![0x21; *length]).collect();
    fields[12] = block_hash.to_vec();
    let execution = ExecutionHeader::from_fields(fork, fields).unwrap();
    let body = Sparse([(25, execution.root(fork).unwrap())].into());
    let beacon =
        BeaconHeader { slot, proposer_index: 3, parent_root: [4; 32], state_root, body_root: body.node(1) };
    Header { beacon, execution, execution_branch: body.branch(25) }
}

/// A signed update of `committee`.
pub fn update(chain: &Chain, fork: BeaconFork, committee: &Committee, claim: &Claim<'_>) -> Update {
    let finalized = light_header(fork, claim.finalized_slot, &claim.execution_block, [0x77; 32]);
    let (finality_at, next_at) = match fork {
        BeaconFork::Electra | BeaconFork::Fulu => (169, 87),
        _ => (105, 55),
    };
    let mut state = Sparse([(finality_at, finalized.beacon.root())].into());
    state.0.insert(next_at, claim.next.map_or([0x11; 32], |next| next.public.root()));
    let attested = light_header(fork, claim.attested_slot, &[0x88; 32], state.node(1));
    let version = chain.signing_fork(claim.attested_slot + 1).unwrap().version;
    let mut fork_version = [0; 32];
    fork_version[..4].copy_from_slice(&version);
    let mut domain = [0; 32];
    domain[0] = 7;
    domain[4..].copy_from_slice(&pair(&fork_version, &chain.genesis_validators_root)[..28]);
    let aggregate = committee.sign(&pair(&attested.beacon.root(), &domain), claim.participants);
    Update {
        fork,
        attested,
        next: claim.next.map(|next| (next.public.clone(), state.branch(next_at))),
        finalized,
        finality_branch: state.branch(finality_at),
        aggregate,
        signature_slot: claim.attested_slot + 1,
    }
}

/// The committee that serves at `slot`, as the block there shows it.
pub fn bootstrap(fork: BeaconFork, slot: u64, committee: &Committee) -> Bootstrap {
    let at = if matches!(fork, BeaconFork::Electra | BeaconFork::Fulu) { 86 } else { 54 };
    let state = Sparse([(at, committee.public.root())].into());
    let header = light_header(fork, slot, &[0x88; 32], state.node(1));
    Bootstrap { fork, header, current_sync_committee: committee.public.clone(), branch: state.branch(at) }
}

pub fn fork_bytes(update: &Update) -> ForkBytes {
    ForkBytes { fork: update.fork, ssz: update.encode() }
}

/// A bundle whose last block is final, by way of `periods` changes of the committee, and the trust that it needs.
pub fn with_beacon(mut bundle: Bundle, fork: BeaconFork, preset: Preset, periods: u8) -> (Bundle, Trust) {
    let chain = chain(fork, preset);
    let slots = preset.slots_per_epoch * preset.epochs_per_period;
    let mut committee = Committee::new(0, &preset);
    let first = committee.public.clone();
    let most = preset.committee_size - preset.committee_size / 16;
    let mut updates = Vec::new();
    for period in 0..u64::from(periods) {
        let next = Committee::new(period as u8 + 1, &preset);
        let claim = Claim {
            attested_slot: (100 + period) * slots + 20,
            finalized_slot: (100 + period) * slots + 4,
            execution_block: [0x99; 32],
            next: Some(&next),
            participants: most,
        };
        updates.push(fork_bytes(&update(&chain, fork, &committee, &claim)));
        committee = next;
    }
    let start = (100 + u64::from(periods)) * slots;
    let claim = Claim {
        attested_slot: start + 20,
        finalized_slot: start + 4,
        execution_block: keccak256(&bundle.headers[bundle.headers.len() - 1]),
        next: None,
        participants: most,
    };
    let finality = fork_bytes(&update(&chain, fork, &committee, &claim));
    bundle.beacon = Some(BeaconPart { committee: first.encode(), updates, finality });
    let mut trust = Trust::new(CHAIN_ID);
    let committees = vec![PinnedCommittee { period: 100, root: first.root() }];
    trust.beacon = Some(beacon::Trust { chain, committees });
    (bundle, trust)
}
