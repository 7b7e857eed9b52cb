//! The chart over a matrix of values: lint, schemas, goldens, and what must hold in every render.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::pods;
use crate::tools::{CHART, Render, Tools, list, read, root, script, text};

const HA: &[&str] = &["-f", "deploy/helm/ledgerstone/values-ha.yaml"];

/// Sets of values beside the default and HA ones, each put on top of both.
const SETS: &[&[&str]] = &[
    &[],
    &["--set", "keys.source=secret,keys.existingSecret=loans-keys,keys.receipt=true"],
    &["--set", "keys.source=secret,keys.existingSecret=loans-keys,createLog=true"],
    &[
        "--set",
        "keys.provider=aws-kms,serviceAccount.annotations.eks\\.amazonaws\\.com/role-arn=arn:aws:iam::1:role/x",
    ],
    &["--set", "sidecar.tls.existingSecret=loans-tls,sidecar.registry=true,sidecar.recorder=true"],
    &[
        "--set",
        "sidecar.tls.existingSecret=loans-tls,sidecar.tls.clients=true,sidecar.tls.clientSecret=audit-tls,monitoring.serviceMonitor.enabled=true,monitoring.podMonitor.enabled=true,audit.policy=log x,audit.verify.enabled=true",
    ],
    &["--set", "config.existingConfigMap=own-config,model.existingClaim=models"],
    &[
        "--set",
        "model.existingConfigMap=own-model,imagePullSecrets={a,b},image.digest=sha256:9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4",
    ],
    &["--set", "serviceAccount.create=false,networkPolicy.egress.restrict=true"],
    &[
        "--set-json",
        r#"networkPolicy.egress.rules=[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8"}}],"ports":[{"port":443,"protocol":"TCP"}]}]"#,
        "--set",
        "networkPolicy.egress.restrict=true",
    ],
    &["--set-json", r#"networkPolicy.ingress={"grpc":[],"http":[],"admin":[]}"#],
    &[
        "--set",
        "networkPolicy.enabled=false,tests.enabled=false,podDisruptionBudget.enabled=true,podDisruptionBudget.maxUnavailable=50%",
    ],
    &[
        "--set",
        "monitoring.serviceMonitor.enabled=true,monitoring.podMonitor.enabled=true,monitoring.prometheusRule.enabled=true,monitoring.dashboard.enabled=true,monitoring.labels.release=kps,monitoring.prometheusRule.labels.team=risk",
    ],
    &[
        "--set",
        "admission.validating.enabled=true,admission.mutating.enabled=true,admission.validating.actions={Warn,Audit}",
        "--kube-version",
        "1.36.0",
    ],
    &["--set", "admission.mutating.enabled=true", "--kube-version", "1.35.0"],
    &["--set", "injector.enabled=true,admission.validating.enabled=true"],
    &["--set", "injector.enabled=true,injector.certificates.source=cert-manager,injector.replicas=1"],
    &[
        "--set",
        "injector.enabled=true,injector.only=true,injector.certificates.source=cert-manager,injector.certificates.issuerRef.name=corp,injector.certificates.issuerRef.kind=ClusterIssuer,injector.url=https://hooks.example.com:9443/",
    ],
    &[
        "--set",
        "injector.enabled=true,injector.certificates.source=existing,injector.certificates.existingSecret=webhook-tls,injector.certificates.caBundle=PEM,networkPolicy.enabled=false",
    ],
    &[
        "--set-json",
        r#"injector.ingress={"webhook":[],"admin":[]}"#,
        "--set",
        "injector.enabled=true,fullnameOverride=a-name-that-is-far-too-long-for-what-has-to-be-added-to-it-later,imagePullSecrets={a},injector.priorityClassName=high,injector.nodeSelector.pool=system",
    ],
    &["--set", "audit.policy=log x,audit.verify.enabled=true"],
    &[
        "--set",
        "audit.existingConfigMap=trust,audit.verify.enabled=true,audit.verify.schedule=@daily,audit.verify.logs=7",
    ],
    &[
        "--set",
        "audit.existingConfigMap=trust,audit.recompute.enabled=true,audit.recompute.existingClaim=bundles,audit.recompute.bundles=8,audit.recompute.registered=true,audit.recompute.identitySecret=age",
    ],
    &[
        "--set",
        "audit.policy=log x,audit.recompute.enabled=true,audit.recompute.existingClaim=bundles,audit.recompute.device=cuda,audit.recompute.image.repository=r.example/cuda,audit.recompute.runtimeClassName=nvidia",
        "--set-json",
        r#"audit.recompute.tolerations=[{"key":"nvidia.com/gpu","operator":"Exists","effect":"NoSchedule"}]"#,
    ],
    &[
        "--set-json",
        r#"workload.affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"In","values":["nvme"]}]}]}}}"#,
        "--set",
        "workload.priorityClassName=high,workload.nodeSelector.pool=models,workload.podLabels.team=risk,store.storageClass=fast",
    ],
    &["--set", "fullnameOverride=a-name-that-is-far-too-long-for-what-has-to-be-added-to-it-later"],
    &[
        "--set-json",
        r#"sidecar.extraEnv=[{"name":"VAULT_TOKEN","valueFrom":{"secretKeyRef":{"name":"vault","key":"token"}}}]"#,
        "--set-json",
        r#"extraVolumes=[{"name":"ca","secret":{"secretName":"ca"}}]"#,
        "--set-json",
        r#"sidecar.extraVolumeMounts=[{"name":"ca","mountPath":"/ca","readOnly":true}]"#,
    ],
];

fn matrix() -> impl Iterator<Item = Vec<&'static str>> {
    let each = |base: &'static [&'static str]| SETS.iter().map(move |set| [base, set].concat());
    each(&[]).chain(each(HA))
}

