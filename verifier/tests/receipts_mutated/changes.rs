//! The changes: of bytes, of facts, of key files.

use ledgerstone::checkpoint::SignedCheckpoint;
use ledgerstone::cose::{CoseReceipt, ReceiptSigningKey};
use ledgerstone::encoding::{base64_decode, base64_encode};
use ledgerstone::hash::leaf_hash;
use ledgerstone::note::{SignatureType, Signer as _, SigningKey};
use ledgerstone::receipt::TlogProof;
use serde_json::{Value, json};

use super::file::File;
use super::{Rng, Subject, made};

/// Changes bytes of a file, whatever they stand for.
pub fn bytes_changed(bytes: &mut Vec<u8>, rng: &mut Rng) -> &'static str {
    let at = rng.below(bytes.len());
    match rng.below(13) {
        0..=3 => {
            bytes[at] ^= 1 << rng.below(8);
            "one bit flipped"
        }
        4 => {
            bytes.truncate(at);
            "cut off"
        }
        5 => {
            bytes.remove(at);
            "one byte removed"
        }
        6 => {
            bytes.insert(at, rng.one_of(b" \n0a\"\\{}\x00\xff"));
            "one byte inserted"
        }
        7 => {
            bytes.extend_from_slice(rng.one_of(&[&b"\n"[..], b" ", b"{}", b"\0"]));
            "bytes appended"
        }
        8 => {
            *bytes = lines_changed(bytes, rng);
            "a line moved, doubled or dropped"
        }
        9 => {
            let value: Value = serde_json::from_slice(bytes).unwrap();
            *bytes = value.to_string().into_bytes();
            "written in one line"
        }
        10 => {
            *bytes = String::from_utf8(bytes.clone())
                .unwrap()
                .replace("  ", rng.one_of(&[" ", "\t", "    "]))
                .into_bytes();
            "indented otherwise"
        }
        11 => {
            *bytes = String::from_utf8(bytes.clone()).unwrap().replace('\n', "\r\n").into_bytes();
            "lines ended otherwise"
        }
        _ => {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let (from, to) = rng.one_of(&[
                ("\"format\"", "\"f\\u006frmat\""),
                ("{\n", "\u{feff}{\n"),
                ("\"deny\"", "\"den\\u0079\""),
                (": ", ":  "),
                ("\"index\": ", "\"index\": 0"),
                ("\"index\": ", "\"index\": -"),
                ("\"tlog_proof\"", "\"extra\": null,\n  \"tlog_proof\""),
                ("\"tlog_proof\"", "\"origin\": \"a\",\n  \"tlog_proof\""),
                ("]", "],"),
                ("\"float\": ", "\"float\": 0"),
                ("\"text\"", "\"Text\""),
            ]);
            *bytes = text.replacen(from, to, 1).into_bytes();
            "another spelling"
        }
    }
}

fn lines_changed(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let (one, other) = (rng.below(lines.len()), rng.below(lines.len()));
    match rng.below(3) {
        0 => lines.swap(one, other),
        1 => lines.insert(one, lines[one]),
        _ => _ = lines.remove(one),
    }
    lines.join(&b'\n')
}

/// Changes what a receipt states.
pub fn facts_changed(file: &mut File, rng: &mut Rng) -> &'static str {
    if file.anchors.is_some() && rng.percent(60) {
        return anchors_changed(file, rng);
    }
    if file.later.is_some() && rng.percent(60) {
        return later_changed(file, rng);
    }
    if file.cose_receipt.is_some() && rng.percent(60) {
        return cose_changed(file, rng);
    }
    match rng.below(14) {
        0 => base64_changed(&mut file.entry, rng),
        1 => entry_changed(&mut file.entry, rng),
        2..=5 => fields_changed(file, rng),
        6..=7 => list_changed(&mut file.field_proof, rng),
        8..=11 => proof_changed(&mut file.tlog_proof, rng),
        12 => head_changed(file, rng),
        _ => anchors_changed(file, rng),
    }
}

