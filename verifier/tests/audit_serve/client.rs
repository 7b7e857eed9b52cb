//! `ledgerstone audit submit` against a node.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::evidence::Evidence;
use crate::node::{Desk, flat, long, said, signal};

#[test]
fn a_bundle_goes_there_and_its_results_come_back_as_from_a_local_run() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    desk.write("july.bundle", &Evidence::of(700, 1).bundle());
    let local = desk.local("july.bundle");
    let to = ["--to", &node.url()];
    let submit = |rest: &[&str]| desk.run(&[&["audit", "submit"][..], &to, rest].concat());

    let fetched = submit(&["july.bundle", "-o", "there.jsonl", "--label", "July"]);
    assert_eq!(fetched.status.code(), Some(0), "{}", said(&fetched));
    assert!(desk.read("there.jsonl") == local);
    assert!(said(&fetched).contains("700  EXACT"), "{}", said(&fetched));
    assert!(!desk.path("there.jsonl.partial").exists());
    let again = submit(&["july.bundle", "-o", "there.jsonl"]);
    assert_eq!(again.status.code(), Some(64), "an existing file is left alone");

    let detached = submit(&["july.bundle", "--detach", "--json"]);
    let run: serde_json::Value = serde_json::from_slice(&detached.stdout).unwrap();
    let run_id = run["run"].as_str().unwrap();
    assert_eq!(run["state"], "done");
    let listed = said(&submit(&["--list"]));
    assert!(
        listed.starts_with(&format!("{run_id}  done")) && listed.trim_end().ends_with("July"),
        "{listed}"
    );
    let watched = submit(&["--watch", run_id, "-o", "again.jsonl"]);
    assert_eq!(watched.status.code(), Some(0), "{}", said(&watched));
    assert!(desk.read("again.jsonl") == local);
    let shown = submit(&["--watch", run_id]);
    assert!(said(&shown).contains("Fetch the results with"), "{}", said(&shown));
    assert_eq!(submit(&["--delete", run_id]).status.code(), Some(0));
    let gone = submit(&["--watch", run_id]);
    assert!(said(&gone).contains("there is no run"), "{}", said(&gone));
    assert_eq!(gone.status.code(), Some(64));
    node.stop();
}

#[test]
fn a_file_of_the_inbox_is_recomputed_by_its_name() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("inbox")).unwrap();
    let bundle = Evidence::of(300, 2).bundle();
    desk.write("inbox/july.bundle", &bundle);
    let node = desk.serve(&["--inbox", "inbox"]);
    let sha256 = ledgerstone::hash::Hash::of(&bundle).to_string();
    let inbox = ["--inbox", "july.bundle", "--sha256", &sha256];
    let ran = desk.run(&[&["audit", "submit", "--to", &node.url()][..], &inbox].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", said(&ran));
    node.stop();
}

#[test]
fn exceptions_and_failures_end_as_they_do_in_a_local_run() {
    let desk = Desk::new();
    desk.write("bare.bundle", &Evidence { is_described: false, ..Evidence::of(300, 3) }.bundle());
    desk.write("none.bundle", b"not a bundle");
    let node = desk.serve(&[]);
    let submit =
        |bundle: &str| desk.run(&["audit", "submit", bundle, "--to", &node.url(), "-o", "out.jsonl"]);
    let bare = submit("bare.bundle");
    assert_eq!(bare.status.code(), Some(1), "{}", said(&bare));
    std::fs::remove_file(desk.path("out.jsonl")).unwrap();
    let none = submit("none.bundle");
    assert_eq!(none.status.code(), Some(65), "{}", said(&none));
    assert!(said(&none).contains("failed:"), "{}", said(&none));
    assert!(!desk.path("out.jsonl").exists());
    let absent = submit("absent.bundle");
    assert_eq!(absent.status.code(), Some(2), "{}", said(&absent));
    node.stop();
    let unanswered = desk.run(&["audit", "submit", "--list", "--to", "grpc://127.0.0.1:1"]);
    assert_eq!(unanswered.status.code(), Some(2));
    assert!(said(&unanswered).contains("cannot be reached"), "{}", said(&unanswered));
}

