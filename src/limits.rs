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

const _: () = assert!(ENTRY_BYTES_MAX <= u16::MAX as usize, "an entry must fit its bundle prefix");
const _: () = assert!(SEALED_BYTES_MAX + ENTRY_BYTES_MAX <= BATCH_BYTES_MAX, "one append must fit a batch");
const _: () = assert!(BATCH_BYTES_MAX <= PENDING_BYTES_MAX, "a batch must fit what may wait");
const _: () = assert!(VALUE_DEPTH_MAX + 3 <= CBOR_DEPTH_MAX, "a sealed record must be readable");
const _: () =
    assert!(ENTRY_LINKS_MAX * 9 <= ENTRY_BYTES_MAX / 4, "links must leave room for the rest of an entry");