/// Bytes of the COSE receipt, or another one in its place: for the same entry by another key or log, or with numbers changed.
fn cose_changed(file: &mut File, rng: &mut Rng) -> &'static str {
    let Some(text) = file.cose_receipt.as_mut() else { return "nothing" };
    match rng.below(6) {
        0..=2 => return base64_changed(text, rng),
        3 => {
            let Ok(mut bytes) = base64_decode(text) else { return "nothing" };
            let at = rng.below(bytes.len().max(1));
            // Heads in more bytes than they need, lengths that lie, other labels.
            let put = rng.one_of(&[&[0x18_u8][..], &[0x58, 0x20], &[0xff], &[0x00], &[0xf6], &[0x40], &[]]);
            let end = (at + rng.below(3)).min(bytes.len());
            bytes.splice(at.min(end)..end, put.iter().copied());
            *text = base64_encode(&bytes);
        }
        4 => *text = rng.one_of(&["", "AA==", "0oQ=", "x"]).to_owned(),
        _ => {
            let Some(other) = otherwise_signed(&file.tlog_proof, &file.entry, rng) else { return "nothing" };
            file.cose_receipt = Some(base64_encode(&other));
        }
    }
    "the COSE receipt"
}

/// A COSE receipt for the same place, by a key of another seed or log.
fn otherwise_signed(proof: &str, entry: &str, rng: &mut Rng) -> Option<Vec<u8>> {
    let proof: TlogProof = proof.parse().ok()?;
    let size = SignedCheckpoint::parse(proof.checkpoint.as_bytes()).ok()?.checkpoint().size;
    let origin = rng.one_of(&["log.bank.example/lending", "log.bank.example/other"]).parse().ok()?;
    let key = ReceiptSigningKey::from_seed(origin, &[rng.one_of(&[10, 11]); 32]).ok()?;
    let leaf = leaf_hash(&base64_decode(entry).ok()?);
    Some(CoseReceipt::sign(&key, &leaf, proof.index, size, proof.hashes).ok()?.encode())
}

/// One bit, another length, or another spelling of bytes in base64.
fn later_changed(file: &mut File, rng: &mut Rng) -> &'static str {
    let own = file.entry.clone();
    let Some(all) = file.later.as_mut().filter(|all| !all.is_empty()) else { return "nothing" };
    let (one, other) = (rng.below(all.len()), rng.below(all.len()));
    match rng.below(10) {
        0 => all.swap(one, other),
        1 => all.push(all[one].clone()),
        2 => _ = all.remove(one),
        3 => {
            all[one].index =
                rng.one_of(&["0", "6", "7", "11", "12", "13", "011", "+11", "-1", "x"]).to_string()
        }
        4 => all[one].entry = own,
        5 => return base64_changed(&mut all[one].entry, rng),
        6 => return entry_changed(&mut all[one].entry, rng),
        7 => return list_changed(&mut all[one].inclusion_proof, rng),
        8 => return list_changed(&mut all[one].field_proof, rng),
        _ => {
            let fields = all[other].fields.clone();
            all[one].fields = fields;
        }
    }
    "what was added later"
}

fn base64_changed(text: &mut String, rng: &mut Rng) -> &'static str {
    let Ok(mut bytes) = base64_decode(text) else { return "nothing" };
    if bytes.is_empty() {
        return "nothing";
    }
    let at = rng.below(bytes.len());
    match rng.below(9) {
        0..=4 => bytes[at] ^= 1 << rng.below(8),
        5 => _ = bytes.pop(),
        6 => bytes.push(rng.below(256) as u8),
        7 => {
            *text = text.trim_end_matches('=').to_owned();
            return "base64 without padding";
        }
        _ => {
            let last = text.trim_end_matches('=').len() - 1;
            let (letter, alphabet) =
                (text.as_bytes()[last], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
            let next = (alphabet.find(char::from(letter)).unwrap() + 1) % 64;
            text.replace_range(last..=last, &alphabet[next..=next]);
            return "base64 with other last bits";
        }
    }
    *text = base64_encode(&bytes);
    "bytes in base64 changed"
}

/// Changes a CBOR head of an entry or a statement, where a decoder that is not strict would not notice.
fn entry_changed(text: &mut String, rng: &mut Rng) -> &'static str {
    let Ok(bytes) = base64_decode(text) else { return "nothing" };
    let at = rng.below(bytes.len());
    let (head, tail) = bytes.split_at(at);
    let inserted: &[u8] =
        rng.one_of(&[&[0x18][..], &[0xc0], &[0xf6], &[0xff], &[0x00, 0x00], &[0xbf], &[0xe0]]);
    *text = base64_encode(&[head, inserted, tail].concat());
    "bytes put into CBOR"
}

