use super::super::WRAPPED_KEY_BYTES_MAX;
use super::*;

const KEY: [u8; KEY_BYTES] = [7; KEY_BYTES];

fn provider() -> FileKeyProvider {
    FileKeyProvider::from_key(KeyId::new("dev-1").unwrap(), &KEY)
}

fn record_key() -> RecordKey {
    RecordKey::new(Zeroizing::new([9; KEY_BYTES]))
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kek");
    let mut file = create_private(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    (dir, path)
}

#[test]
fn wraps_as_rfc_3394_section_4_6_does() {
    let kek: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let data: [u8; 32] = [
        0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00,
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
    ];
    let provider = FileKeyProvider::from_key(KeyId::new("rfc").unwrap(), &kek);
    let wrapped = provider.wrap(&RecordKey::new(Zeroizing::new(data))).unwrap();
    assert_eq!(
        ledgerstone::encoding::hex_encode(wrapped.as_bytes()),
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"
    );
}

#[test]
fn unwraps_what_it_wrapped() {
    let provider = provider();
    let wrapped = provider.wrap(&record_key()).unwrap();
    let back = provider.unwrap(provider.key_id(), &wrapped).unwrap();
    assert_eq!(back.expose(), record_key().expose());
}

#[test]
fn refuses_a_wrapped_key_with_any_byte_changed() {
    let provider = provider();
    let wrapped = provider.wrap(&record_key()).unwrap();
    for place in 0..wrapped.as_bytes().len() {
        let mut changed = wrapped.as_bytes().to_vec();
        changed[place] ^= 1;
        let changed = WrappedKey::new(changed).unwrap();
        let error = provider.unwrap(provider.key_id(), &changed).unwrap_err();
        assert_eq!(error, KeyringError::BadWrappedKey, "byte {place}");
    }
}

#[test]
fn refuses_a_wrapped_key_of_another_length() {
    let provider = provider();
    for length in [1, 39, 41, 48, WRAPPED_KEY_BYTES_MAX] {
        let wrapped = WrappedKey::new(vec![0; length]).unwrap();
        let error = provider.unwrap(provider.key_id(), &wrapped).unwrap_err();
        assert_eq!(error, KeyringError::BadWrappedKey, "{length} bytes");
    }
    assert!(WrappedKey::new(vec![]).is_err());
    assert!(WrappedKey::new(vec![0; WRAPPED_KEY_BYTES_MAX + 1]).is_err());
}

#[test]
fn names_the_key_that_is_missing() {
    let provider = provider();
    let wrapped = provider.wrap(&record_key()).unwrap();
    let error = provider.unwrap(&KeyId::new("prod-7").unwrap(), &wrapped).unwrap_err();
    assert!(error.to_string().contains("prod-7"), "{error}");
    assert!(error.to_string().contains("dev-1"), "{error}");
}

#[test]
fn refuses_key_ids_outside_the_rule() {
    for name in ["", "A", "a b", "ü", &"a".repeat(65)] {
        assert_eq!(KeyId::new(name).unwrap_err(), KeyringError::BadKeyId);
    }
    assert!(KeyId::new(&"a".repeat(64)).is_ok());
}

#[test]
fn reads_the_file_it_created() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kek");
    let created = FileKeyProvider::create(&path, KeyId::new("dev-1").unwrap(), &KEY).unwrap();
    let loaded = FileKeyProvider::load(&path).unwrap();
    let wrapped = created.wrap(&record_key()).unwrap();
    let back = loaded.unwrap(created.key_id(), &wrapped).unwrap();
    assert_eq!(back.expose(), record_key().expose());
}

#[test]
fn never_overwrites_a_key_file() {
    let (_dir, path) = written("precious");
    let error = FileKeyProvider::create(&path, KeyId::new("a").unwrap(), &KEY).unwrap_err();
    assert!(matches!(error, KeyFileError::Unwritable { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn refuses_files_that_are_not_key_files_and_says_why() {
    let short = base64_encode(&[7; 31]);
    let long = base64_encode(&[7; 33]);
    let good = base64_encode(&KEY);
    for (text, why) in [
        (String::new(), "does not start"),
        (format!("ledgerstone-key-v2 a {good}\n"), "does not start"),
        ("ledgerstone-key-v1 a\n".to_owned(), "three words"),
        (format!("ledgerstone-key-v1 a {good} b\n"), "three words"),
        (format!("ledgerstone-key-v1 a {good}\n\n"), "base64"),
        (format!("ledgerstone-key-v1 A {good}\n"), "key id"),
        ("ledgerstone-key-v1 a !!!!\n".to_owned(), "base64"),
        (format!("ledgerstone-key-v1 a {short}\n"), "32 bytes"),
        (format!("ledgerstone-key-v1 a {long}\n"), "32 bytes"),
        ("x".repeat(5000), "4096"),
    ] {
        let (_dir, path) = written(&text);
        let error = FileKeyProvider::load(&path).unwrap_err();
        assert!(error.to_string().contains(why), "{text:?}: {error}");
        assert!(!error.to_string().contains(&good), "the key is printed");
    }
}

#[test]
fn says_that_a_key_file_is_not_there() {
    let error = FileKeyProvider::load(Path::new("/nonexistent/kek")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/kek"), "{error}");
    assert_eq!(error.code(), Code::Unavailable);
}

#[cfg(unix)]
#[test]
fn refuses_a_key_file_that_others_can_read_or_the_group_can_write() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_dir, path) = written(&format!("ledgerstone-key-v1 a {}\n", base64_encode(&KEY)));
    for (mode, accepted) in [
        (0o600, true),
        (0o400, true),
        (0o440, true),
        (0o640, true),
        (0o644, false),
        (0o660, false),
        (0o604, false),
        (0o602, false),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = FileKeyProvider::load(&path);
        assert_eq!(loaded.is_ok(), accepted, "mode {mode:o}");
        if let Err(error) = loaded {
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }
}

#[test]
fn prints_no_key() {
    let printed = format!("{:?} {:?}", provider(), record_key());
    assert_eq!(printed, "FileKeyProvider(dev-1) RecordKey(..)");
}
