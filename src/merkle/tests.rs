//! Tests of the tree and its proofs.
