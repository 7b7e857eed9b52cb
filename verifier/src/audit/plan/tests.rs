use ledgerstone::checkpoint::LogKeys;
use ledgerstone::note::SignatureError;

use super::*;

const CHAIN: &str = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";

fn plan() -> Plan {
    Plan {
        checkpoint: Checkpoint {
            origin: KeyName::new("log.example.com/lending").unwrap(),
            size: TreeSize::new(12),
            root: Hash::of(b"root"),
        },
        first: 0,
        last: 11,
        method: Method::Fixed,
        tolerable: "1%".parse().unwrap(),
        confidence: "95%".parse().unwrap(),
        expected: Rate::NONE,
        allowed: 0,
        profile: None,
        pass_ambiguous: false,
        beacons: vec![
            format!("drand:{CHAIN}:9000000").parse().unwrap(),
            "block:bitcoin:900000".parse().unwrap(),
            Beacon::Nonce { name: "regulator".to_owned(), commitment: Hash::of(&[7; 32]) },
        ],
    }
}

fn parse_changed(from: &str, to: &str) -> Result<Plan, PlanError> {
    let text = plan().to_json().unwrap();
    assert!(text.contains(from), "{from}");
    Plan::parse(text.replace(from, to).as_bytes())
}

#[test]
fn reads_back_what_it_writes() {
    let fixed = plan();
    let allowing = Plan { allowed: 2, first: 3, last: 3, ..plan() };
    let sequential = Plan { method: Method::Sequential, expected: "0.1%".parse().unwrap(), ..plan() };
    let tolerant = Plan { profile: Some(Hash::of(b"profile")), ..plan() };
    let lenient = Plan { pass_ambiguous: true, ..tolerant.clone() };
    let plans = [(fixed, 299), (allowing, 628), (sequential, 332), (tolerant, 299), (lenient, 299)];
    for (plan, decisions) in plans {
        assert_eq!(plan.decisions(), Ok(decisions));
        assert_eq!(Plan::parse(plan.to_json().unwrap().as_bytes()), Ok(plan));
    }
}

#[test]
fn says_which_verdicts_are_no_exceptions() {
    let tolerant = Plan { profile: Some(Hash::of(b"profile")), ..plan() };
    let lenient = Plan { pass_ambiguous: true, ..tolerant.clone() };
    assert_eq!(plan().passes(), ["EXACT"]);
    assert_eq!(tolerant.passes(), ["EXACT", "WITHIN_TOLERANCE"]);
    assert_eq!(lenient.passes(), ["EXACT", "WITHIN_TOLERANCE", "MARGIN_AMBIGUOUS"]);
    assert_eq!(Plan { pass_ambiguous: true, ..plan() }.to_json(), Err(PlanError::Passes));
    let text = tolerant.to_json().unwrap();
    let hidden = text.replace(",\n    \"WITHIN_TOLERANCE\"", "");
    assert_eq!(Plan::parse(hidden.as_bytes()), Err(PlanError::Passes));
    let null = plan().to_json().unwrap().replace("\"passes\"", "\"profile\": null,\n  \"passes\"");
    assert_eq!(Plan::parse(null.as_bytes()), Err(PlanError::NotCanonical));
}

#[test]
fn a_signed_plan_is_the_same_plan_and_counts_only_under_its_auditor_s_key() {
    let keys = |name: &str, seed| {
        LogKeys::generate_from_seeds(&KeyName::new(name).unwrap(), [seed; 32], [seed + 1; 32]).unwrap()
    };
    let auditor = keys("auditor.example.org", 1);
    let signed = PlanFile::sign(&plan(), &auditor).unwrap();
    let file = PlanFile::parse(signed.as_bytes()).unwrap();
    let unsigned = PlanFile::parse(plan().to_json().unwrap().as_bytes()).unwrap();
    assert_eq!((file.plan(), file.digest()), (unsigned.plan(), unsigned.digest()));
    assert_eq!(Ok(file.digest()), plan().digest());
    let [ed25519, ml_dsa] = auditor.vkeys();
    assert_eq!(file.verify(&ed25519), Ok(()));
    assert_eq!(file.verify(&ml_dsa), Err(PlanFileError::KeyType));
    assert_eq!(unsigned.verify(&ed25519), Err(PlanFileError::Unsigned));
    let [same_name, _] = keys("auditor.example.org", 5).vkeys();
    assert_eq!(file.verify(&same_name), Err(PlanFileError::Signature(SignatureError::Absent)));
    let changed = PlanFile::parse(signed.replace("900000\"", "900001\"").as_bytes()).unwrap();
    assert_eq!(changed.verify(&ed25519), Err(PlanFileError::Signature(SignatureError::Invalid)));
    let own = keys("log.example.com/lending", 9);
    assert_eq!(PlanFile::sign(&plan(), &own), Err(PlanFileError::OwnKey));
    assert!(matches!(PlanFile::parse(signed.trim_end().as_bytes()), Err(PlanFileError::Note(_))));
    assert!(matches!(PlanFile::parse(signed.replace("  ", " ").as_bytes()), Err(PlanFileError::Plan(_))));
}

