//! The chart in a real API server: installed, upgraded, uninstalled; its policies asked about pods of every shape.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::tools::{CHART, list, text};

const POLICIES: &str = "admission.validating.enabled=true,admission.mutating.enabled=true";

/// Namespaces for every way to opt in, at Pod Security's level `restricted`.
pub(crate) fn namespaces(cluster: &Cluster) {
    for (name, enforce) in [("free", "none"), ("some", "regulated"), ("every", "all")] {
        cluster.told(&["create", "namespace", name]);
        let level = "pod-security.kubernetes.io/enforce=restricted";
        cluster.told(&["label", "namespace", name, &format!("ledgerstone.io/enforce={enforce}"), level]);
    }
}

/// A pod that is allowed everywhere but for the sidecar that it lacks.
pub(crate) fn bare(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "pod", "namespace": namespace},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "model", "image": "registry.example.com/model:1",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsUser": 1000},
            }],
        },
    })
}

pub(crate) fn regulated(mut pod: Value) -> Value {
    pod["metadata"]["labels"] = json!({"ledgerstone.io/regulated": "true"});
    pod
}

pub(crate) fn annotated(namespace: &str, annotations: &[(&str, &str)]) -> Value {
    let mut pod = bare(namespace);
    for (name, value) in annotations {
        pod["metadata"]["annotations"][format!("ledgerstone.io/{name}")] = json!(value);
    }
    pod
}

/// The pod that the chart's own Deployment would make.
pub(crate) fn own(cluster: &Cluster, namespace: &str) -> Value {
    let mut pod = cluster.get(namespace, "deployment", "loans-ledgerstone")["spec"]["template"].clone();
    (pod["apiVersion"], pod["kind"]) = (json!("v1"), json!("Pod"));
    (pod["metadata"]["name"], pod["metadata"]["namespace"]) = (json!("own"), json!("some"));
    pod
}

fn sidecar(pod: &mut Value) -> &mut Value {
    let inits = pod["spec"]["initContainers"].as_array_mut().unwrap();
    inits.iter_mut().find(|init| init["name"] == "ledgerstone").unwrap()
}

#[test]
fn a_pod_without_the_sidecar_is_rejected_where_a_namespace_asks_for_it() {
    let Some(cluster) = Cluster::start("the admission policies in an API server") else { return };
    namespaces(&cluster);
    cluster.helm(&["install", "loans", CHART, "--namespace", "some", "--set", POLICIES]);
    let lacks = |said: &Result<Value, String>| {
        said.as_ref().is_err_and(|said| said.contains("the pod has no sidecar ledgerstone"))
    };
    cluster.admits_in_time(&regulated(bare("some")), lacks);

    assert!(cluster.admit(&bare("free")).is_ok());
    assert!(cluster.admit(&regulated(bare("free"))).is_ok());
    assert!(cluster.admit(&bare("some")).is_ok(), "it is not regulated");
    assert!(lacks(&cluster.admit(&bare("every"))));
    cluster.admit(&own(&cluster, "some")).expect("the chart's own pod");

    refuses_what_is_no_sidecar(&cluster);
    refuses_changes_of_running_pods(&cluster);
    injects(&cluster);
    leaves_alone_what_it_cannot_inject(&cluster);
}

/// A pod with something called `ledgerstone` that would not record, or that leaves a way past it.
fn refuses_what_is_no_sidecar(cluster: &Cluster) {
    type Change = fn(&mut Value);
    let cases: &[(&str, Change)] = &[
        ("has no sidecar", |pod| pod["spec"]["initContainers"].as_array_mut().unwrap().clear()),
        ("has no sidecar", |pod| {
            _ = sidecar(pod).as_object_mut().unwrap().remove("restartPolicy").map(|_| strip(pod))
        }),
        ("comes from none of", |pod| sidecar(pod)["image"] = json!("evil.example.com/x:1")),
        ("comes from none of", |pod| {
            sidecar(pod)["image"] = json!("ghcr.io/ledgerstone/ledgerstone-sidecar-not:1")
        }),
        ("must run with the arguments", |pod| sidecar(pod)["args"] = json!(["config", "explain"])),
        ("must run with the arguments", |pod| sidecar(pod)["command"] = json!(["/bin/true"])),
        ("must run with the arguments", |pod| _ = sidecar(pod).as_object_mut().unwrap().remove("args")),
        ("startup and a readiness probe", |pod| {
            _ = sidecar(pod).as_object_mut().unwrap().remove("startupProbe")
        }),
        ("startup and a readiness probe", |pod| {
            _ = sidecar(pod).as_object_mut().unwrap().remove("readinessProbe")
        }),
        ("must be a persistentVolumeClaim", |pod| {
            let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
            let store = volumes.iter_mut().find(|volume| volume["name"] == "ledgerstone-store").unwrap();
            *store = json!({"name": "ledgerstone-store", "emptyDir": {}});
        }),
        ("must be a persistentVolumeClaim", |pod| {
            _ = sidecar(pod).as_object_mut().unwrap().remove("volumeMounts")
        }),
    ];
    for (expected, change) in cases {
        let mut pod = own(cluster, "some");
        change(&mut pod);
        let said = cluster.admit(&pod).expect_err(expected);
        assert!(said.contains(expected), "{expected}: {said}");
    }
    // Pod Security refuses these where it is enforced; the policy does so alone.
    cluster.told(&[
        "label",
        "--overwrite",
        "namespace",
        "some",
        "pod-security.kubernetes.io/enforce=privileged",
    ]);
    let cases: &[(&str, Change)] = &[
        ("the model server's loopback is the node's", |pod| pod["spec"]["hostNetwork"] = json!(true)),
        ("a hostPort would lead", |pod| {
            pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8081, "hostPort": 8081}]);
        }),
    ];
    for (expected, change) in cases {
        let mut pod = own(cluster, "some");
        change(&mut pod);
        let refused = |said: &Result<Value, String>| said.as_ref().is_err_and(|said| said.contains(expected));
        cluster.admits_in_time(&pod, refused);
    }
    cluster.told(&[
        "label",
        "--overwrite",
        "namespace",
        "some",
        "pod-security.kubernetes.io/enforce=restricted",
    ]);
}

