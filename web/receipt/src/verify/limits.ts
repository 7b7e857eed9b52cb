// Every bound of the page, as docs/spec states them. Nothing from outside is read without one of these in force.

/** Bytes of a receipt file. */
export const RECEIPT_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes of a trust policy. */
export const POLICY_BYTES_MAX = 512 * 1024;
/** Logs, witnesses and groups of a policy, each. */
export const POLICY_ITEMS_MAX = 64;
/** Nesting of JSON, one less than the 128 at which readers of the format stop. */
export const JSON_DEPTH_MAX = 127;
/** Bytes of an entry. */
export const ENTRY_BYTES_MAX = 2048;
/** Earlier entries that an entry may link to. */
export const ENTRY_LINKS_MAX = 32;
/** Nesting of CBOR: an entry needs two levels. */
export const CBOR_DEPTH_MAX = 8;
/** Fields of a record. */
export const FIELDS_MAX = 4096;
/** Bytes of a field's path. */
export const PATH_BYTES_MAX = 256;
/** Bytes of a field's value as CBOR. */
export const VALUE_BYTES_MAX = 65_536;
/** Nesting of arrays in a value. */
export const VALUE_DEPTH_MAX = 4;
/** Bytes of a signed note. */
export const NOTE_BYTES_MAX = 64 * 1024;
/** Signature lines of a note. */
export const SIGNATURES_MAX = 32;
/** Bytes of a key's name, which has a one-byte length in what is signed. */
export const NAME_BYTES_MAX = 255;
/** Leaves of a tree. */
export const TREE_SIZE_MAX = (1n << 63n) - 1n;
/** Largest number that an index or a time can be. */
export const UINT64_MAX = (1n << 64n) - 1n;
/** Bytes of a COSE receipt. */
export const COSE_BYTES_MAX = 3 * 1024;
/** Hashes of an inclusion proof. */
export const PROOF_HASHES_MAX = 64;
/** Entries that were added to the decision of a receipt. */
export const LATER_MAX = 64;
/** Anchors of a receipt. */
export const ANCHORS_MAX = 16;
/** Bytes of an anchor statement. */
export const STATEMENT_BYTES_MAX = 512;
/** Number of a statement in its lane. */
export const STATEMENT_SEQ_MAX = 99_999_999n;
/** Bytes of an anchor's own proof; the receipt's limit is lower for the base64 of it. */
export const ANCHOR_PROOF_BYTES_MAX = 4 * 1024 * 1024;
