//! Values that are refused: unknown keys at every level, wrong types everywhere, and values that contradict each other.

use serde_json::{Value, json};

use crate::tools::{Tools, read};

/// Maps whose keys are the user's own.
const OPEN: &[&str] = &[
    "/store/annotations",
    "/serviceAccount/annotations",
    "/service/annotations",
    "/workload/annotations",
    "/workload/podAnnotations",
    "/workload/podLabels",
    "/workload/nodeSelector",
    "/monitoring/labels",
    "/monitoring/prometheusRule/labels",
    "/monitoring/dashboard/labels",
    "/audit/recompute/nodeSelector",
    "/injector/nodeSelector",
    "/tests/request/parameters",
    "/networkPolicy/ingress/admin/0/namespaceSelector/matchLabels",
];

/// Values where a number may stand for a text.
const QUANTITIES: &[&str] = &["cpu", "memory", "store/size"];

/// Each value of `value` with its path.
fn walk(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    found.push((path.to_owned(), value.clone()));
    let below = |key: &str| format!("{path}/{}", key.replace('/', "~1"));
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| walk(&below(key), value, found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| walk(&below(&at.to_string()), item, found))
        }
        _ => {}
    }
}

fn values(tools: &Tools) -> Vec<(String, Value)> {
    let text = read("deploy/helm/ledgerstone/values.yaml");
    let mut found = Vec::new();
    walk("", &tools.documents(&text)[0], &mut found);
    found
}

/// The values with `change` at `path`, as a file that `helm template` is given.
fn with(all: &Value, path: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut changed = all.clone();
    change(changed.pointer_mut(path).unwrap());
    changed
}

fn refusal(tools: &Tools, values: &Value) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.json");
    std::fs::write(&file, values.to_string()).unwrap();
    tools.template(&["-f", file.to_str().unwrap()]).err()
}

#[test]
fn keys_that_the_chart_does_not_know_are_refused_at_every_level() {
    let Some(tools) = Tools::find("unknown keys") else { return };
    let found = values(&tools);
    let levels: Vec<_> = found.iter().filter(|(path, value)| value.is_object() && !is_open(path)).collect();
    assert!(levels.len() > 40, "{}", levels.len());
    let changed = levels
        .iter()
        .fold(found[0].1.clone(), |all, (path, _)| with(&all, path, |value| value["sidecarr"] = json!(1)));
    let said = refusal(&tools, &changed).unwrap();
    for (path, _) in levels {
        let refused = format!("at '{path}': additional properties 'sidecarr' not allowed");
        let kubernetes = format!("at '{path}': anyOf failed");
        assert!(said.contains(&refused) || said.contains(&kubernetes), "{path}/sidecarr is ignored: {said}");
    }
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || path.contains("/ingress/admin/") && path.ends_with("/matchLabels")
}

/// Values that are of none of the types that the one at `path` may be.
fn wrong(path: &str, value: &Value) -> Vec<Value> {
    match value {
        Value::String(_) if QUANTITIES.iter().any(|known| path.ends_with(known)) => {
            vec![json!(true), json!(["a"]), json!({"a": 1})]
        }
        Value::String(_) => vec![json!(7), json!(true), json!(["a"]), json!({"a": 1})],
        Value::Bool(_) => vec![json!("true"), json!(1)],
        Value::Number(_) => vec![json!("x"), json!(true), json!([7])],
        Value::Array(_) => vec![json!("a"), json!({"a": 1})],
        Value::Object(_) => vec![json!("a"), json!(["a"])],
        Value::Null => panic!("{path} has no value"),
    }
}

#[test]
fn values_of_wrong_types_are_refused_everywhere() {
    let Some(tools) = Tools::find("wrong types") else { return };
    let found = values(&tools);
    let mut checked = 0;
    // Those at one depth at a time, each with another wrong value a round: one that is wrong hides what is below it.
    let depth = |path: &str| path.matches('/').count();
    for level in 1..=found.iter().map(|(path, _)| depth(path)).max().unwrap() {
        let chosen = found.iter().filter(|(path, _)| depth(path) == level);
        let chosen: Vec<_> =
            chosen.filter(|(path, _)| !path.starts_with("/tests/request/parameters/")).collect();
        for round in 0..4 {
            let changes: Vec<_> = chosen
                .iter()
                .map(|(path, value)| {
                    let wrong = wrong(path, value);
                    (path, wrong[round % wrong.len()].clone())
                })
                .collect();
            let changed = changes.iter().fold(found[0].1.clone(), |all, (path, wrong)| {
                with(&all, path, |value| *value = wrong.clone())
            });
            let Some(said) = refusal(&tools, &changed) else { panic!("{changes:?} is taken") };
            for (path, wrong) in changes {
                assert!(said.contains(&format!("at '{path}'")), "{path} may be {wrong}: {said}");
                checked += 1;
            }
        }
    }
    assert!(checked > 500, "{checked}");
}

