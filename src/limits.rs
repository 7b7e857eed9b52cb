//! Every bound of the library, each with its arithmetic.
//!
//! Nothing from outside is read without one of these in force (INV-7).

/// Bytes of one entry. C2SP bundles could carry 65,535; ours hold commitments only, so 2 KiB is ample.
pub const ENTRY_BYTES_MAX: usize = 2 * 1024;

/// Fields of one record.
pub const FIELDS_MAX: usize = 4096;

/// Bytes of one field path.
pub const FIELD_PATH_BYTES_MAX: usize = 256;

/// Bytes of one field value as deterministic CBOR; past it the value is recorded as its digest and size.
pub const FIELD_VALUE_BYTES_MAX: usize = 64 * 1024;

/// Nesting of arrays and maps in anything decoded from CBOR.
pub const CBOR_DEPTH_MAX: usize = 8;

/// Nesting of arrays within one field value. A sealed record puts three levels around it (map, list of fields, field).
pub const VALUE_DEPTH_MAX: usize = 4;

/// Earlier entries that one entry may link to; at nine bytes each they take 288 of an entry's bytes.
pub const ENTRY_LINKS_MAX: usize = 32;

/// Entries of one batch: one journal record, one `fdatasync`.
pub const BATCH_ENTRIES_MAX: usize = 1024;

/// Entries and sealed records of one batch, in bytes.
pub const BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of one sealed record: a request and a response of the largest default message (16 MiB each) and their fields.
pub const SEALED_BYTES_MAX: usize = 40 * 1024 * 1024;

/// Appends that may wait for a batch; the next one is refused.
pub const PENDING_ENTRIES_MAX: usize = 8 * 1024;

/// Bytes of appends that may wait for a batch.
pub const PENDING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a signed note. Sixteen ML-DSA-44 lines of about 3.3 kB each make 53 kB.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

/// Signature lines of a note; C2SP asks verifiers to accept at least 16.
pub const SIGNATURES_MAX: usize = 32;

/// Bytes of a vault of protected attributes: two and a half million people at about 100 bytes each.
pub const VAULT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Attributes of a vault; reports cross them in pairs, so eight make 36 tables.
pub const VAULT_ATTRIBUTES_MAX: usize = 8;

/// Bytes of an attribute's name or value.
pub const VAULT_TEXT_BYTES_MAX: usize = 64;

/// Leaves of a tree. Go clients keep sizes in an `int64`, and arithmetic on indices below it cannot overflow a `u64`.
pub const TREE_SIZE_MAX: u64 = (1 << 63) - 1;

/// Tiles one reader keeps. A proof reads at most 8 levels twice; 64 tiles with the nodes over them are 1 MiB.
pub const CACHED_TILES_MAX: usize = 64;

/// Bytes of a trust policy. Sixty-four ML-DSA-44 vkeys of about 1.9 kB for logs and as many for witnesses make 243 kB.
pub const POLICY_BYTES_MAX: usize = 512 * 1024;

/// Logs, witnesses and groups of a trust policy, each; C2SP asks for at least 32.
pub const POLICY_ITEMS_MAX: usize = 64;

/// Hashes of an inclusion or consistency proof: a tree of 2^63 leaves needs 63, a consistency proof one more.
pub const PROOF_HASHES_MAX: usize = 64;

/// Bytes past which a journal segment takes no further batch, unless configured otherwise.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// The largest that may be configured.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Bytes of a segment's header: 106 fixed, a hash for each of 63 bits of a tree size, a checksum.
pub const SEGMENT_HEADER_BYTES_MAX: usize = 106 + 63 * 32 + 32;

/// Bytes of a segment file: one batch may be larger than a segment, and each of its entries has 6 bytes of lengths.
pub const SEGMENT_FILE_BYTES_MAX: u64 = SEGMENT_BYTES_MAX + 2 * BATCH_BYTES_MAX as u64;

/// Committed batches that may wait to be signed; past it no further batch is cut.
pub const SIGNING_BATCHES_MAX: usize = 2;

