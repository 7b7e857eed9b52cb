//! Outcomes by group, from decisions that the real sidecar recorded and attributes that stand apart from them.
//!
//! Danger: attributes that reach the log, people who are joined to the wrong group, or figures that nobody can trace. Expected: the counts
//! are those of the table, a vault without the records says nothing about anybody, and what does not belong together gives no figures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "tests fail by panicking, and may start programs and print"
)]

mod support;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use clap::Parser as _;
use ledgerstone::proto::inference::infer_parameter::ParameterChoice;
use ledgerstone::proto::inference::{InferParameter, ModelInferRequest};
use ledgerstone_verifier::cli::Arguments;
use ledgerstone_verifier::command;
use ledgerstone_verifier::exit::Exit;
use ledgerstone_verifier::output::Output;
use serde_json::Value as Json;
use support::{Sidecar, request, serve_doubler};
use tempfile::TempDir;

/// People: each third one is female. Whose doubled value is 16 or more is invited: five of the 14 women, twelve of the 28 others.
const PEOPLE: u32 = 42;

struct World {
    folder: TempDir,
    sidecar: Sidecar,
    decisions: Vec<String>,
}

fn person(number: u32) -> String {
    format!("applicant-{number:04}-of-the-north")
}

fn is_female(number: u32) -> bool {
    number.is_multiple_of(3)
}

fn asked(number: u32) -> ModelInferRequest {
    let value = f32::from(u8::try_from(number / 3).unwrap()) - if is_female(number) { 1.0 } else { 0.0 };
    let mut request = request(&format!("r{number}"), value);
    let subject = InferParameter { parameter_choice: Some(ParameterChoice::StringParam(person(number))) };
    request.parameters.insert("applicant".to_owned(), subject);
    request
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut decisions = Vec::new();
        let sidecar = runtime.block_on(async {
            let sidecar = Sidecar::init(folder.path(), serve_doubler().await);
            let config = std::fs::read_to_string(sidecar.config()).unwrap();
            let more = "threshold = { value = 16.0, above = \"approve\", below = \"deny\" }\nadverse = [\"deny\"]\n\
                        subject = { parameter = \"applicant\" }\n";
            std::fs::write(sidecar.config(), config + more).unwrap();
            let mut running = sidecar.start();
            let mut client = sidecar.client().await;
            for number in 0..PEOPLE {
                let answer = client.model_infer(asked(number)).await.unwrap();
                let id = answer.metadata().get("ledgerstone-decision-id").unwrap().to_str().unwrap();
                decisions.push(id.to_owned());
            }
            assert!(running.stop().success());
            sidecar
        });
        let world = World { folder, sidecar, decisions };
        let exported = world.sidecar.command("bundle").arg("export").arg("-o").arg(world.path("all.bundle")).output();
        assert!(exported.unwrap().status.success());
        world
    })
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The table of everybody's sex but the last one's, by a column of this name.
    fn table(&self, name: &str, column: &str, key: impl Fn(u32) -> String) -> PathBuf {
        let mut text = format!("{column},sex,race_ethnicity\n");
        for number in 0..PEOPLE - 1 {
            let race = if number < 6 { "" } else { "of, \"the\" north" };
            let quoted = race.replace('"', "\"\"");
            let sex = if is_female(number) { "female" } else { "male" };
            writeln!(text, "{},{sex},\"{quoted}\"", key(number)).unwrap();
        }
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn vault(&self, table: &std::path::Path, name: &str) -> (PathBuf, String) {
        let output = self
            .sidecar
            .command("vault")
            .arg("make")
            .arg(table)
            .arg("-o")
            .arg(self.path(name))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (self.path(name), String::from_utf8(said).unwrap())
    }
}