/// An init container that ends may have no probes but the ones of a sidecar.
fn strip(pod: &mut Value) {
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        sidecar(pod).as_object_mut().unwrap().remove(probe);
    }
}

fn refuses_changes_of_running_pods(cluster: &Cluster) {
    cluster.create(&own(cluster, "some"));
    let exchanged = cluster.kubectl(&[
        "--namespace",
        "some",
        "set",
        "image",
        "pod/own",
        "ledgerstone=evil.example.com/x:1",
    ]);
    let said = String::from_utf8(exchanged.stderr).unwrap();
    assert!(said.contains("comes from none of"), "{said}");
    let image = "ledgerstone=ghcr.io/ledgerstone/ledgerstone-sidecar:0.1.1";
    cluster.told(&["--namespace", "some", "set", "image", "pod/own", image]);

    let arguments = [
        "--namespace",
        "some",
        "debug",
        "own",
        "--image=registry.example.com/shell:1",
        "--target=model",
        "--profile=restricted",
    ];
    let added = cluster.kubectl(&arguments);
    let said = String::from_utf8(added.stderr).unwrap();
    assert!(said.contains("reaches the model server on loopback"), "{said}");
}

/// An annotated pod gets the very sidecar of the partial, first, with what its annotations say.
fn injects(cluster: &Cluster) {
    let asked = [
        ("inject", "enabled"),
        ("store-claim", "journal-7"),
        ("upstream-port", "9001"),
        ("profile", "loans"),
        ("mode", "strict"),
    ];
    let mut pod = annotated("every", &asked);
    pod["spec"]["initContainers"] = json!([pod["spec"]["containers"][0].clone()]);
    pod["spec"]["initContainers"][0]["name"] = json!("first");
    cluster.admits_in_time(&pod, Result::is_ok);
    let made = cluster.admit(&pod).unwrap();
    let names: Vec<_> =
        list(&made["spec"]["initContainers"]).iter().map(|init| text(&init["name"])).collect();
    assert_eq!(names, ["ledgerstone-init", "ledgerstone", "first"]);
    assert_eq!(
        made["metadata"]["annotations"]["ledgerstone.io/status"],
        "injected 0.1.0 ghcr.io/ledgerstone/ledgerstone-sidecar:0.1.0"
    );
    assert_eq!(made["metadata"]["labels"]["ledgerstone.io/regulated"], "true");
    assert_eq!(made["spec"]["securityContext"]["fsGroup"], 65532);
    assert_eq!(made["spec"]["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch");
    assert_eq!(made["spec"]["securityContext"]["runAsNonRoot"], true, "what the pod said stays");
    assert!(list(&made["spec"]["volumes"]).contains(
        &json!({"name": "ledgerstone-store", "persistentVolumeClaim": {"claimName": "journal-7"}})
    ));

    let own = own(cluster, "some");
    for (at, (injected, expected)) in
        list(&made["spec"]["initContainers"]).iter().zip(list(&own["spec"]["initContainers"])).enumerate()
    {
        let mut expected = expected.clone();
        expected["volumeMounts"].as_array_mut().unwrap().retain(|mount| mount["name"] != "model");
        for variable in expected["env"].as_array_mut().unwrap() {
            match text(&variable["name"]) {
                "LEDGERSTONE_LOG_ORIGIN" => {
                    variable["value"] = json!("loans-ledgerstone.some.svc/decisions/every/journal-7")
                }
                "LEDGERSTONE_WRITER_NAME" => variable["value"] = json!("journal-7"),
                "LEDGERSTONE_UPSTREAM_ADDRESS" => variable["value"] = json!("http://127.0.0.1:9001"),
                _ => {}
            }
        }
        assert_eq!(*injected, expected, "container {at}");
    }

    // A pod that has nothing of what is added to, and one that has its own group.
    let mut plain = annotated("every", &[("inject", "enabled"), ("store-claim", "c")]);
    let context = plain["spec"].as_object_mut().unwrap().remove("securityContext").unwrap();
    plain["spec"]["containers"][0]["securityContext"]["runAsNonRoot"] = context["runAsNonRoot"].clone();
    plain["spec"]["containers"][0]["securityContext"]["seccompProfile"] = context["seccompProfile"].clone();
    assert_eq!(cluster.admit(&plain).unwrap()["spec"]["securityContext"]["fsGroup"], 65532);
    let mut grouped = annotated("every", &[("inject", "enabled"), ("store-claim", "c")]);
    grouped["spec"]["securityContext"]["fsGroup"] = json!(4000);
    assert_eq!(cluster.admit(&grouped).unwrap()["spec"]["securityContext"]["fsGroup"], 4000);
}

/// What asks for something that is not offered is not half injected, and so it is rejected.
fn leaves_alone_what_it_cannot_inject(cluster: &Cluster) {
    let cases: &[&[(&str, &str)]] = &[
        &[("inject", "enabled")],
        &[("inject", "disabled"), ("store-claim", "c")],
        &[("store-claim", "c")],
        &[("inject", "enabled"), ("store-claim", "c"), ("mode", "observe")],
        &[("inject", "enabled"), ("store-claim", "c"), ("protocol", "http")],
        &[("inject", "enabled"), ("store-claim", "c"), ("upstream-port", "9001@evil.example.com")],
        &[("inject", "enabled"), ("store-claim", "c"), ("upstream-port", "0")],
        &[("inject", "enabled"), ("store-claim", "c"), ("profile", "a/b")],
        &[("inject", "enabled"), ("store-claim", "c"), ("profile", "")],
        &[("inject", "enabled"), ("store-claim", "../c")],
        &[("inject", "enabled"), ("store-claim", "C\"+x")],
    ];
    for annotations in cases {
        let said = cluster.admit(&annotated("every", annotations)).expect_err(&format!("{annotations:?}"));
        assert!(said.contains("the pod has no sidecar ledgerstone"), "{annotations:?}: {said}");
        let free = cluster.admit(&annotated("free", annotations)).unwrap();
        assert!(free["spec"]["initContainers"].is_null(), "{annotations:?}");
    }
    let free = annotated("free", &[("inject", "enabled"), ("store-claim", "c")]);
    assert!(
        cluster.admit(&free).unwrap()["spec"]["initContainers"].is_null(),
        "the namespace did not ask for it"
    );
}

#[test]
fn the_chart_installs_upgrades_and_leaves_its_claim_behind() {
    let Some(cluster) = Cluster::start("the chart in an API server") else { return };
    namespaces(&cluster);
    let some = ["--namespace", "some"];
    let notes = cluster.helm(&[&["install", "loans", CHART][..], &some].concat());
    for expected in [
        "rollout status deployment/loans-ledgerstone",
        "helm -n some test loans",
        "log.origin",
        "keys lie on the volume",
    ] {
        assert!(notes.contains(expected), "{notes}");
    }
    let claim = cluster.get("some", "persistentvolumeclaim", "loans-ledgerstone-store");
    cluster.helm(
        &[&["upgrade", "loans", CHART, "--set", "config.text=,log.origin=log.example.com/loans"][..], &some]
            .concat(),
    );
    cluster.helm(&[&["uninstall", "loans"][..], &some].concat());
    let kept = cluster.get("some", "persistentvolumeclaim", "loans-ledgerstone-store");
    assert_eq!(kept["metadata"]["uid"], claim["metadata"]["uid"]);
    assert!(kept["metadata"]["deletionTimestamp"].is_null(), "it waits for its deletion");
    assert!(
        !cluster.kubectl(&["get", "--namespace=some", "deployment", "loans-ledgerstone"]).status.success()
    );
    cluster.helm(&[&["install", "loans", CHART][..], &some].concat());
    let taken = cluster.get("some", "persistentvolumeclaim", "loans-ledgerstone-store");
    assert_eq!(taken["metadata"]["uid"], claim["metadata"]["uid"], "installed again it has the same log");

    // Without the operator's kinds, which this server does not know.
    let values =
        "monitoring.podMonitor.enabled=false,monitoring.prometheusRule.enabled=false,audit.policy=log x";
    let ha = [
        "install",
        "ha",
        CHART,
        "-f",
        "deploy/helm/ledgerstone/values-ha.yaml",
        "--set",
        values,
        "--namespace",
        "every",
    ];
    let notes = cluster.helm(&ha);
    assert!(notes.contains("rollout status statefulset/ha-ledgerstone"), "{notes}");
    let set = cluster.get("every", "statefulset", "ha-ledgerstone");
    assert_eq!(
        set["spec"]["persistentVolumeClaimRetentionPolicy"],
        json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
    );
    let job = cluster.get("every", "cronjob", "ha-ledgerstone-verify");
    assert_eq!(job["spec"]["jobTemplate"]["spec"]["completions"], 3);
}