/// Bytes of committed batches that may wait to be applied; past it no further batch is cut.
pub const UNAPPLIED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a tile or entry bundle: 256 entries of 65,535 bytes, each after its length.
pub const TILE_FILE_BYTES_MAX: u64 = 256 * (2 + u16::MAX as u64);

/// How long after one publication the next may follow, in milliseconds, unless configured otherwise.
pub const PUBLISH_INTERVAL_MS: u64 = 250;

/// How long after the storage refused to take a file it is asked again, in milliseconds.
pub const APPLY_RETRY_MS: u64 = 250;

/// Later entries in one receipt: a decision with a few of each kind several times over.
pub const RECEIPT_LATER_MAX: usize = 64;

/// Anchors of one receipt: one of each lane of a log that uses every kind several times over.
pub const RECEIPT_ANCHORS_MAX: usize = 16;

/// Lanes of one log: every kind, each with several targets.
pub const ANCHOR_LANES_MAX: usize = 64;

/// Bytes of the file that describes a lane: its kind, and a few addresses.
pub const LANE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one proof beside a statement: the largest, of an EVM chain, has 4 MiB; a timestamp with its certificates takes 10 kB.
pub const ANCHOR_PROOF_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a segment of Bitcoin headers: 262,144 of 80 bytes are five years.
pub const ANCHOR_HEADERS_BYTES_MAX: usize = 256 * 1024 * 80;

/// Bytes of a file that says whom a reader of anchors trusts: certificates of 2 kB and 4,096 pinned blocks of 100 bytes.
pub const ANCHOR_TRUST_BYTES_MAX: usize = 1024 * 1024;

/// Things of one sort in that file: pinned blocks, chains, certificates.
pub const ANCHOR_TRUST_ITEMS_MAX: usize = 4096;

/// Bytes of a consistency proof as text: a line of 44 characters and its end for each hash.
pub const CONSISTENCY_TEXT_BYTES_MAX: usize = PROOF_HASHES_MAX * 45;

/// Bytes of a COSE receipt: 64 hashes of 34, an origin of 258, three numbers of 9, a key id of 34, a signature of 66 and 60 of the
/// rest make 2,621.
pub const COSE_RECEIPT_BYTES_MAX: usize = 3 * 1024;

/// Bytes of a receipt file.
pub const RECEIPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Decisions that a walk over a log compares with each other: 24 bytes each make 384 MiB.
pub const WALK_DECISIONS_MAX: usize = 16 * 1024 * 1024;

/// Sessions that a walk over a log follows: about 300 bytes each make 75 MiB. One a minute fills them in half a year.
pub const WALK_SESSIONS_MAX: usize = 256 * 1024;

/// Ranges of sequence numbers that a walk over a log keeps for all sessions: about 32 bytes each make 32 MiB.
pub const WALK_RANGES_MAX: usize = 1024 * 1024;

/// Files of one model folder. The largest published models have some hundred shards; 16,384 names of 1 KiB make 16 MiB.
pub const MANIFEST_FILES_MAX: usize = 16 * 1024;

/// Bytes of the name of one file inside a model folder.
pub const MANIFEST_NAME_BYTES_MAX: usize = 1024;

/// Registrations that a walk over a log keeps: about 300 bytes each make 20 MiB. Ten a day fill them in 18 years.
pub const REGISTRATIONS_MAX: usize = 64 * 1024;

/// Model digests whose decisions a walk over a log counts: about 100 bytes each make 7 MiB.
pub const WALK_MODELS_MAX: usize = 64 * 1024;

/// How far the clock may step back before the log refuses to go on, in milliseconds; up to it the last time is repeated.
pub const CLOCK_STEP_BACK_MS_MAX: u64 = 2_000;

/// Statements of one anchor lane: what eight decimal digits name as folders. One a minute fills them in 190 years.
pub const ANCHOR_SEQ_MAX: u64 = 99_999_999;

/// Bytes of an anchor statement: an origin of 257, a lane of 34, three numbers of 9, four hashes of 34, 12 of the rest make 466.
pub const STATEMENT_BYTES_MAX: usize = 512;