#[test]
fn refuses_every_other_way_to_write_the_same_plan() {
    let text = plan().to_json().unwrap();
    let swapped =
        text.replacen("\"allowed\": 0,\n  \"decisions\": 299", "\"decisions\": 299,\n  \"allowed\": 0", 1);
    assert_ne!(swapped, text);
    for other in [swapped, text.replace("  ", " "), format!("{text}\n"), text.trim_end().to_owned()] {
        assert_eq!(Plan::parse(other.as_bytes()), Err(PlanError::NotCanonical), "{other}");
    }
    for (from, to) in [("\"1%\"", "\"1.0%\""), ("\"0%\"", "\"00%\""), ("bitcoin", "bitco\\u0069n")] {
        assert_eq!(parse_changed(from, to), Err(PlanError::NotCanonical), "{to}");
    }
}

#[test]
fn refuses_a_plan_that_draws_less_than_its_rates_need() {
    assert_eq!(parse_changed("\"decisions\": 299", "\"decisions\": 298"), Err(PlanError::Decisions));
    assert_eq!(parse_changed("\"tolerable\": \"1%\"", "\"tolerable\": \"0.5%\""), Err(PlanError::Decisions));
    assert_eq!(parse_changed("\"expected\": \"0%\"", "\"expected\": \"0.1%\""), Err(PlanError::Expected));
}

#[test]
fn refuses_what_it_does_not_know() {
    for (from, to, error) in [
        ("plan/v1", "plan/v2", PlanError::Format),
        ("\"drawn\": \"decision\"", "\"drawn\": \"adverse\"", PlanError::Drawn),
        ("\"last_index\": 11", "\"last_index\": 12", PlanError::Range { size: 12 }),
        ("\"first_index\": 0", "\"first_index\": 12", PlanError::Range { size: 12 }),
        ("\"tree_size\": 12", "\"tree_size\": 9007199254740993", PlanError::Log),
        ("log.example.com", "log example com", PlanError::Log),
        ("\"root\": \"", "\"root\": \"00", PlanError::Log),
        ("95%", "95", PlanError::Rate),
        ("drand:", "nist:", PlanError::Beacon),
        (":9000000\"", ":0\"", PlanError::Beacon),
        (":9000000\"", ":09000000\"", PlanError::Beacon),
        (":9000000\"", ":+9000000\"", PlanError::Beacon),
        ("52db", "52DB", PlanError::Beacon),
        ("bitcoin:900000", "bitcoin:9007199254740993", PlanError::Beacon),
        ("bitcoin:900000", "bitcoin:900000:1", PlanError::Beacon),
        ("block:bitcoin", "block:ethereum", PlanError::Beacon),
        ("nonce:regulator", "nonce:Regulator", PlanError::Name),
        ("nonce:regulator", "nonce:", PlanError::Name),
        ("nonce:regulator", "nonce:drand", PlanError::Name),
        ("nonce:regulator", "nonce:bitcoin", PlanError::Name),
        ("audit-draw/v1", "audit-draw/v2", PlanError::Draw),
        ("\"EXACT\"", "\"MISMATCH_SAME_OUTCOME\"", PlanError::Passes),
        ("\"EXACT\"", "\"EXACT\",\n    \"WITHIN_TOLERANCE\"", PlanError::Passes),
        ("\"EXACT\"", "\"EXACT\",\n    \"OUTCOME_FLIPS\"", PlanError::Passes),
        ("\"passes\"", "\"profile\": \"00\",\n  \"passes\"", PlanError::Profile),
    ] {
        assert_eq!(parse_changed(from, to), Err(error), "{to}");
    }
    for (from, to) in
        [("\"fixed\"", "\"lucky\""), ("\"allowed\": 0", "\"allowed\": -1"), ("{", "{\"extra\": 1,")]
    {
        assert!(matches!(parse_changed(from, to), Err(PlanError::Json { .. })), "{to}");
    }
    assert_eq!(Plan::parse(&vec![b' '; PLAN_BYTES_MAX + 1]), Err(PlanError::TooLong));
}

#[test]
fn refuses_randomness_that_adds_nothing() {
    let none = Plan { beacons: Vec::new(), ..plan() };
    assert_eq!(none.to_json(), Err(PlanError::Beacons));
    let nonce = |name: String, commitment| Beacon::Nonce { name, commitment };
    let copied = [nonce("a".into(), Hash::of(b"x")), nonce("b".into(), Hash::of(b"x"))];
    assert_eq!(Plan { beacons: copied.into(), ..plan() }.to_json(), Err(PlanError::Repeated));
    let own = |number: usize| nonce(format!("n{number}"), Hash::of(&number.to_be_bytes()));
    let with = |count: usize| Plan { beacons: (0..count).map(own).collect(), ..plan() };
    let full = with(BEACONS_MAX).to_json().unwrap();
    assert!(Plan::parse(full.as_bytes()).is_ok());
    assert_eq!(with(BEACONS_MAX + 1).to_json(), Err(PlanError::Beacons));
    let last = own(BEACONS_MAX - 1).to_string();
    let many = full.replace(&format!("\"{last}\""), &format!("\"{last}\",\n    \"{}\"", own(BEACONS_MAX)));
    assert_eq!(Plan::parse(many.as_bytes()), Err(PlanError::Beacons));
}
