//! Real rounds of drand. Rounds 5,347,804 of `default` and 42 of `quicknet` stand in drand's documentation of its HTTP API
//! (docs.drand.love/developer/http-api); round 72,785 of `default`, round 123 of `quicknet` and round 223,344 of the testnet are test
//! vectors of drand-verify 0.6.2; the testnet's information is that of drand/tlock-js.

use super::*;

const DEFAULT: &str = "8990e7a9aaed2ffed73dbd7092123d6f289930540d7651336225dc172e51b2ce";
const QUICKNET: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";

const ROUND_5347804: &str = r#"{"round":5347804,"randomness":"a87619810b1b41e70a01b8f903cf69977e026f80d9fd5e4c197c298a96c61cfe","signature":"92daf5745411a415b539caebda0b523fa20d4d12b28eb2fe427decdf5dcc976046a9c83b54f1db991fa191ffca8fcbdc07563036664f6ba47dcf00593559286f667574f6b0a2ba0be2683463b5bf3472e5696ac28b75d5b2223dbb98a56c96a3","previous_signature":"b01091c60b2b1a7c1f7a79610cd94e0c06e93bd305cf04229fe1571669257d16583a02e4038fdd755e6c39944b0116e30256874eede733a79c5e72c787db3889a1678c4ea6423b467de56208c5bd8e10cc090b6e0429f7f33653086a089cc3f8"}"#;
const ROUND_72785: &str = r#"{"round":72785,"randomness":"8b676484b5fb1f37f9ec5c413d7d29883504e5b669f604a1ce68b3388e9ae3d9","signature":"82f5d3d2de4db19d40a6980e8aa37842a0e55d1df06bd68bddc8d60002e8e959eb9cfa368b3c1b77d18f02a54fe047b80f0989315f83b12a74fd8679c4f12aae86eaf6ab5690b34f1fddd50ee3cc6f6cdf59e95526d5a5d82aaa84fa6f181e42","previous_signature":"a609e19a03c2fcc559e8dae14900aaefe517cb55c840f6e69bc8e4f66c8d18e8a609685d9917efbfb0c37f058c2de88f13d297c7e19e0ab24813079efe57a182554ff054c7638153f9b26a60e7111f71a0ff63d9571704905d3ca6df0b031747"}"#;
const ROUND_42: &str = r#"{
  "round": 42,
  "signature": "95a9f9f5b231b7714de1553105d8ffdf3dcda24cfdb1e689319bccf79a9c8ce430a91b811fbfaf763900bc998b5d686a"
}"#;
const ROUND_123: &str = r#"{"round":123,"signature":"b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482e26cd02df835d3546d23c4b13e0dfc92"}"#;
const TESTNET: &str = r#"{"public_key":"8200fc249deb0148eb918d6e213980c5d01acd7fc251900d9260136da3b54836ce125172399ddc69c4e3e11429b62c11","period":3,"genesis_time":1651677099,"hash":"7672797f548f3f4748ac4bf3352fc6c6b6468c9ad40ad456a397545c6e2df5bf","groupHash":"65083634d852ae169e21b6ce5f0410be9ed4cc679b9970236f7875cff667e13d","schemeID":"pedersen-bls-unchained","metadata":{"beaconID":"testnet-unchained-3s"}}"#;
const ROUND_223344: &str = r#"{"round":223344,"signature":"94f6b85df7cce7237e8e7df66d794ddad092de5d8bb6a791b97e905aa89852e506ac36a792eba7021e22eebf34891f8914bf9a8dd9233ea0a4c5ca00ef8404999f899073dd2eade61fe54077fee8168f83dcb61a758b6883b38904054e64a433"}"#;

fn known(hash: &str) -> DrandChain {
    DrandChain::known(&digest(hash).unwrap()).unwrap()
}

fn round(text: &str) -> DrandRound {
    DrandRound::parse(text.as_bytes()).unwrap()
}

#[test]
fn verifies_real_rounds_of_every_scheme() {
    for text in [ROUND_5347804, ROUND_72785] {
        let round = round(text);
        assert_eq!(known(DEFAULT).verify(&round).ok(), round.randomness);
    }
    let value = known(QUICKNET).verify(&round(ROUND_42)).unwrap();
    assert_eq!(value, Hash::of(&round(ROUND_42).signature));
    assert!(known(QUICKNET).verify(&round(ROUND_123)).is_ok());
    let testnet = DrandChain::parse(TESTNET.as_bytes()).unwrap();
    assert!(testnet.verify(&round(ROUND_223344)).is_ok());
    assert_eq!(testnet.id(), "testnet-unchained-3s");
}

#[test]
fn knows_the_two_mainnet_chains_by_the_hashes_that_their_information_gives() {
    assert_eq!((known(DEFAULT).id(), known(QUICKNET).id()), ("default", "quicknet"));
    assert_eq!(DrandChain::known(&Hash::of(b"another")), None);
    assert_eq!(known(QUICKNET).due(1).unwrap().to_string(), "2023-08-23T15:09:27.000Z");
    assert_eq!(known(QUICKNET).due(42).unwrap().get() - known(QUICKNET).due(1).unwrap().get(), 41 * 3000);
    assert_eq!((known(QUICKNET).due(0), known(QUICKNET).due(u64::MAX)), (None, None));
}