/// Bytes of one record of a lane's journal: a raw transaction, and at most 256 bytes beside it.
pub const ANCHOR_RECORD_BYTES_MAX: usize = ANCHOR_TRANSACTION_BYTES_MAX + 256;

/// Bytes of a raw transaction that anchors: 196 of calldata, a signature and fees make about 320.
pub const ANCHOR_TRANSACTION_BYTES_MAX: usize = 4 * 1024;

/// Transactions signed for one statement, half of them at most replacements: 32 times an eighth more is 43 times the fee.
pub const ANCHOR_ATTEMPTS_MAX: usize = 64;

/// How far a key's nonce may lie before its nonce at the finalized block; one statement in flight takes one or two.
pub const ANCHOR_NONCE_AHEAD_MAX: u64 = 16;

/// Statements that a lane fixed and whose entries the log has not taken yet; past it no further one is planned.
pub const ANCHOR_UNAPPENDED_MAX: usize = 64;

/// Statements of one lane that wait for their upgrade. At one an hour they are six weeks; a calendar needs hours.
pub const ANCHOR_PENDING_MAX: usize = 1024;

/// Bytes of an OpenTimestamps proof. Sixteen calendars' answers and as many upgrades of 10,000 bytes each make 320 kB.
pub const OTS_FILE_BYTES_MAX: usize = 512 * 1024;

/// Bytes of a calendar's answer, as the reference client reads them.
pub const OTS_ANSWER_BYTES_MAX: usize = 10_000;

/// Bytes of an operation's argument and of its result, as in the reference.
pub const OTS_MESSAGE_BYTES_MAX: usize = 4096;

/// Messages on one path of a proof, its digest included, as in the reference. A walk holds one each: 1 MiB.
pub const OTS_DEPTH_MAX: usize = 256;

/// Operations of a proof. Sixteen calendars with an answer and an upgrade each as deep as may be make 8,160; every one hashes or
/// copies 4 KiB at most, 32 MiB together.
pub const OTS_OPERATIONS_MAX: usize = 8 * 1024;

/// Attestations of a proof. Each keeps its message when they are listed: 4 MiB.
pub const OTS_ATTESTATIONS_MAX: usize = 1024;

/// Bytes of an attestation's payload, as in the reference.
pub const OTS_PAYLOAD_BYTES_MAX: usize = 8192;

/// Bytes of a calendar's URI, as in the reference.
pub const OTS_URI_BYTES_MAX: usize = 1000;

/// Headers of one segment of Bitcoin's chain: about five years at one in ten minutes, 20 MiB, and 8 MiB for their hashes.
pub const BITCOIN_HEADERS_MAX: usize = 256 * 1024;

/// Bytes of a timestamp request: a SHA-512 imprint, a nonce and a policy make 140.
pub const TIMESTAMP_REQUEST_BYTES_MAX: usize = 1024;

/// Bytes of a timestamp reply. Four certificates of 2 kB each and a signature of RSA 8192 make 12 kB.
pub const TIMESTAMP_REPLY_BYTES_MAX: usize = 64 * 1024;

/// Certificates that a timestamp reply may carry; the longest path has [`TIMESTAMP_PATH_MAX`].
pub const TIMESTAMP_CERTIFICATES_MAX: usize = 16;

/// Certificates from a timestamp authority's to the trusted root, both counted. Public authorities have three or four.
pub const TIMESTAMP_PATH_MAX: usize = 8;

/// Signatures checked while a path is looked for: every step of the longest path may have eight issuers of one name.
pub const TIMESTAMP_PATH_SIGNATURES_MAX: usize = 64;

/// Certificates, roots and revocation lists that an auditor may trust, each. The European lists name some 200 authorities.
pub const TIMESTAMP_TRUST_ITEMS_MAX: usize = 1024;

