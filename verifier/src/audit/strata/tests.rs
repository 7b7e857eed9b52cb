use std::convert::Infallible;

use super::super::plan::tests::plan;
use super::super::*;
use super::*;

const FILE: &str = "0 approved\n1 declined\n3 declined\n4 approved\n7 declined\n11 declined\n";

fn file() -> StrataFile {
    StrataFile::parse(FILE.as_bytes()).unwrap()
}

fn stratum(name: &str, tolerable: &str, allowed: u64) -> Stratum {
    Stratum { name: name.into(), tolerable: tolerable.parse().unwrap(), allowed }
}

fn stratified(strata: Vec<Stratum>) -> Plan {
    let nonce = Beacon::Nonce { name: "a".into(), commitment: Hash::of(Hash::of(b"secret").as_bytes()) };
    Plan { strata: Some(Stratification { file: file().digest(), strata }), beacons: vec![nonce], ..plan() }
}

#[test]
fn reads_a_file_in_one_way_only() {
    let plan = stratified(vec![stratum("declined", "50%", 0)]);
    assert_eq!(file().members(&plan, "declined"), [1, 3, 7, 11]);
    assert_eq!(file().members(&Plan { first: 2, last: 7, ..plan.clone() }, "declined"), [3, 7]);
    assert_eq!(file().members(&plan, "unheard-of"), [0; 0]);
    for line in [
        "x declined",
        "+12 declined",
        "012 declined",
        "00 declined",
        "12  declined",
        "12",
        "12 Declined",
        "12 ",
        " 12 a",
        "9007199254740992 a",
    ] {
        let text = format!("{FILE}{line}\n");
        assert_eq!(StrataFile::parse(text.as_bytes()), Err(StrataError::Line { number: 7 }), "{line:?}");
    }
    for line in ["11 approved", "5 declined"] {
        let text = format!("{FILE}{line}\n");
        assert_eq!(StrataFile::parse(text.as_bytes()), Err(StrataError::Order { number: 7 }), "{line:?}");
    }
    assert_eq!(StrataFile::parse(FILE.trim_end().as_bytes()), Err(StrataError::Text));
    assert_eq!(StrataFile::parse(b"\xff\n"), Err(StrataError::Text));
    assert_eq!(StrataFile::parse(b""), Err(StrataError::Text));
    assert_eq!(StrataFile::parse(b"\n"), Err(StrataError::Line { number: 1 }));
    assert_eq!(StrataFile::parse(&vec![b' '; STRATA_BYTES_MAX + 1]), Err(StrataError::TooLong));
    let names = |count| (0..count).map(|number| format!("{number} n{number}\n")).collect::<String>();
    assert!(StrataFile::parse(names(256).as_bytes()).is_ok());
    assert_eq!(StrataFile::parse(names(257).as_bytes()), Err(StrataError::Names));
}

#[test]
fn a_plan_names_each_stratum_once_and_says_how_many_it_needs() {
    let plan = stratified(vec![stratum("declined", "5%", 1), stratum("approved", "10%", 0)]);
    let text = plan.to_json().unwrap();
    assert_eq!(Plan::parse(text.as_bytes()), Ok(plan.clone()));
    let sizes: Vec<_> = plan.strata().map(|stratum| plan.of_stratum(stratum).decisions().unwrap()).collect();
    assert_eq!(sizes, [93, 29]);
    for (from, to, error) in [
        ("\"decisions\": 93", "\"decisions\": 92", PlanError::Decisions),
        ("\"approved\"", "\"declined\"", PlanError::Strata),
        ("\"approved\"", "\"Approved\"", PlanError::Strata),
        ("\"file\": \"", "\"file\": \"00", PlanError::Strata),
        ("\"10%\"", "\"10\"", PlanError::Rate),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(Plan::parse(text.replace(from, to).as_bytes()), Err(error), "{to}");
    }
    assert_eq!(stratified(Vec::new()).to_json(), Err(PlanError::Strata));
    let many = |count| stratified((0..count).map(|number| stratum(&format!("n{number}"), "5%", 0)).collect());
    assert!(many(STRATA_MAX).to_json().is_ok());
    assert_eq!(many(STRATA_MAX + 1).to_json(), Err(PlanError::Strata));
}

#[test]
fn draws_from_each_stratum_by_a_seed_of_its_own() {
    let plan = stratified(vec![stratum("declined", "60%", 0), stratum("approved", "70%", 0)]);
    let values = Values { nonces: vec![("a".into(), Hash::of(b"secret"))], ..Values::default() };
    let (reveals, strata) = (values.reveal(&plan).unwrap(), file());
    let kinds = |indices: &[u64]| Ok::<_, Infallible>(indices.iter().map(|index| *index != 3).collect());
    let given = Given { reveals: &reveals, chain: None, strata: Some(&strata) };
    let draw = redo(&plan, given, kinds).unwrap();
    let sorted = |sample: &Sample| {
        let mut all = [sample.drawn.clone(), sample.skipped.clone()].concat();
        all.sort_unstable();
        all
    };
    assert_eq!(draw.strata.len(), 2);
    assert_eq!(sorted(&draw.strata[0]), [1, 3, 7, 11], "four needed and three there: all are looked at");
    assert_eq!(draw.strata[0].skipped, [3]);
    assert_eq!(sorted(&draw.strata[1]), [0, 4]);
    let order: Vec<_> = Order::new(stratum_seed(draw.seed, "declined"), 4)
        .map(|place| [1, 3, 7, 11][usize::try_from(place).unwrap()])
        .collect();
    let drawn: Vec<_> = order.into_iter().filter(|index| *index != 3).collect();
    assert_eq!(draw.strata[0].drawn, drawn);
    assert_ne!(stratum_seed(draw.seed, "declined"), stratum_seed(draw.seed, "approved"));
    let mut bytes = Vec::new();
    draw.write(&mut bytes).unwrap();
    assert_eq!(Draw::parse(&bytes), Ok(draw));
    let changed = StrataFile::parse(FILE.replace("7 declined", "7 approved").as_bytes()).unwrap();
    for strata in [None, Some(&changed)] {
        assert_eq!(redo(&plan, Given { strata, ..given }, kinds).unwrap_err(), DrawError::Strata);
    }
    let without = Plan { strata: None, ..plan };
    assert_eq!(redo(&without, given, kinds).unwrap_err(), DrawError::Strata);
}
