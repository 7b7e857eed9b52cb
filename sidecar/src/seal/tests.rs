use super::*;
use crate::keyring::{About, FileKeyProvider};
use ledgerstone::record::{FieldPath, RecordBuilder, Value};

/// Made by `sidecar/tests/oracle/sealed.py`, a second implementation.
const ORACLE: &str = "\
    d08343a10103a304466f7261636c65054c404142434445464748494a4b3a00011170582804f8a3c3c302d3b0b7e94b14dcf8\
    5ad1da69cd74056ed7907d3cb49fb27799a4104db058f2901adb58716655e5a13413a36c3a5b3a43e9273f1d63ffeff08135\
    d1a91687ee7b1c97b17d4a929d9d345e234d29f25eedeeb9dc81f1f18d51dc68a4941094bc1409c331704195daed3a4a5261\
    8571343d343265207a21529bd0c08c97094343e350370a04b536f40e0fb5284d266a1881d37b8985e0";

/// The same under two subject keys.
const SUBJECTS_ORACLE: &str = "\
    d08343a10103a3054c404142434445464748494a4b3a0001117058285123ccf6e9fe9293617e7e1e0ecf0e779383508d75\
    ffdd6ee142b314dffcf139a2b52908d788bb173a0001117158200101010101010101010101010101010102020202020202\
    02020202020202020258716655e5a13413a36c3a5b3a43e9273f1d63ffeff08135d1a91687ee7b1c97b17d4a929d9d345e\
    234d29f25eedeeb9dc81f1f18d51dc68a4941094bc1409c331704195daed3a4a52618571343d343265207a21529bd0c08c\
    97094343e350370a04b536f40e0fb5284d266a1881d37b8985e0";

fn keys() -> FileKeyProvider {
    FileKeyProvider::from_key(KeyId::new("test").unwrap(), &[7; KEY_BYTES])
}

fn decision(byte: u8) -> DecisionId {
    DecisionId::from_bytes([byte; 16])
}

fn content() -> SealedContent {
    let field = |builder: RecordBuilder, path: &str, value: Value| {
        builder.field(FieldPath::parse(path).unwrap(), value).unwrap()
    };
    let builder = field(RecordBuilder::new(), "decision/id", Value::from("a"));
    let builder = field(builder, "input/feature/income", Value::Float(0.1));
    let builder = field(builder, "output/score/y", Value::Float(f64::NAN));
    SealedContent {
        secret: RecordSecret::from_bytes([3; RecordSecret::LEN]),
        record: builder.build().unwrap(),
        request: Some(Bytes::from_static(b"request")),
        response: None,
    }
}

fn sealed() -> Vec<u8> {
    seal(&keys(), &decision(1), Kind::Decision, &content()).unwrap()
}

#[test]
fn opens_what_it_sealed() {
    let opened = open(&keys(), &decision(1), Kind::Decision, &sealed()).unwrap();
    let wanted = content();
    assert_eq!(opened.record, wanted.record);
    assert_eq!(opened.secret.as_bytes(), wanted.secret.as_bytes());
    assert_eq!(opened.request, wanted.request);
    assert_eq!(opened.response, None);
}

#[test]
fn opens_the_vector_of_the_second_implementation() {
    let kek: [u8; KEY_BYTES] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let keys = FileKeyProvider::from_key(KeyId::new("oracle").unwrap(), &kek);
    let id: [u8; 16] = std::array::from_fn(|i| u8::try_from(80 + i).unwrap());
    let secret: [u8; 32] = std::array::from_fn(|i| u8::try_from(100 + i).unwrap());
    let sealed = ledgerstone::encoding::hex_decode(ORACLE).unwrap();
    let opened = open(&keys, &DecisionId::from_bytes(id), Kind::Decision, &sealed).unwrap();
    assert_eq!(opened.secret.as_bytes(), &secret);
    assert_eq!(opened.request.unwrap(), "request");
    assert_eq!(opened.response.unwrap(), "response");
    let fields = opened.record.fields();
    assert_eq!(fields.len(), 2);
    assert_eq!(fields[1].path.as_str(), "input/feature/income");
    assert_eq!(fields[1].value, Value::Int(1200));
}

/// Holds the two subject keys of the second implementation.
struct Two;

impl RecordKeys for Two {
    fn key_name(&self) -> &KeyId {
        unreachable!("nothing is sealed with it")
    }

    fn take(&self, _: &About) -> Result<Taken, KeyringError> {
        Err(KeyringError::PoolEmpty)
    }

