use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

fn template() -> Template {
    let text = json!({
        "sidecar": "ledgerstone",
        "upstreamPort": 8081,
        "status": "injected 1.2.3 registry.example.com/sidecar@sha256:00",
        "labels": {"ledgerstone.io/regulated": "true"},
        "securityContext": {"fsGroup": 65532, "fsGroupChangePolicy": "OnRootMismatch"},
        "containers": [
            {"name": "ledgerstone-init", "args": ["init"]},
            {
                "name": "ledgerstone", "restartPolicy": "Always",
                "ports": [{"containerPort": 7450}, {"containerPort": 7451}],
                "env": [
                    {"name": "ORIGIN", "value": "log/${ledgerstone.io/namespace}/${ledgerstone.io/store-claim}"},
                    {"name": "UPSTREAM", "value": "http://127.0.0.1:${ledgerstone.io/upstream-port}"},
                    {"name": "OTHER", "value": "${ledgerstone.io/other} ${HOME}"},
                ],
            },
        ],
        "volumes": [
            {"name": "store", "persistentVolumeClaim": {"claimName": "${ledgerstone.io/store-claim}"}},
            {"name": "config", "configMap": {"name": "ledgerstone-profile-${ledgerstone.io/profile}"}},
        ],
    });
    Template::parse(text.to_string().as_bytes()).unwrap()
}

/// A pod that asks for the sidecar.
fn asking() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": "model-",
            "annotations": {"ledgerstone.io/inject": "enabled", "ledgerstone.io/store-claim": "journal"},
        },
        "spec": {"containers": [{"name": "model", "image": "m"}]},
    })
}

fn question(pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "0de8c2b2-8f0a-4a26-b3f6-3d9d3f4e8b11",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "lending", "operation": "CREATE", "dryRun": false,
            "userInfo": {"username": "someone"}, "object": pod, "oldObject": null, "options": {},
        },
    })
}

fn asked(question: &Value) -> (Outcome, Value) {
    let answered = answer(question.to_string().as_bytes(), &template()).unwrap();
    (answered.outcome, serde_json::from_slice(&answered.json).unwrap())
}

