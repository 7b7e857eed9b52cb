//! What holds in every render: Pod Security, the sidecar's place, what selects what, and that nothing refers to what is not there.

use serde_json::{Map, Value};

use crate::tools::{Render, list, text};

/// Names that the values of these tests give for what is there already.
const OUTSIDE: &[&str] = &[
    "loans-keys",
    "loans-tls",
    "own-config",
    "own-model",
    "models",
    "trust",
    "bundles",
    "age",
    "ca",
    "vault",
    "default",
    "webhook-tls",
];

/// Checks every pod of `render`, which was made with `arguments`.
pub(crate) fn check(render: &Render, arguments: &str) {
    for object in &render.0 {
        let Some((labels, spec)) = pod(object) else { continue };
        let what = format!("{} {} with {arguments}", object["kind"], object["metadata"]["name"]);
        restricted(spec, &what);
        complete(render, object, spec, &what);
        if labels["ledgerstone.io/regulated"] == "true" {
            sidecar(render, labels, spec, &what);
        }
    }
    for policy in render.of_kind("NetworkPolicy") {
        for port in list(&policy["spec"]["ingress"]).iter().flat_map(|rule| list(&rule["ports"])) {
            assert!(
                ["grpc", "http", "admin", "webhook"].iter().any(|known| port["port"] == *known),
                "{port} with {arguments}"
            );
        }
    }
}

/// The labels and the specification of the pods that `object` is or makes.
pub(crate) fn pod(object: &Value) -> Option<(&Value, &Value)> {
    let template = match text(&object["kind"]) {
        "Pod" => object,
        "Deployment" | "StatefulSet" | "Job" => &object["spec"]["template"],
        "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"],
        _ => return None,
    };
    Some((&template["metadata"]["labels"], &template["spec"]))
}

pub(crate) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    list(&spec["initContainers"]).iter().chain(list(&spec["containers"]))
}

/// The level `restricted` of the Pod Security Standards, and what it leaves open.
fn restricted(spec: &Value, what: &str) {
    assert_eq!(spec["automountServiceAccountToken"], false, "{what}");
    assert_eq!(spec["enableServiceLinks"], false, "{what}");
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{what}");
    assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{what}");
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(spec[host].is_null(), "{what}: {host}");
    }
    for container in containers(spec) {
        let (context, name) = (&container["securityContext"], &container["name"]);
        assert_eq!(context["allowPrivilegeEscalation"], false, "{what}: {name}");
        assert_eq!(context["capabilities"], serde_json::json!({"drop": ["ALL"]}), "{what}: {name}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{what}: {name}");
        assert_eq!(context["runAsNonRoot"], true, "{what}: {name}");
        assert_ne!(context["runAsUser"], 0, "{what}: {name}");
        assert!(container["resources"]["requests"]["memory"].is_string(), "{what}: {name}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{what}: {name}");
        let image = text(&container["image"]);
        assert!(
            image.contains("@sha256:") || image.rsplit('/').next().unwrap().contains(':'),
            "{what}: {image}"
        );
        assert!(!image.ends_with(":latest"), "{what}: {image}");
        for port in list(&container["ports"]) {
            assert!(port["hostPort"].is_null(), "{what}: {port}");
        }
    }
    for volume in list(&spec["volumes"]) {
        assert!(volume["hostPath"].is_null(), "{what}: {volume}");
    }
}

/// Every volume that is mounted is there, every one that is there is mounted, and so is what it names.
fn complete(render: &Render, object: &Value, spec: &Value, what: &str) {
    let mut volumes: Vec<&str> = list(&spec["volumes"]).iter().map(|volume| text(&volume["name"])).collect();
    volumes.extend(
        list(&object["spec"]["volumeClaimTemplates"]).iter().map(|claim| text(&claim["metadata"]["name"])),
    );
    let mounts: Vec<&str> = containers(spec)
        .flat_map(|container| list(&container["volumeMounts"]))
        .map(|mount| text(&mount["name"]))
        .collect();
    for mount in &mounts {
        assert_eq!(volumes.iter().filter(|volume| *volume == mount).count(), 1, "{what}: {mount}");
    }
    for volume in &volumes {
        assert!(mounts.contains(volume), "{what}: {volume} is mounted nowhere");
    }
    for volume in list(&spec["volumes"]) {
        let named = [
            ("ConfigMap", &volume["configMap"]["name"]),
            ("Secret", &volume["secret"]["secretName"]),
            ("PersistentVolumeClaim", &volume["persistentVolumeClaim"]["claimName"]),
        ];
        for (kind, name) in named.into_iter().filter(|(_, name)| !name.is_null()) {
            let name = text(name);
            // cert-manager makes it.
            let made = |certificate: &Value| kind == "Secret" && certificate["spec"]["secretName"] == name;
            let is_made = render.of_kind("Certificate").any(made);
            assert!(
                render.has(kind, name) || is_made || OUTSIDE.contains(&name),
                "{what}: there is no {kind} {name}"
            );
        }
    }
    let account = &spec["serviceAccountName"];
    if !account.is_null() {
        assert!(
            render.has("ServiceAccount", text(account)) || OUTSIDE.contains(&text(account)),
            "{what}: {account}"
        );
    }
}

/// The sidecar stands before the model server, which nothing reaches past it.
fn sidecar(render: &Render, labels: &Value, spec: &Value, what: &str) {
    let native: Vec<_> =
        list(&spec["initContainers"]).iter().filter(|init| init["restartPolicy"] == "Always").collect();
    let [sidecar] = native.as_slice() else { panic!("{what}: {} native sidecars", native.len()) };
    assert_eq!(sidecar["args"], serde_json::json!(["run"]), "{what}");
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(sidecar[probe]["httpGet"]["port"], "admin", "{what}: {probe}");
    }
    assert_eq!(
        spec["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch",
        "{what}: modes of key files would change"
    );
    for container in list(&spec["containers"]) {
        assert!(container["ports"].is_null(), "{what}: the model server declares ports");
        assert!(listens_on_loopback(container), "{what}: the model server does not listen on loopback");
        let hidden = ["ledgerstone-store", "ledgerstone-keys"];
        let sees =
            list(&container["volumeMounts"]).iter().any(|mount| hidden.contains(&text(&mount["name"])));
        assert!(!sees, "{what}: the model server sees the log or its keys");
    }
    for kind in ["Service", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor"] {
        for object in render.of_kind(kind) {
            let selector = match kind {
                "Service" => &object["spec"]["selector"],
                "NetworkPolicy" => &object["spec"]["podSelector"]["matchLabels"],
                _ => &object["spec"]["selector"]["matchLabels"],
            };
            if selector["app.kubernetes.io/component"].is_null() {
                assert!(
                    selects(selector, labels),
                    "{what}: {kind} {} selects nothing",
                    object["metadata"]["name"]
                );
            }
        }
    }
}

/// Says so by its environment or its arguments; a probe that asks there is not enough.
fn listens_on_loopback(container: &Value) -> bool {
    let words = list(&container["command"]).iter().chain(list(&container["args"]));
    let mut values = words.chain(list(&container["env"]).iter().map(|variable| &variable["value"]));
    values.any(|value| value.as_str().is_some_and(|value| value.contains("127.0.0.1")))
}

pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted: &Map<_, _> = selector.as_object().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(key, value)| &labels[key] == value)
}