    fn take_again(&self, _: &KeptKey) -> Result<Taken, KeyringError> {
        Err(KeyringError::PoolEmpty)
    }

    fn keep(&self, _: &Taken, _: &RecordKey) -> Result<KeptKey, KeyringError> {
        Err(KeyringError::PoolEmpty)
    }

    fn record_key(&self, kept: &KeptKey) -> Result<RecordKey, KeyringError> {
        let names = [1, 2].map(|n| SubjectKeyId::from_bytes([n; 16]));
        assert_eq!(kept.under, Under::Subjects(names.to_vec()));
        crate::keyring::unwrap_under([1, 2].map(|n| (names[usize::from(n) - 1], [n; 32])), &kept.wrapped)
    }
}

#[test]
fn opens_the_vector_under_subject_keys_and_none_with_a_bit_changed() {
    let id: [u8; 16] = std::array::from_fn(|i| u8::try_from(80 + i).unwrap());
    let id = DecisionId::from_bytes(id);
    let sealed = ledgerstone::encoding::hex_decode(SUBJECTS_ORACLE).unwrap();
    let opened = open(&Two, &id, Kind::Decision, &sealed).unwrap();
    assert_eq!(opened.request.unwrap(), "request");
    // The names of the keys are looked at by the test's keyring itself, and stand before the ciphertext.
    let wrapped_at = sealed.windows(5).position(|bytes| bytes == [0x3a, 0, 1, 0x11, 0x71]).unwrap();
    for bit in (0..wrapped_at * 8).chain((wrapped_at + 39) * 8..sealed.len() * 8) {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&Two, &id, Kind::Decision, &changed).is_err(), "bit {bit}");
    }
    for length in 0..sealed.len() {
        assert!(open(&Two, &id, Kind::Decision, &sealed[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn refuses_every_changed_bit() {
    let sealed = sealed();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&keys(), &decision(1), Kind::Decision, &changed).is_err(), "bit {bit}");
    }
}

#[test]
fn refuses_every_truncation_and_every_surplus() {
    let sealed = sealed();
    for length in 0..sealed.len() {
        assert!(open(&keys(), &decision(1), Kind::Decision, &sealed[..length]).is_err(), "{length} bytes");
    }
    let surplus = [sealed.as_slice(), &[0]].concat();
    assert_eq!(open(&keys(), &decision(1), Kind::Decision, &surplus).unwrap_err(), OpenError::Malformed);
}

#[test]
fn refuses_to_pass_for_another_decision() {
    let error = open(&keys(), &decision(2), Kind::Decision, &sealed()).unwrap_err();
    assert_eq!(error, OpenError::Changed);
    assert_eq!(error.code(), Code::Inconsistent);
}

#[test]
fn says_which_key_is_missing() {
    let others = FileKeyProvider::from_key(KeyId::new("other").unwrap(), &[7; KEY_BYTES]);
    let error = open(&others, &decision(1), Kind::Decision, &sealed()).unwrap_err();
    assert!(error.to_string().contains("under key test"), "{error}");
    let same_name = FileKeyProvider::from_key(KeyId::new("test").unwrap(), &[8; KEY_BYTES]);
    let error = open(&same_name, &decision(1), Kind::Decision, &sealed()).unwrap_err();
    assert_eq!(error, OpenError::Keys(KeyringError::BadWrappedKey));
}

#[test]
fn takes_a_fresh_key_and_nonce_each_time() {
    let [one, other] = [sealed(), sealed()].map(|sealed| CoseEncrypt0::from_tagged_slice(&sealed).unwrap());
    assert_ne!(one.unprotected.iv, other.unprotected.iv);
    assert_ne!(one.unprotected.rest, other.unprotected.rest);
    assert_ne!(one.ciphertext, other.ciphertext);
}

#[test]
fn refuses_an_unprotected_header_that_nothing_protects() {
    let mut message = CoseEncrypt0::from_tagged_slice(&sealed()).unwrap();
    message.unprotected.rest.push((Label::Int(-70_002), CborValue::Bool(true)));
    let changed = message.to_tagged_vec().unwrap();
    assert_eq!(open(&keys(), &decision(1), Kind::Decision, &changed).unwrap_err(), OpenError::Malformed);
}

#[test]
fn refuses_what_no_sealed_record_may_be_as_large_as() {
    let half = Bytes::from(vec![0; SEALED_BYTES_MAX / 2]);
    let large = SealedContent { request: Some(half.clone()), response: Some(half), ..content() };
    assert_eq!(seal(&keys(), &decision(1), Kind::Decision, &large).unwrap_err(), SealError::TooLarge);
}
