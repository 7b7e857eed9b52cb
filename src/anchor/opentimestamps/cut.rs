//! A proof cut down to one block.

use super::{Attestation, BitcoinAttestation, DetachedTimestamp, Timestamp};

impl DetachedTimestamp {
    /// The same proof with nothing but what leads to the merkle root of `block`, if anything does.
    ///
    /// Unlike [`DetachedTimestamp::only`] it leaves out what leads to another root at the same height, which a calendar that
    /// lies can add to any proof: kept, it would contradict the header.
    #[must_use]
    pub fn only_block(&self, block: &BitcoinAttestation) -> Option<Self> {
        let timestamp = cut(&self.timestamp, &self.digest, block)?;
        Some(Self { timestamp, ..self.clone() })
    }
}

/// What leads from `message` to the root of `block`.
fn cut(timestamp: &Timestamp, message: &[u8], block: &BitcoinAttestation) -> Option<Timestamp> {
    let wanted = Attestation::Bitcoin { height: block.height };
    let is_there = message == block.merkle_root.header_order()
        && timestamp.attestations().any(|attestation| *attestation == wanted);
    let attested = is_there.then(|| Timestamp::attested(wanted));
    let behind = timestamp.operations().filter_map(|(operation, result)| {
        Some(Timestamp::after(operation.clone(), cut(result, &operation.apply(message), block)?))
    });
    attested.into_iter().chain(behind).reduce(|mut whole, part| {
        whole.merge(&part);
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anchor::bitcoin::MerkleRoot;
    use crate::anchor::opentimestamps::{HashOp, Op};

    fn to(suffix: &[u8], height: u64) -> Timestamp {
        let hashed =
            Timestamp::after(Op::Hash(HashOp::Sha256), Timestamp::attested(Attestation::Bitcoin { height }));
        Timestamp::after(Op::Append(suffix.to_vec()), hashed)
    }

    #[test]
    fn leaves_out_another_root_at_the_same_height() {
        let mut timestamp = to(b"one", 7);
        timestamp.merge(&to(b"two", 7));
        timestamp.merge(&to(b"three", 8));
        let proof = DetachedTimestamp::new(HashOp::Sha256, &[1; 32], timestamp).unwrap();
        let blocks = proof.bitcoin_attestations().unwrap();
        assert_eq!(blocks.len(), 3);
        assert_eq!(proof.only(7).unwrap().bitcoin_attestations().unwrap().len(), 2);
        for block in blocks {
            let cut = proof.only_block(&block).unwrap();
            assert_eq!(cut.bitcoin_attestations().unwrap(), [block]);
            assert_eq!(DetachedTimestamp::parse(&cut.to_bytes()).unwrap(), cut);
        }
        let other = BitcoinAttestation { height: 7, merkle_root: MerkleRoot::from_header_order([9; 32]) };
        assert_eq!(proof.only_block(&other), None);
    }
}