fn fields_changed(file: &mut File, rng: &mut Rng) -> &'static str {
    if file.fields.is_empty() {
        return "nothing";
    }
    let (one, other) = (rng.below(file.fields.len()), rng.below(file.fields.len()));
    match rng.below(12) {
        0 => {
            file.fields.swap(one, other);
            "fields swapped"
        }
        1 => {
            let value = file.fields[other].value.clone();
            file.fields[one].value = value;
            "a value of another field"
        }
        2 => {
            file.fields[one].index =
                rng.one_of(&[0, 1, 11, 12, 4095, 4096, u64::from(u32::MAX), 1 << 32, u64::MAX]);
            "another index"
        }
        3 => {
            file.fields[one].index = file.fields[one].index.wrapping_add(rng.one_of(&[1, u64::MAX]));
            "the neighbour's index"
        }
        4 => {
            let path = file.fields[other].path.clone();
            file.fields[one].path = path;
            "a path twice"
        }
        5 => {
            file.fields[one].path = rng.one_of(&PATHS).to_owned();
            "another path"
        }
        6 => {
            file.fields.insert(one, file.fields[other].clone());
            "a field twice"
        }
        7 => {
            file.fields.remove(one);
            "a field left out"
        }
        8 => base64_changed(&mut file.fields[one].salt, rng),
        9 => {
            file.fields.clear();
            if rng.percent(50) {
                file.field_proof.clear();
            }
            "no field"
        }
        _ => {
            file.fields[one].value = value(rng);
            "another value"
        }
    }
}

const PATHS: [&str; 14] = [
    "",
    "a",
    "a/",
    "/a",
    "a//b",
    "a/[0]",
    "a/[00]",
    "a/[4294967295]",
    "a/[4294967296]",
    "a/%41",
    "a/%c3",
    "a/%C3",
    "a/%C3%B6",
    "a b",
];

/// A value: one that a record can hold, or one at its limits.
fn value(rng: &mut Rng) -> Value {
    match rng.below(8) {
        0 => {
            json!({ "int": rng.one_of(&["18446744073709551615", "18446744073709551616", "-18446744073709551616", "-18446744073709551617",
            "170141183460469231731687303715884105727", "170141183460469231731687303715884105728", "-0", "+1", "01", "1.0", "", "9"]) })
        }
        1 => {
            let float = made::float(rng);
            if float.is_finite() { json!({ "float": float }) } else { json!({ "float": "NaN" }) }
        }
        2 => (0..rng.one_of(&[3, 4, 5, 20, 59, 60, 61, 62, 63, 64]))
            .fold(json!({ "null": true }), |inner, _| json!({ "array": [inner] })),
        3 => rng
            .one_of(&[
                r#"{"null":false}"#,
                r#"{"float":1}"#,
                r#"{"float":"inf"}"#,
                r#"{"bool":1}"#,
                r#"{}"#,
                r#"{"text":"a","int":"1"}"#,
                "null",
                r#"{"map":{}}"#,
            ])
            .parse()
            .unwrap(),
        4 => {
            json!({ "bytes": rng.one_of(&["", "AA==", "AB==", "AA", "A", "AAA=", "AAE=", "====", "A A=", "_w=="]) })
        }
        5 => json!({ "text": "x".repeat(rng.one_of(&[65_530, 65_531, 65_532, 65_533, 65_534])) }),
        6 => json!({ "bool": rng.percent(50) }),
        _ => json!({ "text": rng.one_of(&["approve", "", "\u{feff}", "\u{2028}", "\u{10ffff}"]) }),
    }
}

fn list_changed(list: &mut Vec<String>, rng: &mut Rng) -> &'static str {
    let hash = base64_encode(&[7; 32]);
    if list.is_empty() {
        list.push(hash);
        return "a hash left over";
    }
    let (one, other) = (rng.below(list.len()), rng.below(list.len()));
    match rng.below(7) {
        0 => list.push(hash),
        1 => list.insert(one, list[other].clone()),
        2 => _ = list.remove(one),
        3 => list.swap(one, other),
        4 => list.extend(vec![hash; rng.one_of(&[63, 64, 65, 5000])]),
        _ => return base64_changed(&mut list[one], rng),
    }
    "hashes of the field proof changed"
}

