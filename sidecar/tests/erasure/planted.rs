//! Two hundred personal values go through a running system, and are then searched for in everything that it left behind.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use ledgerstone::proto::inference as oip;
use ledgerstone::proto::ledgerstone_v1::{BackUpRequest, EraseRequest};
use serde_json::json;

use crate::anchored::Authority;
use crate::support::{Sidecar, http_get, request, serve_doubler};
use crate::world::{every_file, http, subject};

/// Values that stand nowhere by chance: a name, an e-mail address, a number and so on for each of 50 people.
fn planted(person: usize) -> [String; 4] {
    let tag = format!("{:08x}", person.wrapping_mul(0x9e37_79b9) & 0xffff_ffff);
    [
        format!("Ada-Lovelace-{tag}"),
        format!("ada.{tag}@example.net"),
        format!("DE89-3704-{tag}"),
        format!("diagnosis {tag} of the left hand"),
    ]
}

/// The value as it may lie in a file: as text, in UTF-16, as base64 at each of three offsets, and as hex.
fn spellings(value: &str) -> Vec<Vec<u8>> {
    let utf16 = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let base64 = (0..3).map(|offset| {
        let padded = [vec![b'x'; offset], value.as_bytes().to_vec()].concat();
        let text = ledgerstone::encoding::base64_encode(&padded);
        // The first and the last group depend on what stands beside the value.
        text.as_bytes()[4..text.len() - 4].to_vec()
    });
    let hex = ledgerstone::encoding::hex_encode(value.as_bytes()).into_bytes();
    [value.as_bytes().to_vec(), utf16, hex].into_iter().chain(base64).collect()
}

/// What is searched for, by its first eight bytes.
type Needles = HashMap<[u8; 8], Vec<(Vec<u8>, String)>>;

fn needles<'a>(values: impl IntoIterator<Item = &'a String>) -> Needles {
    let mut needles = Needles::new();
    for value in values {
        for spelling in spellings(value) {
            let first = spelling[..8].try_into().unwrap();
            needles.entry(first).or_default().push((spelling, value.clone()));
        }
    }
    needles
}

fn find(what: &str, bytes: &[u8], needles: &Needles) {
    for (at, window) in bytes.windows(8).enumerate() {
        let Some(candidates) = needles.get(window) else { continue };
        for (spelling, value) in candidates {
            assert!(!bytes[at..].starts_with(spelling), "{value} stands in {what}");
        }
    }
}

/// Somebody who opens bundles: the recipient of the age format's own example.
const RECIPIENT: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