#[test]
fn refuses_another_round_chain_or_signature() {
    let refused = |chain: &str, round: DrandRound| known(chain).verify(&round).unwrap_err();
    let signature = |round| DrandError::Signature { round };
    assert_eq!(refused(QUICKNET, DrandRound { round: 43, ..round(ROUND_42) }), signature(43));
    assert_eq!(refused(QUICKNET, DrandRound { round: 123, ..round(ROUND_42) }), signature(123));
    assert_eq!(refused(QUICKNET, round(ROUND_5347804)), signature(5_347_804), "another chain's");
    assert_eq!(refused(DEFAULT, DrandRound { round: 72_784, ..round(ROUND_72785) }), signature(72_784));
    let other = round(ROUND_72785).previous_signature;
    assert_eq!(
        refused(DEFAULT, DrandRound { previous_signature: other, ..round(ROUND_5347804) }),
        signature(5_347_804)
    );
    assert_eq!(
        refused(DEFAULT, DrandRound { previous_signature: None, ..round(ROUND_72785) }),
        DrandError::Previous
    );
    for bit in [0, 7, 100, 383] {
        let mut changed = round(ROUND_42);
        changed.signature[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(refused(QUICKNET, changed), signature(42), "bit {bit}");
    }
    assert_eq!(refused(QUICKNET, DrandRound { signature: vec![], ..round(ROUND_42) }), signature(42));
}

#[test]
fn takes_the_randomness_from_the_signature_not_from_the_file() {
    let changed = ROUND_72785.replace("\"8b67", "\"8b68");
    assert_eq!(known(DEFAULT).verify(&round(&changed)), Err(DrandError::Randomness));
}

#[test]
fn refuses_what_is_no_round() {
    for (from, to, error) in [
        ("\"95a9", "\"95A9", DrandError::Hex),
        ("d686a\"", "d686\"", DrandError::Hex),
        ("{", "{\"randomness\":\"00\",", DrandError::Hex),
    ] {
        assert_eq!(DrandRound::parse(ROUND_42.replace(from, to).as_bytes()), Err(error), "{to}");
    }
    for text in
        ["", "[]", "{}", "{\"round\":-1,\"signature\":\"\"}", "{\"round\":1,\"round\":1,\"signature\":\"\"}"]
    {
        assert!(matches!(DrandRound::parse(text.as_bytes()), Err(DrandError::Json { .. })), "{text}");
    }
    assert_eq!(DrandRound::parse(&vec![b' '; DRAND_BYTES_MAX + 1]), Err(DrandError::TooLong));
}

#[test]
fn refuses_a_chain_s_information_that_does_not_give_its_hash() {
    for (from, to, error) in [
        ("\"period\":3", "\"period\":30", DrandError::Hash),
        ("1651677099", "1651677098", DrandError::Hash),
        ("65083634", "65083635", DrandError::Hash),
        ("testnet-unchained-3s", "default", DrandError::Hash),
        ("\"7672", "\"7673", DrandError::Hash),
        ("\"6508", "\"650", DrandError::Hash),
        ("\"8200", "\"0000", DrandError::Key),
        ("\"8200", "\"00", DrandError::Key),
        ("pedersen-bls-unchained", "bls-unchained-g1-rfc9380", DrandError::Key),
        ("pedersen-bls-unchained", "bls-bn254-unchained-on-g1", DrandError::Scheme),
    ] {
        assert_eq!(DrandChain::parse(TESTNET.replace(from, to).as_bytes()), Err(error), "{to}");
    }
    // Without the statement the hash is the one that the rest gives, which no plan then names.
    let unstated = TESTNET.replace("\"hash\":", "\"other\":").replace("1651677099", "1");
    assert_ne!(DrandChain::parse(unstated.as_bytes()).unwrap().hash().to_string(), &TESTNET[151..215]);
    assert!(matches!(DrandChain::parse(b"{}"), Err(DrandError::Json { .. })));
}

#[test]
fn an_unchained_chain_that_calls_itself_chained_verifies_nothing_new() {
    // The hash does not cover the scheme. Under the other name a round needs a signature before it, and then the message differs.
    let chained = TESTNET.replace("pedersen-bls-unchained", "pedersen-bls-chained");
    let chained = DrandChain::parse(chained.as_bytes()).unwrap();
    assert_eq!(
        chained.hash().to_string(),
        "7672797f548f3f4748ac4bf3352fc6c6b6468c9ad40ad456a397545c6e2df5bf"
    );
    assert_eq!(chained.verify(&round(ROUND_223344)), Err(DrandError::Previous));
    let with_nothing = DrandRound { previous_signature: Some(vec![]), ..round(ROUND_223344) };
    assert_eq!(chained.verify(&with_nothing), Err(DrandError::Previous));
    let with_previous =
        DrandRound { previous_signature: Some(round(ROUND_72785).signature), ..round(ROUND_223344) };
    assert_eq!(chained.verify(&with_previous), Err(DrandError::Signature { round: 223_344 }));
}
