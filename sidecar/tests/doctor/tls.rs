//! Faults of certificates and roles, in front of a sidecar that speaks TLS on every port.

use crate::certificates::{Authority, HOUR, Wanted};
use crate::desk::Installation;
use crate::support::http_get;
use crate::world::until;

/// An installation with TLS whose server shows what `wanted` says.
async fn installation(servers: &Authority, wanted: &Wanted, more: &str) -> Option<Installation> {
    let world = Installation::new().await?;
    let folder = world.folder.path();
    servers.issue(wanted).write(folder, "server");
    std::fs::write(folder.join("servers.pem"), servers.pem()).unwrap();
    world.edit("[upstream]", "[server.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\nclient_ca_file = \"clients.pem\"\nreload_interval = \"100ms\"\n\n[upstream]");
    world.edit("[[route]]", &format!("{more}\n[[route]]"));
    Some(world)
}

fn within(days: i64) -> Wanted {
    Wanted { to: days * 24 * HOUR, ..Wanted::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_roles_are_judged() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let rules = "[access]\n\n[[access.rule]]\ndns = \"ops.example\"\nrole = \"operator\"\n\n[[access.rule]]\ndns = \"ops.example\"\nrole = \"auditor\"\n\n[[access.rule]]\ndns = \"audit.example\"\nrole = \"auditor\"\n";
    let Some(world) = installation(&servers, &within(30), rules).await else { return };
    let folder = world.folder.path().to_owned();
    std::fs::write(folder.join("clients.pem"), clients.pem()).unwrap();
    let _running = world.spawn(4096);
    for name in ["ops", "audit"] {
        clients.issue(&Wanted { dns: vec![format!("{name}.example")], ..within(30) }).write(&folder, name);
        crate::desk::chmod(&folder.join(format!("{name}.key")), "600");
    }
    crate::desk::chmod(&folder.join("server.key"), "600");
    let path = |name: &str| folder.join(name).display().to_string();
    let url =
        |scheme: &str, address: std::net::SocketAddr| format!("{scheme}://localhost:{}", address.port());
    let (admin, http, grpc) = (
        url("https", world.sidecar.admin),
        url("https", world.sidecar.http),
        url("grpcs", world.sidecar.grpc),
    );
    let ask = async |ca: &str, who: &str| {
        let (cert, key) = (path(&format!("{who}.pem")), path(&format!("{who}.key")));
        let ca = path(ca);
        let flags = [
            "--admin",
            &admin,
            "--http",
            &http,
            "--grpc",
            &grpc,
            "--ca-file",
            &ca,
            "--cert-file",
            &cert,
            "--key-file",
            &key,
        ];
        world.doctor(&flags).await
    };
    // It is ready once the doctor finds it so; registering and deciding need clients of their own, so the model is named by nobody.
    until("it serves", async || ask("servers.pem", "ops").await.names("ok").contains(&"sidecar.ready")).await;
    until("it is anchored", async || {
        let said = ask("servers.pem", "ops").await;
        said.names("ok").contains(&"anchors") && said.names("ok").contains(&"log.heartbeats")
    })
    .await;
    assert!(
        http_get(world.sidecar.http, "/checkpoint").await.is_none_or(|(status, _)| status != 200),
        "plain text"
    );

    let said = ask("servers.pem", "ops").await;
    said.assert_only("models", "warn", "ledgerstone model register");
    assert!(said.names("ok").contains(&"tls.certificate") && said.names("ok").contains(&"config.exposed"));

    // Whoever asks has not the role operator.
    ask("servers.pem", "audit").await.assert_only("access.operator", "fail", "role operator");
    // An authority that nobody trusts.
    ask("clients.pem", "ops").await.assert_only("tls.certificate", "fail", "--ca-file");

    // Certificates that are exchanged while it runs. One that has expired is not taken, so that one expires in use.
    for (wanted, level, words) in [
        (within(2), "warn", "Renew it"),
        (Wanted { to: 3, ..Wanted::default() }, "fail", "Renew it"),
        (Wanted { from: 600, to: 30 * 24 * HOUR, ..Wanted::default() }, "fail", "clock"),
        (Wanted { dns: vec!["elsewhere.example".into()], ..within(30) }, "fail", "subjectAltNames"),
    ] {
        let next = servers.issue(&wanted);
        next.write(&folder, "server");
        until(words, async || {
            let said = ask("servers.pem", "ops").await;
            let ill = [said.names("fail"), said.names("warn")].concat();
            ill.contains(&"tls.certificate")
                && said.checks.iter().any(|check| {
                    check["name"] == "tls.certificate"
                        && check["level"] == level
                        && check["fix"].as_str().unwrap().contains(words)
                })
        })
        .await;
        let said = ask("servers.pem", "ops").await;
        if level == "fail" {
            said.assert_only("tls.certificate", "fail", words);
        }
    }
}
