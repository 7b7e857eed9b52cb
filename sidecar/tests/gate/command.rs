//! `gate check`, for whoever writes rules.

use serde_json::{Value as Json, json};

use crate::world::{ROUTE, World, check, init, request, rule};

fn rules() -> String {
    rule("consent", "request", "has(input.parameter.consent) && input.parameter.consent == true", "")
        + &rule("close", "answer", "output.score.score > 0.6", "otherwise = \"review\"")
}

#[tokio::test]
async fn prints_rules_with_their_digest_their_cost_and_what_they_read() {
    let (_folder, files, _) = init(&(ROUTE.to_owned() + &rules()), &[0.75]).await;
    let (code, printed) = check(&files, &[]);
    assert_eq!(code, Some(0), "{printed}");
    for line in [
        "Route loans\n",
        "  consent: before the model is called, otherwise refuse; at most ",
        "    has(input.parameter.consent) && input.parameter.consent == true\n",
        "    reads input.parameter.consent\n",
        "  close: before the answer is released, otherwise review; at most 3 steps a person\n",
        "    reads output.score.score\n",
    ] {
        assert!(printed.contains(line), "{line:?}\n{printed}");
    }
    let (_, other) = check(&files, &["--json"]);
    let mut documents = serde_json::Deserializer::from_str(&other).into_iter::<Json>();
    let json = documents.next().unwrap().unwrap();
    let policy = json["routes"][0]["policy"].as_str().unwrap();
    assert!(policy.len() == 64 && printed.contains(policy), "{printed}");
    assert_eq!(json["routes"][0]["rules"][1]["steps_max"], 3);
}

#[tokio::test]
async fn evaluates_rules_over_a_decision_that_somebody_makes_up() {
    let (folder, files, _) = init(&(ROUTE.to_owned() + &rules()), &[0.75]).await;
    let path = folder.path().join("fields.json");
    let tried = |fields: Json| {
        std::fs::write(&path, fields.to_string()).unwrap();
        check(&files, &["--route", "loans", "--input", path.to_str().unwrap()])
    };
    let (code, printed) = tried(json!({ "input/parameter/consent": true, "output/score/score": 0.5 }));
    assert!(
        printed.contains("consent: true, allow") && printed.contains("close: false, review"),
        "{printed}"
    );
    assert!(printed.contains("together: review"), "{printed}");
    assert_eq!(code, Some(0));
    let (code, printed) = tried(json!({ "input/parameter/consent": true }));
    assert!(printed.contains("the rules of the answer were not evaluated"), "{printed}");
    assert_eq!(code, Some(0));
    let (code, printed) = tried(json!({ "input/feature/age": 3 }));
    assert!(printed.contains("consent: false, refuse"), "{printed}");
    assert_eq!(code, Some(1));
    let (code, printed) = tried(json!({ "input/parameter/consent": "yes" }));
    assert!(printed.contains("consent: false, refuse"), "{printed}");
    assert_eq!(code, Some(1));
    for bad in [json!([]), json!({ "Not a path": 1 }), json!({ "input/feature/age": { "a": 1 } })] {
        let (code, printed) = tried(bad);
        assert_eq!(code, Some(1));
        assert!(printed.contains("--input"), "{printed}");
    }
    std::fs::write(&path, "{").unwrap();
    assert!(check(&files, &["--input", path.to_str().unwrap()]).1.contains("is not JSON"));
    assert!(check(&files, &["--route", "other"]).1.contains("there is no route \"other\""));
}

#[tokio::test]
async fn finds_a_record_that_was_changed() {
    let world = World::new(&(ROUTE.to_owned() + &rules()), &[0.75]).await;
    use ledgerstone::proto::inference::infer_parameter::ParameterChoice::BoolParam;
    let reply = world.infer(&request(&[[1.0, 40.0]], &[("consent", BoolParam(true))])).await;
    let recorded = world.recorded(&reply).await;
    assert_eq!(recorded.checked(&world, |_| {}).0, Some(0));
    for (path, value) in [
        ("input/parameter/consent", json!(false)),
        ("gate/verdicts", json!(["false", "true"])),
        ("gate/effects", json!(["allow", "review"])),
        ("gate/rules", json!(["other", "close"])),
        ("output/score/score", json!(0.1)),
    ] {
        let (code, printed) = recorded.checked(&world, |fields| fields[path] = value.clone());
        assert!(printed.contains("says something else under the same rules"), "{path}: {printed}");
        assert_eq!(code, Some(1), "{path}");
    }
    world.stop().await;
}