/// What is handed out: a copy of the keyring, and an encrypted bundle of every record. Receipts go elsewhere, because they show
/// a person what their route lets them.
fn export(files: &Sidecar, to: &Path, receipts: &Path) {
    let backup = ["keyring", "backup", "--output", "keyring.db"];
    let receipts = ["receipt", "export", "--output", receipts.to_str().unwrap()];
    let bundle = ["bundle", "export", "--from", "0", "--recipient", RECIPIENT, "--output", "evidence.bundle"];
    std::fs::create_dir(to).unwrap();
    for arguments in [&backup[..], &receipts, &bundle] {
        let mut command = files.command(arguments[0]);
        let output = command.args(&arguments[1..]).current_dir(to).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(std::fs::metadata(to.join("evidence.bundle")).unwrap().len() > 10_000);
}

/// A receipt shows the decision and its review, nothing of the input, and nothing of anybody else.
fn find_in_receipts(receipts: &Path, people: &[[String; 4]], decisions: &[String]) {
    for (person, decision) in decisions.iter().enumerate() {
        let receipt = std::fs::read(receipts.join(format!("{decision}.json"))).unwrap();
        assert!(String::from_utf8_lossy(&receipt).contains(&people[person][1]), "what the search could find");
        let others = people.iter().enumerate().filter(|(other, _)| *other != person);
        let values = others.flat_map(|(_, values)| values).chain([&people[person][2]]);
        find(&format!("the receipt of {decision}"), &receipt, &needles(values));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_planted_values_stand_nowhere_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let files = Sidecar::init(folder.path(), serve_doubler().await);
    let recorder = std::net::SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()));
    let text = std::fs::read_to_string(files.config()).unwrap();
    let route =
        "score = { tensor = \"score\" }\nsubject = { parameter = \"applicant\" }\nretention = \"reg-b\"\n";
    let text = text.replace("score = { tensor = \"score\" }\n", route);
    // Its head is fixed by a timestamp authority, where one can be run.
    let authority = Authority::start();
    let lane = authority.as_ref().map(|authority| authority.lane("tsa")).unwrap_or_default();
    let text = format!("{text}\n[recorder]\nlisten = \"{recorder}\"\n{lane}");
    std::fs::write(files.config(), text).unwrap();
    let mut command = files.command("run");
    command.args(["--log-filter", "trace"]);
    let mut running = files.start_as(command);
    let mut model = files.client().await;
    let people: Vec<[String; 4]> = (0..50).map(planted).collect();
    let values: Vec<String> = people.iter().flatten().cloned().collect();
    assert_eq!(values.len(), 200);
    let needles = needles(&values);
    let mut decisions = Vec::new();
    for [name, mail, number, text] in &people {
        let parameter = |value: &String| oip::InferParameter {
            parameter_choice: Some(oip::infer_parameter::ParameterChoice::StringParam(value.clone())),
        };
        let mut asked = request(mail, 2.5);
        asked.parameters = HashMap::from([
            ("applicant".to_owned(), parameter(name)),
            ("account".to_owned(), parameter(number)),
            ("note".to_owned(), parameter(text)),
        ]);
        let answer = model.model_infer(asked).await.unwrap();
        let id = answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap().to_owned();
        let body = json!({ "fields": { "review/[0]/reviewer": mail, "review/[0]/action": "confirm",
            "review/[0]/reason": text, "review/[0]/at": 1_795_000_000_000_u64 } });
        let (status, said) =
            http(recorder, "POST", &format!("/decisions/{id}/review"), &body.to_string()).await;
        assert_eq!(status, 201, "{said}");
        decisions.push(id);
    }
    // The values are in the records: what opens shows them, so the search could find them.
    let (_, shown) = http(recorder, "GET", &format!("/decisions/{}", decisions[7]), "").await;
    assert!(
        shown.to_string().contains(&people[7][0]) && shown.to_string().contains(&people[7][3]),
        "{shown}"
    );
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{recorder}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut keyring = ledgerstone::proto::ledgerstone_v1::keyring_client::KeyringClient::new(channel);
    keyring.back_up(BackUpRequest {}).await.unwrap();
    let is_proof = |path: &Path| path.ends_with("proof.tsr");
    while authority.is_some() && !every_file(&files.store()).iter().any(|(path, _)| is_proof(path)) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let outside = tempfile::tempdir().unwrap();
    let receipts = outside.path().join("receipts");
    export(&files, &folder.path().join("exports"), &receipts);
    find_in_receipts(&receipts, &people, &decisions);
    let search = async |when: &str| {
        let mut searched = 0;
        for (path, bytes) in every_file(folder.path()) {
            searched += bytes.len();
            find(&format!("{} {when}", path.display()), &bytes, &needles);
        }
        for path in ["/metrics", "/anchors", "/models", "/ready"] {
            // Nobody answers once it is stopped.
            let Some((_, body)) = http_get(files.admin, path).await else { continue };
            find(&format!("{path} {when}"), &body, &needles);
        }
        searched
    };
    assert!(search("while it runs").await > 100_000);
    for [name, ..] in people.iter().take(10) {
        let request = EraseRequest {
            target: Some(subject(name)),
            ground: "subject-request".to_owned(),
            operator: "dpo".to_owned(),
        };
        assert!(keyring.erase(request).await.unwrap().into_inner().erased);
    }
    search("after ten erasures").await;
    assert!(running.stop().success());
    search("after the stop").await;
    assert!(files.log_lines().len() > 1000, "the log lines were searched too");
}