/// Runs `ledgerstone report ...` and returns how it ended and what it said.
fn report(words: &[&str]) -> (Exit, String) {
    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let arguments = Arguments::try_parse_from(["ledgerstone", "report"].iter().chain(words)).unwrap();
    let said = Said::default();
    let mut output = Output::into(arguments.output, Box::new(said.clone()), Box::new(said.clone()));
    let exit =
        command::run(&arguments.command, &mut output).unwrap_or_else(|refusal| output.refuse(&refusal));
    let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
    (exit, said)
}

fn group<'a>(figures: &'a Json, dimension: usize, value: &str) -> &'a Json {
    let groups = figures["dimensions"][dimension]["groups"].as_array().unwrap();
    groups.iter().find(|group| group["values"][0] == value).unwrap()
}

#[test]
fn outcomes_by_group_follow_from_bundle_and_vault_and_trace_to_leaf_indices() {
    let world = world();
    let (vault, said) = world.vault(&world.table("by-subject.csv", "subject", person), "by-subject.vault");
    assert!(said.contains("41 people"), "{said}");
    let policy = world.sidecar.store().join("log.policy");
    let (bundle, out) = (world.path("all.bundle"), world.path("fairness"));
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let (bundle, vault, policy, out) = (text(&bundle), text(&vault), text(&policy), text(&out));
    let (exit, said) = report(&["fairness", &bundle, "--vault", &vault, "--policy", &policy, "-o", &out]);
    assert_eq!(exit, Exit::Verified, "{said}");
    let figures: Json =
        serde_json::from_slice(&std::fs::read(world.path("fairness/report.json")).unwrap()).unwrap();
    assert_eq!(
        (&figures["people"], &figures["not_in_vault"], &figures["unread"]),
        (&42.into(), &1.into(), &0.into())
    );
    // Values are 0 to 13, one less for women; twice the value is at least 16 from 8 on.
    let (female, male) = (group(&figures, 0, "female"), group(&figures, 0, "male"));
    assert_eq!((&female["people"], &female["selected"]), (&14.into(), &5.into()));
    assert_eq!((&male["people"], &male["selected"]), (&27.into(), &11.into()));
    assert_eq!((&female["impact_ratio"], &female["below_four_fifths"]), (&"0.8766".into(), &false.into()));
    // The figures can be counted again from the trace, whose leaf indices are those of the log.
    let trace = std::fs::read_to_string(world.path("fairness/trace.csv")).unwrap();
    let mut lines = csv::Reader::from_reader(trace.as_bytes());
    let lines: Vec<csv::StringRecord> = lines.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 42);
    let women: Vec<_> = lines.iter().filter(|line| &line[8] == "female").collect();
    assert_eq!((women.len(), women.iter().filter(|line| &line[5] == "1").count()), (14, 5));
    assert_eq!(&lines[6][9], "of, \"the\" north");
    assert!(lines.iter().map(|line| line[0].parse::<u64>().unwrap()).is_sorted());
    let mode = std::fs::metadata(world.path("fairness/trace.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for name in ["report.csv", "report.html", "report.pdf"] {
        assert!(std::fs::metadata(world.path("fairness").join(name)).unwrap().len() > 500, "{name}");
    }
    // A second time into the same folder: nothing is overwritten.
    let (exit, said) = report(&["fairness", &bundle, "--vault", &vault, "--policy", &policy, "-o", &out]);
    assert!(exit == Exit::Usage && said.contains("exists already"), "{said}");
}

#[test]
fn a_table_by_decision_gives_the_same_vault_and_lines_about_nobody_are_counted() {
    let world = world();
    let (by_subject, _) = world.vault(&world.table("s.csv", "subject", person), "s.vault");
    let by_id = world.table("d.csv", "decision_id", |number| world.decisions[number as usize].clone());
    let (by_id, _) = world.vault(&by_id, "d.vault");
    assert_eq!(std::fs::read(by_subject).unwrap(), std::fs::read(&by_id).unwrap());
    assert_eq!(std::fs::metadata(&by_id).unwrap().permissions().mode() & 0o777, 0o600);
    let strangers = world.table("x.csv", "subject", |number| person(number + 40));
    let (_, said) = world.vault(&strangers, "x.vault");
    assert!(said.contains("2 people") && said.contains("39 lines of the table name nobody"), "{said}");
    let (_, said) = world.vault(&strangers, "x.vault");
    assert!(said.contains("an existing file is left alone"), "{said}");
}