/// Changes a line of a tlog-proof: its place, its hashes, its checkpoint, its signatures.
fn proof_changed(proof: &mut String, rng: &mut Rng) -> &'static str {
    let mut lines: Vec<String> = proof.split('\n').map(ToOwned::to_owned).collect();
    let blank = lines.iter().position(String::is_empty).unwrap_or(0);
    let (one, other) = (rng.below(lines.len()), rng.below(lines.len()));
    let how = match rng.below(14) {
        0 => {
            lines[1] = format!(
                "index {}",
                rng.one_of(&[
                    "0",
                    "5",
                    "7",
                    "06",
                    "11",
                    "18446744073709551615",
                    "18446744073709551616",
                    "-1",
                    ""
                ])
            );
            "another place"
        }
        1 if blank > 2 => {
            lines.remove(2 + rng.below(blank - 2));
            "a hash too few"
        }
        2 => {
            lines.insert(blank, base64_encode(&[9; 32]));
            "a hash too many"
        }
        3 => {
            lines.splice(blank..blank, vec![base64_encode(&[9; 32]); rng.one_of(&[59, 60, 61, 70])]);
            "a proof over-long"
        }
        4 if blank > 2 => base64_changed(&mut lines[2 + rng.below(blank - 2)], rng),
        5 => {
            let size =
                rng.one_of(&["0", "1", "10", "12", "011", "9223372036854775807", "9223372036854775808", "x"]);
            if let Some(line) = lines.get_mut(blank + 2) {
                *line = size.to_owned();
            }
            "another size"
        }
        6 => match lines.get_mut(blank + 3) {
            Some(line) => base64_changed(line, rng),
            None => "nothing",
        },
        7 => {
            let name = rng.one_of(&["log.bank.example/other", "a b", "a+b", "", "a\u{a0}b", "a\u{85}b", "é"]);
            if let Some(line) = lines.get_mut(blank + 1) {
                *line = name.to_owned();
            }
            "another origin"
        }
        8 => {
            lines.insert(1, "extra YQ==".to_owned());
            "an extra line"
        }
        9 => {
            let at = lines.len().min(blank + 4);
            lines.insert(at, "extension".to_owned());
            "an extension line"
        }
        10 => signature_changed(&mut lines, rng),
        11 => {
            lines.swap(one, other);
            "lines swapped"
        }
        12 => {
            lines.insert(one, lines[other].clone());
            "a line twice"
        }
        _ => {
            lines.remove(one);
            "a line left out"
        }
    };
    *proof = lines.join("\n");
    how
}

fn signature_changed(lines: &mut Vec<String>, rng: &mut Rng) -> &'static str {
    let places: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with('\u{2014}')).collect();
    if places.is_empty() {
        return "nothing";
    }
    let at = rng.one_of(&places);
    let (start, encoded) =
        lines[at].rsplit_once(' ').map(|(start, encoded)| (start.to_owned(), encoded.to_owned())).unwrap();
    match rng.below(6) {
        0 => {
            let mut encoded = encoded;
            base64_changed(&mut encoded, rng);
            lines[at] = format!("{start} {encoded}");
        }
        1 => {
            // The key id stays, the signature is another.
            let mut bytes = base64_decode(&encoded).unwrap_or_default();
            let place = 4 + rng.below(bytes.len().saturating_sub(4));
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << rng.below(8);
            }
            lines[at] = format!("{start} {}", base64_encode(&bytes));
        }
        2 => _ = lines.remove(at),
        3 => lines.insert(at, lines[at].clone()),
        4 => lines[at] = format!("\u{2014} stranger.example {}", base64_encode(&[1; 9])),
        _ => lines
            .splice(
                at..at,
                vec![format!("\u{2014} s {}", base64_encode(&[1; 9])); rng.one_of(&[1, 29, 30, 31, 40])],
            )
            .for_each(drop),
    }
    "signatures changed"
}

fn head_changed(file: &mut File, rng: &mut Rng) -> &'static str {
    match rng.below(5) {
        0 => file.origin = rng.one_of(&["log.bank.example/other", "", "LOG.bank.example/lending"]).to_owned(),
        1 => file.decision_id = rng.one_of(&["01a1ee56-5e1c-7c41-9c55-0f1e2d3c4b5b", "", "x"]).to_owned(),
        2 => file.decision_id = file.decision_id.to_uppercase(),
        3 => file.format = rng.one_of(&["ledgerstone-receipt/v2", ""]).to_owned(),
        _ => file.decision_id = file.decision_id.replace('-', ""),
    }
    "what is repeated for readers changed"
}