/// The pod with the answer's patch, applied by an implementation of RFC 6902 that is not ours.
fn patched(pod: &Value, review: &Value) -> Value {
    assert_eq!(review["response"]["patchType"], "JSONPatch");
    let patch = STANDARD.decode(review["response"]["patch"].as_str().unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    let mut pod = pod.clone();
    json_patch::patch(&mut pod, &patch).unwrap();
    pod
}

fn injected(pod: &Value) -> Value {
    let (outcome, review) = asked(&question(pod));
    assert_eq!(outcome, Outcome::Injected, "{review}");
    assert_eq!(review["response"]["allowed"], true);
    patched(pod, &review)
}

fn refusal(pod: &Value) -> String {
    let (outcome, review) = asked(&question(pod));
    assert_eq!(outcome, Outcome::Refused, "{pod}");
    assert_eq!(review["response"]["allowed"], false);
    assert_eq!(review["response"]["status"]["code"], 403);
    assert!(review["response"]["patch"].is_null());
    review["response"]["status"]["message"].as_str().unwrap().to_owned()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect()
}

#[test]
fn a_pod_that_asks_gets_the_sidecar_first_with_what_it_says() {
    let mut pod = asking();
    pod["metadata"]["annotations"]["ledgerstone.io/upstream-port"] = json!("9001");
    pod["metadata"]["annotations"]["ledgerstone.io/profile"] = json!("loans");
    pod["spec"]["initContainers"] = json!([{"name": "first"}]);
    pod["spec"]["volumes"] = json!([{"name": "own"}]);
    pod["spec"]["securityContext"] = json!({"runAsNonRoot": true});
    pod["metadata"]["labels"] = json!({"app": "loans"});
    let made = injected(&pod);
    assert_eq!(names(&made["spec"]["initContainers"]), ["ledgerstone-init", "ledgerstone", "first"]);
    assert_eq!(names(&made["spec"]["volumes"]), ["own", "store", "config"]);
    let env = &made["spec"]["initContainers"][1]["env"];
    assert_eq!(env[0]["value"], "log/lending/journal");
    assert_eq!(env[1]["value"], "http://127.0.0.1:9001");
    assert_eq!(env[2]["value"], "${ledgerstone.io/other} ${HOME}", "what is no mark stays");
    assert_eq!(made["spec"]["volumes"][1]["persistentVolumeClaim"]["claimName"], "journal");
    assert_eq!(made["spec"]["volumes"][2]["configMap"]["name"], "ledgerstone-profile-loans");
    let context = json!({"runAsNonRoot": true, "fsGroup": 65532, "fsGroupChangePolicy": "OnRootMismatch"});
    assert_eq!(made["spec"]["securityContext"], context);
    assert_eq!(made["metadata"]["labels"], json!({"app": "loans", "ledgerstone.io/regulated": "true"}));
    let status = "injected 1.2.3 registry.example.com/sidecar@sha256:00";
    assert_eq!(made["metadata"]["annotations"]["ledgerstone.io/status"], status);
    assert_eq!(made["spec"]["containers"], pod["spec"]["containers"]);
}

#[test]
fn a_pod_that_has_nothing_gets_everything() {
    for empty in [Value::Null, json!([])] {
        let mut pod = asking();
        pod["spec"]["initContainers"] = empty.clone();
        pod["spec"]["volumes"] = empty;
        let made = injected(&pod);
        assert_eq!(names(&made["spec"]["initContainers"]), ["ledgerstone-init", "ledgerstone"]);
        assert_eq!(names(&made["spec"]["volumes"]), ["store", "config"]);
    }
    let made = injected(&asking());
    assert_eq!(made["spec"]["securityContext"]["fsGroup"], 65532);
    assert_eq!(made["metadata"]["labels"], json!({"ledgerstone.io/regulated": "true"}));
    assert_eq!(made["spec"]["initContainers"][1]["env"][1]["value"], "http://127.0.0.1:8081");
    assert_eq!(made["spec"]["volumes"][1]["configMap"]["name"], "ledgerstone-profile-default");
}

#[test]
fn asking_again_changes_nothing() {
    let made = injected(&asking());
    let (outcome, review) = asked(&question(&made));
    assert_eq!(outcome, Outcome::Unchanged);
    assert_eq!(review["response"], json!({"uid": "0de8c2b2-8f0a-4a26-b3f6-3d9d3f4e8b11", "allowed": true}));
    // Another webhook put a container before ours.
    let mut moved = made.clone();
    moved["spec"]["initContainers"].as_array_mut().unwrap().insert(0, json!({"name": "mesh"}));
    assert_eq!(asked(&question(&moved)).0, Outcome::Unchanged);
}

#[test]
fn a_pod_that_does_not_ask_is_left_alone_whatever_its_shape() {
    let mut off = asking();
    off["metadata"]["annotations"]["ledgerstone.io/inject"] = json!("disabled");
    let mut host = json!({"metadata": {}, "spec": {"hostNetwork": true, "containers": []}});
    host["spec"]["os"] = json!({"name": "windows"});
    let none = json!({"metadata": {"annotations": null}, "spec": null});
    for pod in [off, host, json!({"metadata": {}}), none] {
        assert_eq!(asked(&question(&pod)).0, Outcome::Unchanged, "{pod}");
    }
}

#[test]
fn a_group_that_the_pod_has_stays() {
    let mut pod = asking();
    pod["spec"]["securityContext"] = json!({"fsGroup": 4000});
    assert_eq!(injected(&pod)["spec"]["securityContext"], json!({"fsGroup": 4000}));
}

#[test]
fn annotations_that_make_no_sense_are_refused_with_what_to_write() {
    let long = "a".repeat(64);
    let cases: &[(&str, &str, &str)] = &[
        ("inject", "true", "write \"enabled\" or \"disabled\""),
        ("inject", "", "write \"enabled\" or \"disabled\""),
        ("inject", "Enabled", "write \"enabled\" or \"disabled\""),
        ("mode", "observe", "only \"strict\" is offered"),
        ("protocol", "http", "only \"grpc\" is offered"),
        ("upstream-port", "0", "from 1 to 65535"),
        ("upstream-port", "65536", "from 1 to 65535"),
        ("upstream-port", "+80", "from 1 to 65535"),
        ("upstream-port", "080", "from 1 to 65535"),
        ("upstream-port", "80 ", "from 1 to 65535"),
        ("upstream-port", "9001@evil.example.com", "from 1 to 65535"),
        ("upstream-port", "", "from 1 to 65535"),
        ("upstream-port", "٨٠", "from 1 to 65535"),
        ("upstream-port", "7450", "which is the sidecar's own"),
        ("profile", "", "at most 63 small letters"),
        ("profile", "a/b", "at most 63 small letters"),
        ("profile", "-a", "at most 63 small letters"),
        ("profile", "a-", "at most 63 small letters"),
        ("store-claim", "../c", "at most 63 small letters"),
        ("store-claim", "C\"+x", "at most 63 small letters"),
        ("store-claim", "${ledgerstone.io/profile}", "at most 63 small letters"),
        ("store-claim", &long, "at most 63 small letters"),
        ("upstrem-port", "9001", "ledgerstone.io/upstrem-port is not known"),
        ("", "9001", "is not known"),
    ];
    for (name, value, expected) in cases {
        let mut pod = asking();
        pod["metadata"]["annotations"][format!("ledgerstone.io/{name}")] = json!(value);
        let said = refusal(&pod);
        assert!(said.contains(expected), "{name}={value}: {said}");
        assert!(said.len() < 400 && !said.contains(char::is_control), "{said}");
    }
    let mut pod = asking();
    pod["metadata"]["annotations"].as_object_mut().unwrap().remove("ledgerstone.io/store-claim");
    assert!(refusal(&pod).contains("name the PersistentVolumeClaim"));
}

#[test]
fn pods_that_the_sidecar_cannot_stand_in_are_refused_with_what_to_change() {
    type Change = fn(&mut Value);
    let cases: &[(&str, Change)] = &[
        ("no containers", |spec| spec["containers"] = json!([])),
        ("no containers", |spec| spec["containers"] = json!(null)),
        ("remove hostNetwork", |spec| spec["hostNetwork"] = json!(true)),
        ("is for Windows", |spec| spec["os"] = json!({"name": "windows"})),
        ("is for Windows", |spec| spec["nodeSelector"] = json!({"kubernetes.io/os": "windows"})),
        ("has ephemeral containers", |spec| spec["ephemeralContainers"] = json!([{"name": "debug"}])),
        ("has a hostPort", |spec| {
            spec["containers"][0]["ports"] = json!([{"containerPort": 9001, "hostPort": 80}]);
        }),
        ("container model declares port 7451, which is the sidecar's", |spec| {
            spec["containers"][0]["ports"] = json!([{"containerPort": 9001}, {"containerPort": 7451}]);
        }),
        ("container early declares port 7450, which is the sidecar's", |spec| {
            spec["initContainers"] = json!([{"name": "early", "ports": [{"containerPort": 7450}]}]);
        }),
        ("is named ledgerstone, as one that is added would be", |spec| {
            spec["containers"] = json!([{"name": "ledgerstone"}]);
        }),
        ("is named ledgerstone, as one that is added would be", |spec| {
            spec["initContainers"] = json!([{"name": "ledgerstone"}]);
        }),
        ("is named ledgerstone-init, as one that is added would be", |spec| {
            spec["initContainers"] = json!([{"name": "ledgerstone-init"}]);
        }),
        ("volume of the pod is named store", |spec| spec["volumes"] = json!([{"name": "store"}])),
    ];
    for (expected, change) in cases {
        let mut pod = asking();
        change(&mut pod["spec"]);
        let said = refusal(&pod);
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(refusal(&json!({"metadata": asking()["metadata"].clone()})).contains("no containers"));
    let mut elsewhere = asking();
    elsewhere["metadata"]["namespace"] = json!("kube-system");
    assert!(refusal(&elsewhere).contains("not of the namespace that the review names"));
}

#[test]
fn what_is_allowed_and_doubtful_is_told_to_its_owner() {
    let warnings = |ports: Value| {
        let mut pod = asking();
        pod["metadata"]["annotations"]["ledgerstone.io/upstream-port"] = json!("9001");
        pod["spec"]["containers"][0]["ports"] = ports;
        asked(&question(&pod)).1["response"]["warnings"].clone()
    };
    assert_eq!(warnings(json!(null)), Value::Null);
    let declared = "container model declares port 9001: see that it listens on 127.0.0.1 alone";
    assert_eq!(warnings(json!([{"containerPort": 9000}, {"containerPort": 9001}])), json!([declared]));
    let undeclared = "no container declares port 9001, where the sidecar will ask the model server";
    assert_eq!(warnings(json!([{"containerPort": 9000}, {"containerPort": 9002}])), json!([undeclared]));
}

#[test]
fn only_pods_that_begin_are_changed() {
    type Change = fn(&mut Value);
    let cases: &[Change] = &[
        |request| request["operation"] = json!("UPDATE"),
        |request| request["operation"] = json!("DELETE"),
        |request| (request["operation"], request["object"]) = (json!("DELETE"), json!(null)),
        |request| request["operation"] = json!("CONNECT"),
        |request| request["operation"] = json!(""),
        |request| request["subResource"] = json!("ephemeralcontainers"),
        |request| request["kind"]["kind"] = json!("Deployment"),
        |request| request["kind"]["group"] = json!("apps"),
        |request| request["kind"]["version"] = json!("v2"),
        |request| _ = request.as_object_mut().unwrap().remove("kind"),
        // An object of another kind need not look like a pod.
        |request| (request["kind"]["kind"], request["object"]) = (json!("Binding"), json!({"spec": "x"})),
    ];
    for (at, change) in cases.iter().enumerate() {
        let mut asked_about = question(&asking());
        change(&mut asked_about["request"]);
        assert_eq!(asked(&asked_about).0, Outcome::Unchanged, "case {at}");
    }
    let mut dry = question(&asking());
    dry["request"]["dryRun"] = json!(true);
    assert_eq!(asked(&dry).0, Outcome::Injected, "a dry run is answered as the real one");
}

#[test]
fn each_version_is_answered_with_itself() {
    for version in ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"] {
        let mut asked_about = question(&asking());
        asked_about["apiVersion"] = json!(version);
        let (outcome, review) = asked(&asked_about);
        assert_eq!(outcome, Outcome::Injected);
        assert_eq!(review["apiVersion"], version);
        assert_eq!(review["kind"], "AdmissionReview");
        assert_eq!(review["response"]["uid"], "0de8c2b2-8f0a-4a26-b3f6-3d9d3f4e8b11");
    }
}

#[test]
fn pods_that_cannot_be_read_are_refused_by_their_uid() {
    for (path, value) in [
        ("/request/object", json!({})),
        ("/request/object", json!([])),
        ("/request/object", json!("pod")),
        ("/request/object", json!(null)),
        ("/request/object/spec", json!(7)),
        ("/request/object/spec/containers", json!({})),
        ("/request/object/spec/containers/0", json!({"image": "nameless"})),
        ("/request/object/spec/containers/0/name", json!(["a"])),
        ("/request/object/metadata/annotations", json!({"ledgerstone.io/inject": true})),
    ] {
        let mut asked_about = question(&asking());
        *asked_about.pointer_mut(path).unwrap() = value.clone();
        let (outcome, review) = asked(&asked_about);
        assert_eq!(
            (outcome, &review["response"]["allowed"]),
            (Outcome::Refused, &json!(false)),
            "{path} {value}"
        );
    }
}

#[test]
fn what_is_no_question_gets_no_answer() {
    let with = |path: &str, value: Value| {
        let mut asked_about = question(&asking());
        *asked_about.pointer_mut(path).unwrap() = value;
        asked_about.to_string()
    };
    let whole = question(&asking()).to_string();
    let cases: Vec<(String, ReviewError)> = vec![
        (with("/apiVersion", json!("admission.k8s.io/v2")), ReviewError::Version),
        (with("/apiVersion", json!("v1")), ReviewError::Version),
        (with("/kind", json!("Pod")), ReviewError::Version),
        (with("/request", json!(null)), ReviewError::NoRequest),
        (with("/request/uid", json!("")), ReviewError::Uid),
        (with("/request/uid", json!("a".repeat(ADMISSION_UID_BYTES_MAX + 1))), ReviewError::Uid),
        (whole.replace("\"uid\"", "\"uit\""), ReviewError::Uid),
        (whole + &" ".repeat(ADMISSION_REVIEW_BYTES_MAX), ReviewError::TooLarge),
    ];
    for (text, expected) in cases {
        assert_eq!(answer(text.as_bytes(), &template()).unwrap_err(), expected);
    }
    let whole = question(&asking()).to_string();
    let deep = format!("{}{}", "[".repeat(1 << 16), "]".repeat(1 << 16));
    let mut bad: Vec<String> = (0..whole.len()).step_by(7).map(|at| whole[..at].to_owned()).collect();
    bad.extend([
        deep,
        "null".into(),
        "[]".into(),
        "{}".into(),
        format!("{whole}x"),
        with("/request/uid", json!(7)),
    ]);
    for text in bad {
        let refused = matches!(answer(text.as_bytes(), &template()), Err(ReviewError::Malformed { .. }));
        assert!(refused, "{}", &text[..text.len().min(80)]);
    }
    assert!(answer(b"\xff\xfe{}", &template()).is_err());
}

#[test]
fn ten_thousand_containers_are_answered() {
    let mut pod = asking();
    let containers: Vec<Value> =
        (0..10_000).map(|at| json!({"name": format!("c{at}"), "image": "m"})).collect();
    pod["spec"]["containers"] = json!(containers);
    pod["spec"]["initContainers"] = json!(containers);
    let made = injected(&pod);
    assert_eq!(made["spec"]["initContainers"].as_array().unwrap().len(), 10_002);
    assert_eq!(made["spec"]["initContainers"][0]["name"], "ledgerstone-init");
}

#[test]
fn templates_that_could_not_be_injected_are_refused() {
    let whole = json!({
        "sidecar": "s", "upstreamPort": 1, "status": "x", "labels": {}, "securityContext": {},
        "containers": [{"name": "s", "restartPolicy": "Always"}], "volumes": [],
    });
    assert!(Template::parse(whole.to_string().as_bytes()).is_ok());
    let with = |key: &str, value: Value| {
        let mut changed = whole.clone();
        changed[key] = value;
        Template::parse(changed.to_string().as_bytes()).unwrap_err()
    };
    use super::super::TemplateError as Error;
    assert!(matches!(with("more", json!(1)), Error::Malformed { .. }));
    assert!(matches!(with("upstreamPort", json!(65536)), Error::Malformed { .. }));
    assert!(matches!(with("volumes", json!(null)), Error::Malformed { .. }));
    assert_eq!(with("volumes", json!([{}])), Error::Nameless);
    assert_eq!(with("volumes", json!([{"name": ""}])), Error::Nameless);
    assert_eq!(with("containers", json!([])), Error::NoSidecar);
    assert_eq!(with("containers", json!([{"name": "s"}])), Error::NoSidecar);
    let twice = json!([{"name": "s", "restartPolicy": "Always"}, {"name": "s", "restartPolicy": "Always"}]);
    assert_eq!(with("containers", twice), Error::NoSidecar);
    assert_eq!(with("volumes", json!(vec![json!({"name": "v"}); 64])), Error::TooManyParts);
    let large = whole.to_string() + &" ".repeat(ledgerstone::limits::INJECTOR_TEMPLATE_BYTES_MAX);
    assert_eq!(Template::parse(large.as_bytes()).unwrap_err(), Error::TooLarge);
}