/// Bytes of one revocation list: 40 bytes an entry make 400,000 revoked certificates.
pub const REVOCATION_LIST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of an EVM anchor bundle: 1,024 headers of 700 bytes, 48 light client updates of
/// 27 kB, proofs and a receipt make 2.6 MB.
pub const EVM_BUNDLE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Block headers of a bundle: an hour or more of blocks every three seconds; finality on mainnet takes 64 to 96.
pub const EVM_SEGMENT_HEADERS_MAX: usize = 1024;

/// Bytes of a block header's RLP: 700 on mainnet; consortium chains put the seals of a hundred validators into it.
pub const EVM_HEADER_BYTES_MAX: usize = 16 * 1024;

/// Items of a block header: 22 on mainnet.
pub const EVM_HEADER_ITEMS_MAX: usize = 64;

/// Nodes of a trie proof: a path of 64 nibbles has at most one node for each, and the value's.
pub const EVM_PROOF_NODES_MAX: usize = 65;

/// Bytes of one item of a bundle: a leaf of the receipts trie holds a receipt, whose gas pays for some hundred kilobytes
/// of logs; a sync committee has 24,624.
pub const EVM_NODE_BYTES_MAX: usize = 512 * 1024;

/// Nesting of lists in RLP: a receipt's logs' topics are at depth 4, a node within a node at 2.
pub const RLP_DEPTH_MAX: usize = 8;

/// Light client updates of a bundle, one for each 27 hours that the sync committee changed between two anchors.
pub const EVM_BEACON_UPDATES_MAX: usize = 48;

/// Bytes of JSON from a beacon API: an update takes 60 kB, a page of sixteen of them 1 MB.
pub const BEACON_JSON_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one file of certificates: as many as may be trusted, of 8 KiB each as PEM.
pub const TIMESTAMP_TRUST_BYTES_MAX: usize = TIMESTAMP_TRUST_ITEMS_MAX * 8 * 1024;

/// Bytes of a regulation pack. Sixty-four rules of each of five lists, of about 200 bytes each, make 64 kB.
pub const PACK_BYTES_MAX: usize = 64 * 1024;

/// Rules in one list of a regulation pack, and words or paths in one rule.
pub const PACK_ITEMS_MAX: usize = 64;

/// Bytes of one text of a regulation pack.
pub const PACK_TEXT_BYTES_MAX: usize = 1024;

/// Days, months or years of one period in a regulation pack. So many years after any date of four digits are within a `u64`.
pub const PACK_PERIOD_MAX: u32 = 12_000;

/// Packs that apply to one decision.
pub const PACKS_APPLIED_MAX: usize = 16;

/// Bytes of a template of notices, or of their style. The longest that comes along has 5 kB.
pub const NOTICE_TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of what a caller says for a notice: names, addresses and instructions.
pub const NOTICE_DATA_BYTES_MAX: usize = 64 * 1024;

/// Tables and lists within each other in what a caller says: a list in a table in the whole, and one to spare.
pub const NOTICE_DATA_DEPTH_MAX: usize = 5;

/// Steps of a template, each at most one value printed: as many as a notice of this size has bytes.
pub const NOTICE_FUEL: u64 = 1 << 20;

/// Bytes of a notice, and of what its template prints. Forty pages of 4 kB, with their marks and two fonts of 95 kB.
pub const NOTICE_BYTES_MAX: usize = 1024 * 1024;

/// Blocks of text in a notice.
pub const NOTICE_BLOCKS_MAX: usize = 4096;

/// Pages of a notice.
pub const NOTICE_PAGES_MAX: usize = 40;

/// Subject keys that one record may be under: a key for each row of a batch whose rows take a field each (2,048).
pub const SUBJECT_KEYS_MAX: usize = 2048;

/// Names of destroyed keys in one erasure entry: at 16 bytes each they take 1,536 of its 2,048 bytes.
pub const ERASURE_KEYS_MAX: usize = 96;

/// Bytes of an AdmissionReview. API servers take requests of at most 3 MiB, and a review of a new object holds it once; the rest is for
/// JSON that is longer than what it was sent as.
pub const ADMISSION_REVIEW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of an AdmissionReview's uid: API servers draw UUIDs of 36.
pub const ADMISSION_UID_BYTES_MAX: usize = 128;

