use std::path::Path;

use super::*;

const FULL: &str = r#"
name = "mortgage"
method = "ModelInfer"
mode = "strict"
tenant = "first-bank"
use_case = "annex-iii-5b"
retention = "7y"
packs = ["reg-b", "colorado-sb26-189"]
adverse = ["deny"]
subject = { parameter = "applicant" }
score = { tensor = "predict", index = 1 }
threshold = { value = 0.5, above = "approve", below = "deny" }
explanation = { parameter = "reasons", method = "treeshap" }
receipt = { disclose = ["decision/*", "output/score/*"] }

[match]
model = "mortgage-*"

[model]
name = "mortgage"
digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[[features]]
tensor = "input"
names = ["income", "loan amount"]

[[mask]]
path = "input/feature/income"
reason = "not needed"
"#;

fn parse(text: &str) -> Result<RouteConfig, toml::de::Error> {
    toml::from_str(text)
}

fn refused(text: &str) -> String {
    let config = parse(text).unwrap();
    let error = Routes::build(&[config], Path::new(".")).unwrap_err();
    error.to_string()
}

fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

#[test]
fn builds_a_route_with_every_key() {
    let routes = Routes::build(&[parse(FULL).unwrap()], Path::new(".")).unwrap();
    let route = routes.for_model("mortgage-2");
    assert_eq!(route.name(), "mortgage");
    assert_eq!(route.identity().map(|model| model.digest), Some(Hash::of(b"")));
    assert!(route.discloses(&path("output/score/predict")));
    assert!(!route.discloses(&path("output/label")));
    assert_eq!(route.masked(&path("input/feature/income")), Some("not needed"));
    assert_eq!(route.masked(&path("input/feature/age")), None);
    assert_eq!(route.action("deny"), Action::Deny);
    assert!(route.is_adverse("deny"));
    assert!(!route.is_adverse("approve"));
}

#[test]
fn records_models_without_a_route_under_the_built_in_one() {
    let routes = Routes::build(&[parse(FULL).unwrap()], Path::new(".")).unwrap();
    assert_eq!(routes.for_model("other").name(), UNROUTED);
    assert_eq!(routes.get(UNROUTED).unwrap().identity(), None);
    assert!(routes.get("absent").is_none());
}

#[test]
fn takes_the_first_route_that_matches() {
    let narrow = parse("name = \"narrow\"\n[match]\nmodel = \"a*\"").unwrap();
    let wide = parse("name = \"wide\"").unwrap();
    let routes = Routes::build(&[narrow, wide], Path::new(".")).unwrap();
    assert_eq!(routes.for_model("ab").name(), "narrow");
    assert_eq!(routes.for_model("b").name(), "wide");
}

#[test]
fn shows_no_input_in_receipts_unless_told() {
    let routes = Routes::build(&[], Path::new(".")).unwrap();
    let route = routes.for_model("x");
    assert!(route.discloses(&path("model/version")));
    assert!(route.discloses(&path("outcome/action")));
    assert!(!route.discloses(&path("input/feature/income")));
    assert!(!route.discloses(&path("caller/address")));
}

#[test]
fn reads_the_digest_from_the_model_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("model.json"), b"{}").unwrap();
    let config = parse("name = \"a\"\n[model]\nfile = \"model.json\"").unwrap();
    let routes = Routes::build(&[config], dir.path()).unwrap();
    assert_eq!(routes.for_model("x").identity().map(|model| model.digest), Some(Hash::of(b"{}")));
}

#[test]
fn changes_the_policy_digest_with_the_threshold() {
    let digest = |text: &str| {
        let routes = Routes::build(&[parse(text).unwrap()], Path::new(".")).unwrap();
        routes.for_model("mortgage-1").policy_digest()
    };
    assert_eq!(digest(FULL), digest(FULL));
    assert_ne!(digest(FULL), digest(&FULL.replace("0.5", "0.6")));
}