#[test]
fn the_chart_passes_lint_with_every_set_of_values() {
    let Some(tools) = Tools::find("helm lint") else { return };
    for arguments in matrix() {
        let output = tools.helm(["lint", "--strict", "--quiet", CHART]).args(&arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn every_render_of_the_matrix_fits_the_schemas_of_kubernetes_and_its_own_parts() {
    let Some(tools) = Tools::find("the matrix of renders") else { return };
    for arguments in matrix() {
        let yaml = tools.template(&arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        assert_eq!(tools.faults(&yaml), None, "{arguments:?}");
        let render = Render(tools.documents(&yaml));
        pods::check(&render, &arguments.join(" "));
        names_are_short_enough(&render);
    }
    // The check can fail: a field that no Deployment has.
    let spoiled = tools.template(&[]).unwrap().replace("replicas:", "replicaz:");
    assert!(tools.faults(&spoiled).is_some_and(|said| said.contains("replicaz")));
}

/// A Service, and a pod of a StatefulSet, has a name of one label of DNS.
fn names_are_short_enough(render: &Render) {
    for object in &render.0 {
        let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
        let most = if ["Service", "StatefulSet", "Job", "CronJob"].contains(&kind) { 52 } else { 253 };
        assert!(name.len() <= most, "{kind} {name} has {} characters", name.len());
    }
}

#[test]
fn the_default_and_the_ha_render_are_the_golden_ones() {
    let Some(tools) = Tools::find("golden renders") else { return };
    let injector: &[&str] = &["--set", "injector.enabled=true,injector.only=true"];
    for (name, arguments) in [("default", &[][..]), ("ha", HA), ("injector", injector)] {
        let path = root().join(format!("sidecar/tests/deploy/golden/{name}.yaml"));
        let found = tools.template(arguments).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        assert!(
            found == golden,
            "{name} is rendered otherwise; UPDATE_GOLDEN=1 writes it, then read the difference"
        );
    }
}

#[test]
fn the_injector_never_waits_for_itself_and_may_touch_nothing_but_its_own() {
    let Some(tools) = Tools::find("the injector's rights") else { return };
    let render = tools.render(&["--set", "injector.enabled=true"]);
    let webhook = &render.the("MutatingWebhookConfiguration")["webhooks"][0];
    assert_eq!(webhook["failurePolicy"], "Fail");
    assert_eq!(webhook["sideEffects"], "None");
    assert_eq!(webhook["reinvocationPolicy"], "IfNeeded");
    let expressions = list(&webhook["namespaceSelector"]["matchExpressions"]);
    let never = expressions.iter().find(|each| each["operator"] == "NotIn").unwrap();
    for namespace in ["kube-system", "lending"] {
        assert!(list(&never["values"]).iter().any(|value| value == namespace), "{namespace}");
    }
    for (kind, secret) in [("Role", "loans-ledgerstone-injector-tls"), ("ClusterRole", "")] {
        for rule in list(&render.the(kind)["rules"]) {
            assert_eq!(rule["verbs"], serde_json::json!(["get", "update"]), "{kind}");
            assert_eq!(list(&rule["resourceNames"]).len(), 1, "{kind} is of more than one object");
            assert!(secret.is_empty() || rule["resourceNames"][0] == secret);
        }
    }
    // With certificates of others it asks the API server for nothing.
    let others = tools.render(&["--set", "injector.enabled=true,injector.certificates.source=cert-manager"]);
    assert!(!others.0.iter().any(|object| text(&object["kind"]).contains("Role")));
    let policy = others.named("NetworkPolicy", "loans-ledgerstone-injector");
    assert!(policy["spec"]["egress"].is_null() && policy["spec"]["policyTypes"][1] == "Egress");
    let only = tools.render(&["--set", "injector.enabled=true,injector.only=true"]);
    for kind in ["PersistentVolumeClaim", "StatefulSet", "Pod"] {
        assert_eq!(only.of_kind(kind).count(), 0, "{kind}");
    }
    assert_eq!(only.of_kind("Service").count(), 1);
}

#[test]
fn the_kustomize_base_is_the_rendered_chart() {
    let Some(tools) = Tools::find("the Kustomize base") else { return };
    let folder = tempfile::tempdir().unwrap();
    let fresh = folder.path().join("base");
    script("render-kustomize", &[fresh.to_str().unwrap()]).unwrap();
    let base = root().join("deploy/kustomize/base");
    assert_eq!(files(&fresh), files(&base), "run scripts/render-kustomize");

    let output = std::process::Command::new(&tools.kubectl).arg("kustomize").arg(&base).output().unwrap();
    let built = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(tools.faults(&built), None);
    let render = Render(tools.documents(&built));
    pods::check(&render, "kustomize");
    for object in &render.0 {
        assert!(!object.to_string().to_lowercase().contains("helm"), "{object} still speaks of Helm");
    }
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_workload_of_ones_own_takes_the_sidecar_from_the_partial() {
    let Some(tools) = Tools::find("the partial in another chart") else { return };
    let folder = tempfile::tempdir().unwrap();
    let chart = folder.path().join("own");
    copy(&root().join("sidecar/tests/deploy/own"), &chart);
    copy(&root().join(CHART), &chart.join("charts/ledgerstone"));
    let output = tools.helm(["template", "own"]).arg(&chart).output().unwrap();
    let yaml = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(tools.faults(&yaml), None);
    let render = Render(tools.documents(&yaml));
    pods::check(&render, "own");

    // It is the same sidecar as the example's, but for the example's model.
    let own = render.the("Deployment")["spec"]["template"]["spec"]["initContainers"].clone();
    let example = tools.render(&[
        "--set",
        "fullnameOverride=own-ledgerstone,model.port=9000,log.origin=log.example.com/own",
    ]);
    let mut expected = example.the("Deployment")["spec"]["template"]["spec"]["initContainers"].clone();
    for container in expected.as_array_mut().unwrap() {
        container["volumeMounts"].as_array_mut().unwrap().retain(|mount| mount["name"] != "model");
    }
    assert_eq!(own, expected);
    assert!(render.of_kind("Service").all(|service| {
        let pod = &render.the("Deployment")["spec"]["template"]["metadata"]["labels"];
        pods::selects(&service["spec"]["selector"], pod)
    }));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            _ = std::fs::copy(entry.path(), target).unwrap()
        }
    }
}

#[test]
fn alerts_and_dashboard_name_only_what_the_sidecar_measures() {
    let Some(tools) = Tools::find("alerts and dashboard") else { return };
    let render =
        tools.render(&["--set", "monitoring.prometheusRule.enabled=true,monitoring.dashboard.enabled=true"]);
    let mut expressions: Vec<String> = list(&render.the("PrometheusRule")["spec"]["groups"][0]["rules"])
        .iter()
        .map(|rule| text(&rule["expr"]).to_owned())
        .collect();
    let dashboard: Value = serde_json::from_str(text(
        &render.named("ConfigMap", "loans-ledgerstone-dashboard")["data"]["ledgerstone.json"],
    ))
    .unwrap();
    for panel in list(&dashboard["panels"]) {
        expressions.extend(list(&panel["targets"]).iter().map(|target| text(&target["expr"]).to_owned()));
    }
    let measured = measured(&root().join("sidecar/src"));
    let mut named = BTreeSet::new();
    for expression in &expressions {
        let parts = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        named.extend(
            parts
                .filter(|part| part.starts_with("ledgerstone_") && *part != "ledgerstone_io_log")
                .map(str::to_owned),
        );
    }
    assert!(named.len() > 20, "{named:?}");
    for name in &named {
        let suffixes = ["", "_total", "_seconds_bucket", "_seconds_count", "_seconds_sum", "_sum", "_count"];
        let bases: Vec<_> = suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix)).collect();
        assert!(bases.iter().any(|base| measured.contains(*base)), "{name} is none of {measured:?}");
    }
}

#[test]
fn every_alert_has_its_section_in_the_runbook_and_leads_there() {
    let Some(tools) = Tools::find("alerts and runbook") else { return };
    let render = tools.render(&["--set", "monitoring.prometheusRule.enabled=true"]);
    let rules = list(&render.the("PrometheusRule")["spec"]["groups"][0]["rules"]).to_vec();
    assert!(rules.len() >= 13, "{} rules", rules.len());
    let page = read("docs/operations.md");
    let (_, runbook) = page.split_once("\n## Runbook\n").unwrap();
    for rule in &rules {
        let name = text(&rule["alert"]);
        let heading = format!("\n### {name}\n");
        let (_, section) =
            runbook.split_once(&heading).unwrap_or_else(|| panic!("docs/operations.md has no ### {name}"));
        let section = section.split("\n### ").next().unwrap();
        assert!(section.trim().len() > 100, "{name} says too little: {section}");
        let url = text(&rule["annotations"]["runbook_url"]);
        let anchor =
            url.strip_prefix("https://github.com/ledgerstone/ledgerstone/blob/main/docs/operations.md#");
        assert_eq!(anchor, Some(name.to_lowercase().as_str()));
    }
}

/// Every metric's name in the sources of the sidecar.
fn measured(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            names.extend(measured(&entry));
        } else {
            let source = std::fs::read_to_string(&entry).unwrap();
            let quoted = source.split('"').filter(|part| part.starts_with("ledgerstone_"));
            names.extend(
                quoted
                    .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
                    .map(str::to_owned),
            );
        }
    }
    names
}

#[test]
fn the_chart_is_of_the_version_of_the_programs() {
    let chart = read("deploy/helm/ledgerstone/Chart.yaml");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        chart.contains(&format!("\nappVersion: \"{version}\"\n")),
        "Chart.yaml: appVersion is not {version}"
    );
    for image in ["ledgerstone-sidecar", "ledgerstone"] {
        assert!(
            chart.contains(&format!("image: ghcr.io/ledgerstone/{image}:{version}\n")),
            "Chart.yaml: {image}"
        );
    }
}