/// Bytes of what is put into pods: a ConfigMap holds at most 1 MiB.
pub const INJECTOR_TEMPLATE_BYTES_MAX: usize = 1024 * 1024;

/// Containers and volumes that are put into a pod: two and two of our own, and sixty of the chart's user.
pub const INJECTED_PARTS_MAX: usize = 64;
/// Keys of approvers, and persons in one rule: with who has them they take 576 bytes of a roster entry.
pub const APPROVERS_MAX: usize = 16;

/// Signatures that an entry holds, and so the most approvals that a rule can ask for: 65 bytes each make 520.
pub const APPROVAL_SIGNATURES_MAX: usize = 8;

/// Bytes of the statement that approvers sign: an origin of 255, a name and a version of 64, two digests of 71, two times of 24, a
/// nonce of 32 and 110 of labels make 715.
pub const APPROVAL_STATEMENT_BYTES_MAX: usize = 736;

/// Bytes of a roster as the log has it: 16 keys of 36, five rules of 20, 26 of the rest make 702.
pub const ROSTER_BYTES_MAX: usize = 704;

/// Bytes of a file of approvers: 16 lines of a name and a key of 400, and comments.
pub const APPROVERS_BYTES_MAX: usize = 32 * 1024;

/// How long a statement may be used, in milliseconds: 31 days.
pub const APPROVAL_LIFETIME_MS_MAX: u64 = 31 * 86_400_000;

/// Used statements, and subjects of changes, that a reader of a log remembers: about 100 bytes each make 7 MiB.
pub const APPROVALS_WALK_MAX: usize = 64 * 1024;

/// Files that are looked at in the folder of approvals at a start.
pub const APPROVAL_FILES_MAX: usize = 256;

/// Bytes of one text of a SIEM event. An erasure's longest word has 45, an origin 255.
pub const SIEM_TEXT_BYTES_MAX: usize = 256;

/// Free details of an entry that a SIEM event shows; the others are counted. A roster and an approval are three.
pub const SIEM_DETAILS_MAX: usize = 16;

/// Bytes of one SIEM event in the longest of its formats. Sixteen details of 256 bytes, 32 links of 20 and 24 other values of at most
/// 256 make 11 kB; a byte is escaped to at most two, and OCSF says a dozen of them twice.
pub const SIEM_EVENT_BYTES_MAX: usize = 32 * 1024;

/// Bytes of one line of what a SIEM holds: an OTLP request with 1,024 events of 8 KiB each.
pub const SIEM_LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Fields of one event that are named as altered; whoever changes more of them has made another event.
pub const SIEM_DIFFERENCES_MAX: usize = 16;

const _: () = assert!(ENTRY_BYTES_MAX <= u16::MAX as usize, "an entry must fit its bundle prefix");
const _: () = assert!(SEALED_BYTES_MAX + ENTRY_BYTES_MAX <= BATCH_BYTES_MAX, "one append must fit a batch");
const _: () = assert!(BATCH_BYTES_MAX <= PENDING_BYTES_MAX, "a batch must fit what may wait");
const _: () = assert!(VALUE_DEPTH_MAX + 3 <= CBOR_DEPTH_MAX, "a sealed record must be readable");
const _: () =
    assert!(ENTRY_LINKS_MAX * 9 <= ENTRY_BYTES_MAX / 4, "links must leave room for the rest of an entry");
const _: () = assert!(ERASURE_KEYS_MAX * 16 + 384 <= ENTRY_BYTES_MAX, "an erasure's keys must leave room");
const _: () = assert!(
    ROSTER_BYTES_MAX + 560 + APPROVAL_SIGNATURES_MAX * 65 + 160 <= ENTRY_BYTES_MAX,
    "a roster must fit an entry with its approval, whose statement has 560 bytes at most"
);
const _: () = assert!(
    APPROVAL_STATEMENT_BYTES_MAX + APPROVAL_SIGNATURES_MAX * 65 + 384 <= ENTRY_BYTES_MAX,
    "an approval must leave room for what it approves"
);