#[test]
fn what_the_service_refuses_is_said_with_its_reason() {
    let desk = Desk::new();
    let node = desk.serve(&["--upload-max", "1KiB"]);
    desk.write("large.bundle", &Evidence::of(300, 7).bundle());
    let refused = desk.run(&["audit", "submit", "large.bundle", "--to", &node.url()]);
    assert!(flat(&refused).contains("this service takes 1024"), "{}", said(&refused));
    assert_eq!(refused.status.code(), Some(65), "{}", said(&refused));
    node.stop();
}

#[test]
fn ctrl_c_leaves_the_run_going_and_says_how_to_watch_it() {
    let desk = Desk::new();
    let node = desk.serve(&[]);
    desk.write("long.bundle", &long().0);
    let mut command = desk.command(&["audit", "submit", "long.bundle", "--to", &node.url()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let submitted = lines.next().unwrap();
    let run_id = submitted.strip_prefix("The run is ").unwrap().trim_end_matches('.').to_owned();
    signal(child.id(), "INT");
    let rest = lines.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(child.wait().unwrap().code(), Some(2), "{rest}");
    assert!(rest.contains("goes on"), "{rest}");
    assert!(rest.contains(&format!("--watch {run_id}")), "{rest}");
    let watched = desk.run(&[
        "audit",
        "submit",
        "--watch",
        &run_id,
        "--to",
        &node.url(),
        "-o",
        "long.jsonl",
        "--progress",
    ]);
    assert_eq!(watched.status.code(), Some(0), "{}", said(&watched));
    assert!(desk.read("long.jsonl") == long().1);
    node.stop();
}

#[test]
fn settings_that_make_no_sense_are_refused_before_the_port_is_bound() {
    let desk = Desk::new();
    let serve =
        |arguments: &[&str]| desk.run(&[&["audit", "serve", "--folder", "node"][..], arguments].concat());
    let cases: [(&[&str], i32, &str); 8] = [
        (&["--listen", "0.0.0.0:0"], 64, "--tls-cert"),
        (&["--inbox", "none"], 64, "is not a folder"),
        (&["--upload-max", "7"], 64, "a size with its unit"),
        (&["--runs", "0"], 64, "--runs"),
        (&["--tls-cert", "lending.policy"], 64, "--tls-key"),
        (&["--identity", "none.txt"], 2, "none.txt"),
        (&["--policy", "none.policy"], 2, "none.policy"),
        (
            &["--listen", "127.0.0.1:0", "--tls-cert", "lending.policy", "--tls-key", "lending.policy"],
            65,
            "certificate",
        ),
    ];
    for (arguments, status, word) in cases {
        let refused = serve(arguments);
        assert_eq!(refused.status.code(), Some(status), "{arguments:?}: {}", said(&refused));
        assert!(flat(&refused).contains(word), "{arguments:?}: {}", said(&refused));
    }
}

#[cfg(not(ledgerstone_cuda))]
#[test]
fn a_program_without_graphics_processors_does_not_pretend_to_use_one() {
    let desk = Desk::new();
    let refused = desk.run(&["audit", "serve", "--folder", "node", "--device", "cuda"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(flat(&refused).contains("was not built for graphics processors"), "{}", said(&refused));
    assert!(!desk.path("node").exists());
}

#[cfg(feature = "age")]
#[test]
fn an_encrypted_bundle_opens_with_the_services_identity() {
    use age::secrecy::ExposeSecret as _;
    let desk = Desk::new();
    let identity = age::x25519::Identity::generate();
    let sealed = age::encrypt(&identity.to_public(), &Evidence::of(300, 8).bundle()).unwrap();
    desk.write("july.age", &sealed);
    desk.write("identity.txt", format!("{}\n", identity.to_string().expose_secret()).as_bytes());
    let submit = |node: &crate::node::Node| desk.run(&["audit", "submit", "july.age", "--to", &node.url()]);
    let node = desk.serve(&[]);
    let closed = submit(&node);
    assert!(flat(&closed).contains("is encrypted and does not open"), "{}", said(&closed));
    node.stop();
    let node = desk.serve(&["--identity", "identity.txt"]);
    let opened = submit(&node);
    assert_eq!(opened.status.code(), Some(0), "what failed goes on: {}", said(&opened));
    node.stop();
}