#[test]
fn the_vault_names_nobody_and_nothing_of_it_reaches_the_log() {
    let world = world();
    let (vault, _) = world.vault(&world.table("n.csv", "subject", person), "n.vault");
    let text = std::fs::read_to_string(vault).unwrap();
    for number in 0..PEOPLE {
        assert!(!text.contains(&person(number)) && !text.contains(&world.decisions[number as usize]));
    }
    let found = std::process::Command::new("grep")
        .args(["-r", "-l", "female"])
        .arg(world.sidecar.store())
        .output()
        .unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
}

#[test]
fn tables_and_vaults_that_cannot_be_used_say_why() {
    let world = world();
    let try_table = |name: &str, text: &str| {
        let table = world.path(name);
        std::fs::write(&table, text).unwrap();
        world.vault(&table, &format!("{name}.vault")).1
    };
    for (text, expected) in [
        ("name,sex\na,f\n", "must name either a column"),
        ("subject,decision_id,sex\na,b,f\n", "must name either a column"),
        ("subject,sex\na,f\na,m\n", "line 3 is about somebody whom an earlier line is about"),
        ("decision_id,person,sex\na,first,f\n", "`person` is no number"),
        ("subject,Sex\na,f\n", "named with a-z"),
        ("subject\na\n", "1 to 8 different attributes"),
        ("subject,a,b,c,d,e,f,g,h,i\n", "at most 8"),
        ("subject,sex\na\n", "record 1"),
        ("", "must name either a column"),
    ] {
        let said = try_table("bad.csv", text);
        assert!(said.contains(expected), "{text:?}: {said}");
    }
    let long = format!("subject,sex\n{},{}\n", person(1), "x".repeat(65));
    assert!(try_table("long.csv", &long).contains("1 to 64 bytes"));

    let bundle = world.path("all.bundle").to_str().unwrap().to_owned();
    let (vault, _) = world.vault(&world.table("v.csv", "subject", person), "v.vault");
    let out = world.path("never").to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(&vault).unwrap();
    let try_vault = |text: String, words: &[&str]| {
        let path = world.path("try.vault");
        std::fs::write(&path, text).unwrap();
        let begins = ["fairness", &bundle, "--vault", path.to_str().unwrap(), "-o", &out];
        report(&[&begins[..], words].concat())
    };
    let (exit, said) = try_vault(text.replace("example.com/tests", "example.com/other"), &[]);
    assert!(exit == Exit::Usage && said.contains("example.com/other"), "{said}");
    let (exit, said) = try_vault(text.clone() + "{}\n", &[]);
    assert!(exit == Exit::Malformed && said.contains("line 43"), "{said}");
    let (exit, said) = try_vault(text, &["--by", "sex,age"]);
    assert!(exit == Exit::Usage && said.contains("no attribute `age`"), "{said}");
    assert!(!world.path("never").exists(), "nothing was written");
}

#[test]
fn decisions_are_summed_by_month_and_route_and_an_unverified_checkpoint_is_said() {
    let world = world();
    let (bundle, out) = (world.path("all.bundle"), world.path("summary"));
    let (exit, said) = report(&["summary", bundle.to_str().unwrap(), "-o", out.to_str().unwrap(), "--json"]);
    assert_eq!(exit, Exit::Undecided, "{said}");
    assert!(said.contains("\"checkpoint_verified\": false"), "{said}");
    let figures: Json = serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    let line = &figures["lines"][0];
    assert_eq!(
        (&line["route"], &line["decisions"], &line["against"]),
        (&"doubler".into(), &42.into(), &25.into())
    );
    assert_eq!(figures["all"]["adverse_rate"], "0.5952");
}