#[test]
fn values_that_contradict_each_other_are_refused_with_what_to_do() {
    let Some(tools) = Tools::find("contradictions") else { return };
    let cases: &[(&[&str], &str)] = &[
        (&["--set", "workload.replicas=2"], "'/workload/replicas': maximum: got 2, want 1"),
        (&["--set", "workload.kind=DaemonSet"], "'/workload/kind'"),
        (&["--set", "keys.source=secret"], "name the Secret in keys.existingSecret"),
        (&["--set", "keys.source=env"], "'/keys/source'"),
        (
            &["--set", "workload.kind=StatefulSet,store.existingClaim=x"],
            "store.existingClaim is for a Deployment",
        ),
        (&["--set", "model.existingClaim=a,model.existingConfigMap=b"], "come from one of them"),
        (&["--set", "audit.recompute.enabled=true,audit.policy=x"], "audit.recompute.existingClaim"),
        (&["--set", "audit.recompute.enabled=true,audit.recompute.existingClaim=x"], "without keys to trust"),
        (
            &["--set", "audit.verify.enabled=true,audit.policy=x,audit.existingConfigMap=y"],
            "come from one of them",
        ),
        (
            &[
                "--set",
                "audit.recompute.enabled=true,audit.recompute.existingClaim=x,audit.policy=x,audit.recompute.device=cuda",
            ],
            "docs/gpu.md",
        ),
        (&["--set", "admission.mutating.enabled=true", "--kube-version", "1.33.0"], "from Kubernetes 1.34"),
        (
            &[
                "--set",
                "admission.mutating.enabled=true,keys.source=secret,keys.existingSecret=x",
                "--kube-version",
                "1.36.0",
            ],
            "set keys.source to volume",
        ),
        (
            &["--set", "injector.enabled=true,keys.source=secret,keys.existingSecret=x"],
            "set keys.source to volume",
        ),
        (
            &["--set", "injector.enabled=true,admission.mutating.enabled=true", "--kube-version", "1.36.0"],
            "enable one of them",
        ),
        (&["--set", "injector.only=true"], "set injector.enabled too"),
        (
            &["--set", "injector.enabled=true,injector.certificates.source=existing"],
            "name the Secret in injector.certificates.existingSecret",
        ),
        (
            &["--set", "injector.enabled=true,injector.certificates.caBundle=x"],
            "are for injector.certificates.source existing",
        ),
        (&["--set", "injector.certificates.source=vault"], "'/injector/certificates/source'"),
        (&["--set", "injector.certificates.lifetime=90d"], "'/injector/certificates/lifetime'"),
        (&["--set", "injector.url=http://x"], "'/injector/url'"),
        (&["--set", "injector.url=https://user@x"], "'/injector/url'"),
        (&["--set", "injector.replicas=0"], "'/injector/replicas'"),
        (&["--set", "injector.timeoutSeconds=31"], "'/injector/timeoutSeconds'"),
        (&["--set", "injector.failurePolicy=Ignore"], "'failurePolicy'"),
        (&["--kube-version", "1.28.0"], ">=1.30.0"),
        (&["--set", "image.digest=sha256:abc"], "'/image/digest'"),
        (&["--set", "image.tag=a b"], "'/image/tag'"),
        (&["--set", "store.size=ten"], "'/store/size'"),
        (&["--set", "log.origin=a b"], "'/log/origin'"),
        (&["--set", "log.origin=a+b"], "'/log/origin'"),
        (&["--set", "sidecar.name=Sidecar"], "'/sidecar/name'"),
        (&["--set", "sidecar.drainDeadline=25"], "'/sidecar/drainDeadline'"),
        (&["--set", "sidecar.ports.grpc=70000"], "'/sidecar/ports/grpc'"),
        (&["--set", "securityContext.runAsUser=0"], "'/securityContext/runAsUser'"),
        (&["--set", "model.runAsUser=0"], "'/model/runAsUser'"),
        (&["--set-json", r#"extraVolumes=[{"name":"h","hostPath":{"path":"/"}}]"#], "'hostPath'"),
        (&["--set-json", r#"networkPolicy.ingress.http=[{}]"#], "'/networkPolicy/ingress/http/0'"),
        (&["--set-json", r#"workload.tolerations=[{"kee":"x"}]"#], "'kee'"),
        (&["--set-json", r#"sidecar.extraEnv=[{"name":"A","valueFrom":{"secret":{}}}]"#], "'secret'"),
        (&["--set-json", r#"workload.affinity={"nodeAffinity":{"required":{}}}"#], "'required'"),
    ];
    for (arguments, expected) in cases {
        let said = tools.template(arguments).expect_err(&format!("{arguments:?} is taken"));
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