#[test]
fn refuses_unknown_keys_and_names_them() {
    for (text, key) in [
        ("name = \"a\"\nmodel_match = \"b\"", "model_match"),
        ("name = \"a\"\n[match]\nmodels = \"b\"", "models"),
        ("name = \"a\"\nsubject = { header = \"b\" }", "header"),
        ("name = \"a\"\nactions = { x = \"maybe\" }", "maybe"),
        ("name = \"a\"\nraw = \"clear\"", "clear"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
    assert!(parse("mode = \"strict\"").unwrap_err().to_string().contains("name"));
}

#[test]
fn says_what_to_change_in_each_route_it_refuses() {
    let threshold =
        "score = { tensor = \"p\" }\nthreshold = { value = 0.5, above = \"approve\", below = \"deny\" }";
    for (keys, text) in [
        ("method = \"ModelStreamInfer\"".to_owned(), "cannot be recorded"),
        ("mode = \"observe\"".to_owned(), "the only mode is \"strict\""),
        ("[match]\nmodel = \"\"".to_owned(), "`match.model` is empty"),
        ("[model]\nfile = \"a\"\ndigest = \"b\"".to_owned(), "give one of"),
        ("[model]\nfolder = \"a\"\ndigest = \"b\"".to_owned(), "give one of"),
        ("[model]\nregistered = \"Big Loans\"".to_owned(), "a-z 0-9"),
        ("[model]\ndigest = \"sha256:00\"".to_owned(), "64 lowercase"),
        ("[model]\nfile = \"absent\"".to_owned(), "cannot read the model file"),
        (
            "threshold = { value = 0.5, above = \"approve\", below = \"deny\" }".to_owned(),
            "`threshold` needs `score`",
        ),
        (format!("{threshold}\nlabel = {{ tensor = \"l\", names = [\"deny\"] }}"), "`threshold` or `label`"),
        (threshold.replace("0.5", "nan"), "finite"),
        (threshold.replace("approve", "deny"), "the same label"),
        (threshold.replace("approve", "good"), "\"good\" leads to no action"),
        (format!("{threshold}\nadverse = [\"bad\"]"), "`adverse` names \"bad\""),
        (format!("{threshold}\nactions = {{ bad = \"deny\" }}"), "`actions` names \"bad\""),
        ("label = { tensor = \"l\", names = [] }".to_owned(), "`label.names` is empty"),
        ("explanation = { method = \"m\" }".to_owned(), "exactly one"),
        ("features = [{ tensor = \"x\", names = [] }]".to_owned(), "`features.names` is empty"),
        ("features = [{ tensor = \"x\", names = [\"a\", \"a\"] }]".to_owned(), "named twice"),
        ("features = [{ tensor = \"x\", names = [\"\"] }]".to_owned(), "empty or too long"),
        ("subject = { metadata = \"X-Id\" }".to_owned(), "lowercase header"),
        ("mask = [{ path = \"input/*\", reason = \"\" }]".to_owned(), "needs a `reason`"),
        ("mask = [{ path = \"/\", reason = \"r\" }]".to_owned(), "`mask.path` has \"/\""),
        ("mask = [{ path = \"decision/*\", reason = \"r\" }]".to_owned(), "covers decision/id"),
        ("mask = [{ path = \"privacy/*\", reason = \"r\" }]".to_owned(), "covers privacy/masked"),
        ("receipt = { disclose = [\"a//b\"] }".to_owned(), "`receipt.disclose` has \"a//b\""),
    ] {
        let error = refused(&format!("name = \"loan\"\n{keys}"));
        assert!(error.contains(text), "{keys}: {error}");
        assert!(error.contains("loan"), "{keys}: {error}");
    }
}

#[test]
fn refuses_names_that_records_could_not_refer_to() {
    for name in ["", "A", "unrouted", "a b"] {
        assert!(refused(&format!("name = {name:?}")).contains("route name"));
    }
    let twice = [RouteConfig::named("a"), RouteConfig::named("a")];
    let error = Routes::build(&twice, Path::new(".")).unwrap_err();
    assert!(matches!(error, RouteError::DuplicateName { .. }));
}

#[test]
fn refuses_a_route_that_an_earlier_one_hides() {
    let hidden = parse("name = \"b\"\n[match]\nmodel = \"ab*\"").unwrap();
    for pattern in ["*", "a*", "ab*"] {
        let mut earlier = RouteConfig::named("a");
        earlier.matches.model = pattern.to_owned();
        let error = Routes::build(&[earlier, hidden.clone()], Path::new(".")).unwrap_err();
        assert!(matches!(error, RouteError::Unreachable { .. }), "{pattern}");
    }
}

const REG_B: &str = r#"
name = "loans"
score = { tensor = "y" }
threshold = { value = 0.5, above = "approve", below = "deny" }
adverse = ["deny"]
explanation = { parameter = "why" }
features = [{ tensor = "x", names = ["income", "debt"] }]
packs = ["reg-b"]
"#;

#[test]
fn applies_packs_that_its_records_can_satisfy() {
    let routes = Routes::build(&[parse(REG_B).unwrap()], Path::new(".")).unwrap();
    let route = routes.for_model("m");
    assert_eq!(route.packs().len(), 1);
    let Some(Value::Array(names)) = route.pack_names() else { panic!() };
    let [Value::Text(name)] = names.as_slice() else { panic!("{names:?}") };
    assert!(name.starts_with("reg-b 1 ") && name.ends_with(&route.packs()[0].reference.digest().to_string()));
    assert_eq!(routes.get(UNROUTED).unwrap().pack_names(), None);
}

#[test]
fn refuses_a_route_that_cannot_satisfy_its_packs_with_all_that_it_lacks() {
    let error = refused("name = \"loans\"\npacks = [\"reg-b\", \"eu-ai-act\", \"gdpr\"]");
    for lack in [
        "reg-b: outcome/action in every answered decision: The action taken. (Reg B, 12 CFR 1002.9(a)(1)-(2), (b)(2)). Set `score`, `threshold` or `label`",
        "reg-b: explanation/reason/*/text or explanation/reason/*/code in every adverse decision",
        "reg-b: input/feature/* or input/prompt/* or input/attachment/* in every answered decision",
        "Set `features`",
        "reg-b: output/score/*",
        "eu-ai-act: decision/use_case in every decision",
        "Set `use_case`",
        "gdpr: privacy/lawful_basis",
        "Set `lawful_basis`",
    ] {
        assert!(error.contains(lack), "{lack} is not in:\n{error}");
    }
    assert!(!error.contains("time/decided"), "that one is there: {error}");
    assert!(!error.contains("model/digest"), "the model server may name its version: {error}");
}

#[test]
fn each_key_that_a_pack_needs_makes_the_route_refused_when_it_is_left_out() {
    for (key, lack) in [
        ("explanation = { parameter = \"why\" }\n", "explanation/reason/*/text"),
        ("features = [{ tensor = \"x\", names = [\"income\", \"debt\"] }]\n", "input/feature/*"),
    ] {
        let error = refused(&REG_B.replace(key, ""));
        assert!(error.contains(lack) && error.matches("reg-b: ").count() == 1, "{error}");
    }
    let scored =
        "score = { tensor = \"y\" }\nthreshold = { value = 0.5, above = \"approve\", below = \"deny\" }\n";
    let labelled = REG_B.replace(scored, "label = { tensor = \"y\", names = [\"deny\"] }\n");
    assert!(refused(&labelled).contains("output/score/*"));
}

#[test]
fn a_mask_over_what_a_pack_requires_is_refused_and_a_narrower_one_is_not() {
    let mask = |path: &str| format!("{REG_B}mask = [{{ path = \"{path}\", reason = \"r\" }}]");
    let error = refused(&mask("input/feature/*"));
    assert!(error.contains("The mask \"input/feature/*\" keeps it out"), "{error}");
    assert!(refused(&mask("explanation/*")).contains("The mask \"explanation/*\""));
    assert!(Routes::build(&[parse(&mask("input/feature/income")).unwrap()], Path::new(".")).is_ok());
    assert!(refused(&mask("decision/packs")).contains("covers decision/packs"));
}

#[test]
fn later_entries_may_bring_what_the_traffic_does_not() {
    let without = REG_B.replace("explanation = { parameter = \"why\" }\n", "");
    for later in [
        "explanation/*",
        "explanation/reason/*/text",
        "explanation/reason/*/code",
        "explanation/reason/[0]/text",
    ] {
        let route = format!("{without}later = [\"{later}\"]");
        let built = Routes::build(&[parse(&route).unwrap()], Path::new("."));
        assert!(built.is_ok(), "{later}: {}", built.unwrap_err());
    }
    for later in ["explanation/method", "outcome/*", "explanation/reason/*/feature"] {
        assert!(
            refused(&format!("{without}later = [\"{later}\"]")).contains("explanation/reason"),
            "{later}"
        );
    }
    for later in ["input/*", "decision/subject", "*"] {
        assert!(refused(&format!("{without}later = [\"{later}\"]")).contains("no entry added"), "{later}");
    }
    assert!(refused(&format!("{without}later = [\"explanation/raeson/*\"]")).contains("did you mean"));
}

#[test]
fn packs_are_names_or_files_and_each_stands_once() {
    let folder = tempfile::tempdir().unwrap();
    let own = r#"format = "ledgerstone-pack/v1"
name = "house"
version = 1
as_of = "2026-11-21"
title = "House rules"
jurisdiction = "Here"
source = [{ id = "a", citation = "A", certainty = "read" }]
requires = [{ any = ["decision/tenant"], source = "a", rule = "r" }]
"#;
    std::fs::write(folder.path().join("house.toml"), own).unwrap();
    std::fs::write(folder.path().join("wrong.toml"), own.replace("decision/tenant", "decision/tennant"))
        .unwrap();
    std::fs::write(folder.path().join("large.toml"), vec![b'#'; 1 << 20]).unwrap();
    let build = |keys: &str| {
        let config = parse(&format!("name = \"loans\"\n{keys}")).unwrap();
        Routes::build(&[config], folder.path()).map_err(|error| error.to_string())
    };
    let routes = build("tenant = \"t\"\npacks = [\"house.toml\"]").unwrap();
    assert_eq!(routes.for_model("m").packs()[0].reference.name(), "house");
    for (keys, message) in [
        ("packs = [\"house.toml\"]", "house: decision/tenant in every decision: r (A). Set `tenant`"),
        ("packs = [\"wrong.toml\"]", "line 8: the path \"decision/tennant\" is not in the vocabulary"),
        ("packs = [\"large.toml\"]", "a pack has at most 65536"),
        ("packs = [\"absent.toml\"]", "absent.toml cannot be read"),
        ("tenant = \"t\"\npacks = [\"house.toml\", \"house.toml\"]", "twice"),
        ("packs = [\"reg-c\"]", "did you mean \"reg-b\"?"),
        ("packs = [\"us-ecoa-of-old\"]", "none of california-ads, colorado-sb26-189, eu-ai-act"),
        ("packs = [\"\"]", "`packs` has \"\""),
        ("lawful_basis = \"\"", "are words, or left out"),
    ] {
        let error = build(keys).unwrap_err();
        assert!(error.contains(message) && error.contains("loans"), "{keys}: {error}");
    }
}