fn anchors_changed(file: &mut File, rng: &mut Rng) -> &'static str {
    let Some(anchors) = file.anchors.as_mut().filter(|anchors| !anchors.is_empty()) else {
        file.anchors = Some(Vec::new());
        return "an empty list of anchors";
    };
    let last = anchors.len() - 1;
    let anchor = &mut anchors[last];
    match rng.below(9) {
        0 => {
            anchor.kind =
                rng.one_of(&["bitcoin", "ethereum", "witnesses", "later", "", "-a", "RFC3161"]).to_owned();
            "another kind of anchor"
        }
        1 => base64_changed(&mut anchor.statement, rng),
        2 => entry_changed(&mut anchor.statement, rng),
        3..=5 => proof_changed(&mut anchor.tlog_proof, rng),
        6 => base64_changed(&mut anchor.proof, rng),
        7 => {
            anchor.headers = Some(rng.one_of(&["", "AA==", "AA"]).to_owned());
            "headers"
        }
        _ => {
            let anchor = anchor.clone();
            anchors.push(anchor);
            "a lane twice"
        }
    }
}

/// Other keys, changed keys, or none.
pub fn policy_changed(subject: &mut Subject, rng: &mut Rng) {
    let Some(policy) = subject.policy.clone() else { return };
    let text = String::from_utf8(policy.clone()).unwrap();
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    let (one, other) = (rng.below(lines.len()), rng.below(lines.len()));
    let (changed, how) = match rng.below(9) {
        0 | 1 => (None, "without keys"),
        2 => (Some(other_keys(rng)), "keys of others"),
        3 => {
            lines.remove(one);
            (Some(lines.join("\n") + "\n"), "a line of the key file left out")
        }
        4 => {
            lines.swap(one, other);
            (Some(lines.join("\n") + "\n"), "lines of the key file swapped")
        }
        5 => {
            lines.insert(one, lines[other].clone());
            (Some(lines.join("\n") + "\n"), "a line of the key file twice")
        }
        6 => {
            let line = rng.one_of(&[
                "",
                "# a comment",
                "log",
                "quorum none extra",
                "group g 1 w0",
                "witness",
                "group none any w0",
                "  \t ",
                "log\tx",
                "gröup",
                "#receipt-key",
                "#receipt-key log.bank.example/lending",
                "#receipt-key log.bank.example/lending pAEBAzIgBiFYIAAA",
                "#receipt-keys",
            ]);
            lines.insert(one, line.to_owned());
            (Some(lines.join("\n") + "\n"), "a line put into the key file")
        }
        7 => (
            Some(text.replace(' ', "\t ").replace("\nquorum", "\n\n#\u{e9}\n quorum")),
            "the key file written otherwise",
        ),
        _ => {
            let mut bytes = policy;
            bytes_changed_in_policy(&mut bytes, rng);
            subject.policy = Some(bytes);
            subject.how.push("bytes of the key file changed");
            return;
        }
    };
    subject.policy = changed.map(String::into_bytes);
    subject.how.push(how);
}

fn bytes_changed_in_policy(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(bytes.len());
    match rng.below(3) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes.truncate(at),
        _ => bytes.insert(at, rng.one_of(b" \t\r\x7f\xff+=a")),
    }
}

/// The right name with other keys, or one right key and one wrong.
fn other_keys(rng: &mut Rng) -> String {
    let name = rng.one_of(&["log.bank.example/lending", "log.bank.example/other"]);
    let key = |signature_type, seed| {
        let key = SigningKey::from_seed(name.parse().unwrap(), signature_type, &[seed; 32]).unwrap();
        format!("log {}\n", key.verifier_key())
    };
    let (first, second) = rng.one_of(&[(1, 3), (3, 2), (3, 4), (1, 2)]);
    let mut text = key(SignatureType::Ed25519, first);
    if rng.percent(70) {
        text.push_str(&key(SignatureType::MlDsa44Cosignature, second));
    }
    text + "quorum none\n"
}
