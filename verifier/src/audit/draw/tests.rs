//! The draw against a second implementation (`tests/oracle/audit_draw.py`), against chance, and against those who would bend it.

use std::collections::BTreeMap;
use std::convert::Infallible;

use serde_json::Value;

use super::super::*;
use super::*;

const VECTORS: &str = include_str!("../../../tests/vectors/audit_draw.json");

fn vectors(part: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    vectors[part].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

fn hash(value: &Value) -> Hash {
    super::super::plan::digest(value.as_str().unwrap()).unwrap()
}

/// A plan of the vectors, and its values.
fn vector(number: usize) -> (Plan, Values, Value) {
    let vector = vectors("draws")[number].clone();
    let plan = Plan::parse(vector["plan"].as_str().unwrap().as_bytes()).unwrap();
    let names = plan.beacons.iter().map(|beacon| beacon.name().to_owned());
    let nonces = names.zip(vector["values"].as_array().unwrap().iter().map(hash)).collect();
    (plan, Values { nonces, ..Values::default() }, vector)
}

/// Draws where a decision stands at each index that `is_decision` says.
fn draw(plan: &Plan, reveals: &[Reveal], is_decision: impl Fn(u64) -> bool) -> Draw {
    let kinds = |indices: &[u64]| {
        Ok::<_, Infallible>(indices.iter().map(|index| is_decision(*index)).collect::<Vec<_>>())
    };
    redo(plan, reveals, None, kinds).unwrap()
}

fn file(draw: &Draw) -> Vec<u8> {
    let mut bytes = Vec::new();
    draw.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn draws_what_a_second_implementation_draws() {
    for vector in vectors("orders") {
        let expected = numbers(&vector["order"]);
        let order = Order::new(hash(&vector["seed"]), vector["places"].as_u64().unwrap());
        assert_eq!(order.take(expected.len()).collect::<Vec<_>>(), expected, "of {}", vector["places"]);
    }
    for number in 0..vectors("draws").len() {
        let (plan, values, vector) = vector(number);
        let every = vector["every"].as_u64().unwrap();
        let drawn = draw(&plan, &values.reveal(&plan).unwrap(), |index| index % every != 0);
        assert_eq!(drawn.seed, hash(&vector["seed"]));
        assert_eq!(drawn.drawn, numbers(&vector["drawn"]));
        assert_eq!(drawn.skipped, numbers(&vector["skipped"]));
        assert_eq!(drawn.is_exhausted(&plan), (drawn.drawn.len() as u64) < plan.decisions().unwrap());
        assert_eq!(Draw::parse(&file(&drawn)), Ok(drawn));
    }
}

#[test]
fn every_order_holds_each_place_once() {
    for places in 0..=130 {
        let mut order: Vec<_> = Order::new(Hash::of(&[1]), places).collect();
        order.sort_unstable();
        assert!(order.into_iter().eq(0..places));
    }
}

/// How far counts are from being the same, in Pearson's measure; with equal chances about the number of cells, and by chance not
/// above `cells + 4 * (2 * cells).sqrt()` or so.
fn distance(counts: &BTreeMap<Vec<u64>, u32>, cells: usize, trials: u32) -> f64 {
    let expected = f64::from(trials) / cells as f64;
    let seen: f64 = counts.values().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    seen + expected * (cells - counts.len()) as f64
}

#[test]
fn every_sample_of_the_decisions_is_drawn_as_often_as_any_other() {
    // Seven decisions among twelve entries, three are drawn: 210 sequences. Which entries are decisions must not matter.
    for decisions in [[0, 1, 2, 3, 4, 5, 6], [0, 2, 4, 5, 8, 9, 11], [5, 6, 7, 8, 9, 10, 11]] {
        let trials = 21_000;
        let (mut sequences, mut waits) = (BTreeMap::new(), 0);
        for trial in 0_u32..trials {
            let mut order = Order::new(Hash::of(&trial.to_be_bytes()), 12);
            let drawn: Vec<_> = order.by_ref().filter(|place| decisions.contains(place)).take(3).collect();
            waits += order.taken();
            *sequences.entry(drawn).or_insert(0) += 1;
        }
        assert!(distance(&sequences, 210, trials) < 210.0 + 4.0 * 420_f64.sqrt());
        // The third of seven decisions among twelve entries stands, on average, at place 3 * 13 / 8.
        let mean = waits as f64 / f64::from(trials);
        assert!((mean - 39.0 / 8.0).abs() < 0.05, "{mean}");
    }
}

#[test]
fn no_place_of_a_range_that_is_no_power_of_two_is_favoured() {
    // Folding the highest two bits into three places instead of throwing one of the four away would double one place's chance.
    for places in [3, 5, 6, 7, 100] {
        let trials = 300 * u32::try_from(places).unwrap();
        let mut first = BTreeMap::new();
        for trial in 0..trials {
            let place = Order::new(Hash::of(&trial.to_be_bytes()), places).next().unwrap();
            *first.entry(vec![place]).or_insert(0) += 1;
        }
        let cells = usize::try_from(places).unwrap();
        let limit = cells as f64 + 4.0 * (2.0 * cells as f64).sqrt();
        assert!(distance(&first, cells, trials) < limit, "of {places}");
    }
}

#[test]
fn looks_at_no_entry_that_it_does_not_need() {
    let (plan, values, vector) = vector(0);
    let reveals = values.reveal(&plan).unwrap();
    let mut asked = Vec::new();
    let drawn = redo(&plan, &reveals, None, |indices| {
        asked.extend_from_slice(indices);
        Ok::<_, Infallible>(indices.iter().map(|index| index % 10 != 0).collect())
    });
    let drawn = drawn.unwrap();
    assert_eq!(asked.len(), drawn.drawn.len() + drawn.skipped.len());
    assert!(asked.last().is_some_and(|last| Some(last) == drawn.drawn.last()), "the last looked at is drawn");
    assert_eq!(drawn.drawn, numbers(&vector["drawn"]));
}

#[test]
fn another_plan_value_or_log_gives_another_draw() {
    let (plan, values, _) = vector(0);
    let first = draw(&plan, &values.reveal(&plan).unwrap(), |index| index % 10 != 0);
    let other_root =
        Plan { checkpoint: Checkpoint { root: Hash::of(b"x"), ..plan.checkpoint.clone() }, ..plan.clone() };
    let other_origin = Checkpoint { origin: "another.example".parse().unwrap(), ..plan.checkpoint.clone() };
    let other_origin = Plan { checkpoint: other_origin, ..plan.clone() };
    let turned = Plan { beacons: plan.beacons.iter().rev().cloned().collect(), ..plan.clone() };
    let other_rates = Plan { confidence: "94.99%".parse().unwrap(), ..plan.clone() };
    for other in [other_root, other_origin, turned, other_rates] {
        let other = draw(&other, &values.reveal(&other).unwrap(), |index| index % 10 != 0);
        assert_ne!(other.seed, first.seed);
        assert_ne!(other.drawn, first.drawn);
    }
    assert_ne!(draw(&plan, &values.reveal(&plan).unwrap(), |_| true).drawn, first.drawn);
}

#[test]
fn refuses_values_that_are_not_the_plan_s() {
    let (plan, values, _) = vector(0);
    let revealed = |values: &Values| values.reveal(&plan);
    let mut one = values.clone();
    one.nonces.pop();
    assert!(matches!(revealed(&one), Err(RevealError::Missing { .. })));
    let mut changed = values.clone();
    changed.nonces[0].1 = Hash::of(b"another secret");
    assert_eq!(revealed(&changed), Err(RevealError::Commitment { name: "auditor-0".into() }));
    let surplus = |name: &str| Err(RevealError::Surplus { name: name.into() });
    for name in ["auditor-0", "auditor-2"] {
        let mut more = values.clone();
        more.nonces.push((name.into(), values.nonces[0].1));
        assert_eq!(revealed(&more), surplus(name));
    }
    let round = DrandRound { round: 1, signature: vec![], previous_signature: None, randomness: None };
    assert_eq!(revealed(&Values { drand: Some(round), ..values.clone() }), surplus("drand"));
    let header = BlockHeader::parse(&[0; 80]).ok();
    assert_eq!(revealed(&Values { block: header, ..values }), surplus("bitcoin"));
}

/// A plan that names a round of quicknet and a block, and their values.
fn with_beacons() -> (Plan, Values) {
    let quicknet = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971";
    let beacons = [format!("drand:{quicknet}:42"), "block:bitcoin:125552".into()];
    let plan = Plan { beacons: beacons.map(|text: String| text.parse().unwrap()).into(), ..vector(0).0 };
    let round = r#"{"round":42,"signature":"95a9f9f5b231b7714de1553105d8ffdf3dcda24cfdb1e689319bccf79a9c8ce430a91b811fbfaf763900bc998b5d686a"}"#;
    let header = "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695";
    let values = Values {
        drand: DrandRound::parse(round.as_bytes()).ok(),
        block: BlockHeader::parse(header.as_bytes()).ok(),
        ..Values::default()
    };
    (plan, values)
}

#[test]
fn refuses_another_round_or_chain_than_the_plan_names() {
    let (plan, values) = with_beacons();
    assert!(values.reveal(&plan).is_ok());
    let named = |beacon: &str| Plan {
        beacons: vec![beacon.parse().unwrap(), plan.beacons[1].clone()],
        ..plan.clone()
    };
    let quicknet =
        DrandChain::known(&super::super::plan::digest(&plan.beacons[0].to_string()[6..70]).unwrap()).unwrap();
    let later = named(&format!("drand:{}:43", quicknet.hash()));
    assert_eq!(values.reveal(&later), Err(RevealError::Round { named: 43, found: 42 }));
    let unknown = named(&format!("drand:{}:42", Hash::of(b"a chain")));
    assert_eq!(values.reveal(&unknown), Err(RevealError::UnknownChain { named: Hash::of(b"a chain") }));
    let given = Values { chain: Some(quicknet.clone()), ..values.clone() };
    let other = RevealError::OtherChain { named: Hash::of(b"a chain"), found: quicknet.hash() };
    assert_eq!(given.reveal(&unknown), Err(other));
    assert!(given.reveal(&plan).is_ok(), "what is known may be given, too");
    let default = named("drand:8990e7a9aaed2ffed73dbd7092123d6f289930540d7651336225dc172e51b2ce:42");
    assert_eq!(values.reveal(&default), Err(RevealError::Drand(DrandError::Previous)));
}

#[test]
fn draws_again_from_a_transcript_only_what_its_proofs_show() {
    let (plan, values) = with_beacons();
    let first = draw(&plan, &values.reveal(&plan).unwrap(), |index| index % 10 != 0);
    let read = Draw::parse(&file(&first)).unwrap();
    assert_eq!(draw(&plan, &read.reveals, |index| index % 10 != 0), first);
    let kinds = |indices: &[u64]| Ok::<_, Infallible>(vec![true; indices.len()]);
    let refused = |change: fn(&mut Vec<Reveal>)| {
        let mut reveals = read.reveals.clone();
        change(&mut reveals);
        redo(&plan, &reveals, None, kinds).unwrap_err()
    };
    let proof = || DrawError::Reveal(RevealError::Proof);
    assert_eq!(refused(|reveals| reveals[0].value = Hash::of(b"chosen")), proof());
    assert_eq!(refused(|reveals| reveals[1].value = Hash::of(b"chosen")), proof());
    assert_eq!(refused(|reveals| reveals[0].proof = Proof::Nonce), proof());
    assert_eq!(refused(|reveals| reveals.swap(0, 1)), DrawError::Sources);
    assert_eq!(refused(|reveals| drop(reveals.pop())), DrawError::Sources);
    let signature = vec![0; 48];
    assert!(matches!(
        refused(move |reveals| reveals[0].proof =
            Proof::Drand { signature: vec![0; 48], previous_signature: None }),
        DrawError::Reveal(RevealError::Drand(DrandError::Signature { round: 42 }))
    ));
    // A signature that an unchained round does not need would be a second way to write the same draw.
    let DrandRound { signature: round, .. } = values.drand.clone().unwrap();
    let mut more = read.reveals.clone();
    more[0].proof = Proof::Drand { signature: round, previous_signature: Some(signature) };
    assert_eq!(redo(&plan, &more, None, kinds).unwrap_err(), proof());
    let few = |_: &[u64]| Ok::<_, Infallible>(Vec::new());
    assert_eq!(redo(&plan, &read.reveals, None, few).unwrap_err(), DrawError::Answers);
    assert_eq!(redo(&plan, &read.reveals, None, |_| Err("gone")).unwrap_err(), DrawError::Entries("gone"));
}

#[test]
fn stops_where_a_log_has_too_few_decisions_for_its_length() {
    let (plan, values, _) = vector(3);
    let none = |indices: &[u64]| Ok::<_, Infallible>(vec![false; indices.len()]);
    let reveals = values.reveal(&plan).unwrap();
    assert_eq!(redo(&plan, &reveals, None, none).unwrap_err(), DrawError::LookedAt);
}

#[test]
fn refuses_every_other_way_to_write_the_same_draw() {
    let (plan, values) = with_beacons();
    let text = String::from_utf8(file(&draw(&plan, &values.reveal(&plan).unwrap(), |index| index % 10 != 0)))
        .unwrap();
    let parse = |text: &str| Draw::parse(text.as_bytes()).unwrap_err();
    for other in [text.replace("  ", " "), format!("{text}\n"), text.trim_end().to_owned()] {
        assert_eq!(parse(&other), TranscriptError::NotCanonical);
    }
    let first = numbers(&serde_json::from_str::<Value>(&text).unwrap()["drawn"])[0];
    let index = format!("    {first},\n");
    for (from, to, error) in [
        ("audit-draw/v1", "audit-draw/v2", TranscriptError::Format),
        ("\"tree_size\": 1000000", "\"tree_size\": 9007199254740993", TranscriptError::Values),
        ("\"tree_size\": 1000000", "\"tree_size\": 5", TranscriptError::Indices),
        (&index, &format!("{index}{index}"), TranscriptError::Indices),
        ("block:bitcoin:", "block:ethereum:", TranscriptError::Values),
        ("\"signature\": \"95", "\"signature\": \"9", TranscriptError::Values),
        ("\"signature\": \"", "\"header\": \"", TranscriptError::Values),
        ("\"seed\": \"", "\"seed\": \"00", TranscriptError::Values),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(parse(&text.replacen(from, to, 1)), error, "{to}");
    }
    for (from, to) in
        [("\"drawn\": [", "\"drawn\": [-1,"), ("{\n", "{\"extra\": 1,"), ("\"skipped\"", "\"other\"")]
    {
        assert!(matches!(parse(&text.replacen(from, to, 1)), TranscriptError::Json { .. }), "{to}");
    }
    assert_eq!(Draw::parse(&vec![b' '; DRAW_BYTES_MAX + 1]), Err(TranscriptError::TooLong));
}
