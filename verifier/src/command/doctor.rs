//! `ledgerstone doctor`: looks at a running installation end to end and says what to fix.
//!
//! Guarantees: nothing is changed; every check has a name that stays; what could not be checked is never passed; what somebody else
//! wrote reaches the terminal without control characters. Knows the sidecar by its documented ports and files alone.
//! Does not do: walking a whole log (`verify log`), or judging anchors' proofs (`verify anchors`).

mod admin;
mod clock;
mod finding;
mod head;
mod judge;
mod local;
mod port;
mod tail;
mod tls;

use std::path::Path;
use std::time::Instant;

use ledgerstone::checkpoint::{Checkpoint, SignedCheckpoint};
use ledgerstone::entry::DecisionId;
use ledgerstone::limits::{NOTE_BYTES_MAX, RECEIPT_BYTES_MAX};
use ledgerstone::policy::Policy;
use ledgerstone::receipt::Receipt;
use ledgerstone::time::UnixMillis;
use ledgerstone::verify::Status;
use serde::Serialize;

use super::{trust, verify_receipt};
use crate::admin::Settings;
use crate::cli::DoctorArguments;
use crate::exit::{Exit, Refusal};
use crate::output::{Output, plural, printable, wrapped};
use crate::progress::Progress;
use crate::source::{Directory, ReadError, Source, Web, WebOptions, read_input};

use finding::Findings;
pub use finding::{Finding, Level};
use head::Read;
use local::Configured;
use tail::Tail;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-doctor/v1";

/// The steps that progress counts.
const STEPS: u64 = 6;

/// Heartbeats where nobody says how often they come.
const HEARTBEAT_MS: u64 = 60_000;

/// Where everything is, and whom to trust.
struct Places<'a> {
    admin: Option<String>,
    http: Option<String>,
    grpc: Option<String>,
    store: Option<Directory>,
    /// Why the store that the configuration names is not looked at.
    store_closed: Option<Refusal>,
    configured: Option<Configured>,
    policy: Option<&'a Policy>,
    checkpoints: Vec<(String, Checkpoint)>,
    web: &'a WebOptions,
    free_min: u64,
    now: UnixMillis,
    /// When it was `now`.
    begun: Instant,
}

impl Places<'_> {
    /// This machine's clock: what is asked may take long.
    fn clock(&self) -> UnixMillis {
        self.now.plus_millis(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// What was found, as JSON.
#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    verdict: &'static str,
    exit: u8,
    checks: &'a [Finding],
    not_looked_at: &'a [&'static str],
}

/// Looks at the installation that the command line names, by this machine's clock.
///
/// # Errors
/// A file that the command line names cannot be read or is malformed.
pub(super) fn run(arguments: &DoctorArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    run_at(arguments, output, UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

/// The same by a clock that says `now`.
///
/// # Errors
/// As the command.
pub fn run_at(arguments: &DoctorArguments, output: &mut Output, now: UnixMillis) -> Result<Exit, Refusal> {
    let policy = trust::policy(&arguments.trust)?;
    let web = arguments.network.options();
    let configured = arguments.config.as_deref().map(Configured::read).transpose()?;
    let url = |given: &Option<String>, name, plain, tls| {
        let asked = configured.as_ref().filter(|_| !arguments.offline);
        given.clone().or_else(|| asked?.url(name, plain, tls))
    };
    let (admin, http) =
        (url(&arguments.admin, "admin", "http", "https"), url(&arguments.http, "http", "http", "https"));
    let grpc = url(&arguments.grpc, "grpc", "grpc", "grpcs");
    let named = configured.as_ref().filter(|_| arguments.store.is_none()).and_then(Configured::store);
    // What the command line names must be there; of what the configuration names it is something to be told.
    let (named, store_closed) = match named.as_deref().map(Directory::open).transpose() {
        Ok(store) => (store, None),
        Err(refusal) => (None, Some(refusal)),
    };
    let mut places = Places {
        admin,
        http,
        grpc,
        store: arguments.store.as_deref().map(Directory::open).transpose()?.or(named),
        store_closed,
        configured,
        policy: policy.as_ref(),
        checkpoints: arguments.checkpoints.iter().map(|path| kept(path)).collect::<Result<_, _>>()?,
        web: &web,
        free_min: arguments.free_min,
        now,
        begun: Instant::now(),
    };
    let mut progress = output.progress();
    let findings = examine(&mut places, &mut progress);
    drop(progress);
    let exit = exit(&findings, arguments.strict);
    if output.is_json() {
        let verdict = match exit {
            Exit::Verified => "ok",
            Exit::Failed => "failed",
            _ => "undecided",
        };
        let (checks, not_looked_at) = (findings.all.as_slice(), findings.left_out.as_slice());
        output.json(&Document { format: FORMAT, verdict, exit: exit.status(), checks, not_looked_at })?;
    } else {
        let text = text(&findings, output);
        output.print(&text)?;
    }
    Ok(exit)
}

fn kept(path: &Path) -> Result<(String, Checkpoint), Refusal> {
    let note = read_input(path, NOTE_BYTES_MAX)?;
    let signed = SignedCheckpoint::parse(&note).map_err(|error| {
        Refusal::malformed(
            format_args!("{} is not a checkpoint: {error}", path.display()),
            "Give a file that `ledgerstone log checkpoint` printed.",
        )
    })?;
    Ok((path.display().to_string(), signed.checkpoint().clone()))
}

fn exit(findings: &Findings, strict: bool) -> Exit {
    match () {
        () if findings.count(Level::Fail) > 0 => Exit::Failed,
        () if strict && findings.count(Level::Warn) > 0 => Exit::Failed,
        () if findings.count(Level::NotChecked) > 0 => Exit::Undecided,
        () => Exit::Verified,
    }
}

/// Makes every check.
fn examine(places: &mut Places<'_>, progress: &mut dyn Progress) -> Findings {
    let mut findings = Findings::default();
    let mut step = (1..=STEPS).map(|done| (done, STEPS));
    let mut on = |progress: &mut dyn Progress| {
        if let Some((done, all)) = step.next() {
            progress.advance("steps", done, all);
        }
    };
    for (place, left) in [
        (&places.admin, "the running sidecar's own numbers: --admin URL"),
        (&places.http, "what the read side serves: --http URL"),
        (&places.grpc, "the gRPC port: --grpc URL"),
    ] {
        findings.left_out.extend(place.is_none().then_some(left));
    }
    local_files(&mut findings, places);
    on(progress);
    certificates(&mut findings, places);
    on(progress);
    let told = match &places.admin {
        Some(url) => admin::ask(&mut findings, url, places),
        None => admin::Told::default(),
    };
    on(progress);
    if told.status.is_none() {
        local_store(&mut findings, places);
    }
    judge::all(&mut findings, &told, places.free_min);
    if let Some(sinks) = &told.sinks {
        admin::judge_sinks(&mut findings, sinks);
    }
    let settings = told.status.as_ref().map(|status| status.settings.clone());
    let settings = settings.or_else(|| places.configured.as_ref().map(Configured::settings));
    if let Some(settings) = &settings {
        judge::settings(&mut findings, settings);
    }
    if let Some(status) = &told.status {
        findings.origins.push(("the admin port", status.origin.clone()));
    }
    on(progress);
    log(&mut findings, places, &told, settings.as_ref());
    on(progress);
    if let Some(url) = &places.grpc {
        port::ask(&mut findings, url, places);
    }
    findings.one_log();
    on(progress);
    findings
}

/// What lies on this machine.
fn local_files(findings: &mut Findings, places: &Places<'_>) {
    let shown = [places.web.identity.as_ref().map(|(_, key)| key.as_path()), places.web.token.as_deref()];
    let shown: Vec<&Path> = shown.into_iter().flatten().collect();
    match &places.configured {
        Some(configured) => configured.files(findings, &shown),
        None if shown.is_empty() => findings.left_out.push("the files with keys: --config FILE"),
        None => {
            local::permissions(findings, &shown.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>())
        }
    }
    match &places.store_closed {
        Some(refusal) => findings.open("store.reached", refusal.message.clone(), refusal.next.clone()),
        None if places.store.is_none() => findings.left_out.push("the store on its disk: --store DIR"),
        None => {}
    }
}

/// The disk and the journal of the store, where no running sidecar says how they are.
fn local_store(findings: &mut Findings, places: &Places<'_>) {
    let Some(store) = places.store.as_ref().and_then(Directory::store) else { return };
    judge::room(findings, local::disk(store), local::journal(store), places.free_min);
}

/// The certificate of every port that speaks TLS. What shows one that does not hold is asked nothing more.
fn certificates(findings: &mut Findings, places: &mut Places<'_>) {
    let urls = [&places.admin, &places.http, &places.grpc].into_iter().flatten();
    let mut addresses: Vec<String> = urls.filter_map(|url| authority(url)).collect();
    addresses.sort();
    addresses.dedup();
    let closed = tls::check(findings, &addresses, places.web, places.now.get());
    for (name, place) in [
        ("admin.reached", &mut places.admin),
        ("http.reached", &mut places.http),
        ("grpc.reached", &mut places.grpc),
    ] {
        if place.as_deref().and_then(authority).is_some_and(|address| closed.contains(&address)) {
            findings.open(
                name,
                "Nothing was asked, because of its certificate.",
                "Mend tls.certificate first.",
            );
            *place = None;
        }
    }
}

/// Host and port of an address that speaks TLS.
fn authority(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("grpcs://"))?;
    let host = rest.split('/').next().unwrap_or(rest);
    let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    Some(if has_port { host.to_owned() } else { format!("{host}:443") })
}

/// The log, over the read side or from the store.
fn log(findings: &mut Findings, places: &Places<'_>, told: &admin::Told, settings: Option<&Settings>) {
    let mut date = told.date.clone();
    let unrecorded = told.metrics.as_ref().and_then(|metrics| metrics.value("ledgerstone_unrecorded"));
    let served = match &places.http {
        None => None,
        Some(url) => match Web::new(url, places.web) {
            Ok(web) => Some(web),
            Err(refusal) => return findings.open("http.reached", refusal.message, refusal.next),
        },
    };
    if let Some(web) = &served {
        match web.get("checkpoint", NOTE_BYTES_MAX) {
            Ok(answer) => {
                findings.ok("http.reached", format!("The read side at {} answers.", web.label()));
                date = date.or(answer.date.map(|date| (date, places.clock())));
            }
            // What it means is said where it is read.
            Err(_) => date = None,
        }
    }
    let store = places.store.as_ref();
    let Some(source) =
        served.as_ref().map(|web| web as &dyn Source).or(store.map(|store| store as &dyn Source))
    else {
        clocks(findings, places, told, date, None);
        return tail::unread(findings, unrecorded);
    };
    let read = head::read(findings, source, store.filter(|_| served.is_some()), places);
    let tail = read.as_ref().map(|read| Tail::new(&read.tail, read.first));
    let now = clocks(findings, places, told, date, tail.as_ref());
    let (Some(read), Some(tail)) = (read, tail) else { return tail::unread(findings, unrecorded) };
    if read.is_whole {
        let heartbeat = settings.and_then(|settings| settings.heartbeat_ms).unwrap_or(HEARTBEAT_MS);
        tail.judge(findings, now, heartbeat, served.is_some(), unrecorded.unwrap_or(0.0));
    } else {
        tail::unread(findings, unrecorded);
    }
    if let Some(web) = served.as_ref().filter(|_| read.is_whole) {
        receipt(findings, web, &read, &tail, places);
    }
    let mut earlier = vec![("the head of a moment ago".to_owned(), read.checkpoint.clone())];
    earlier.extend(places.checkpoints.iter().cloned());
    if read.is_whole || earlier.len() > 1 {
        head::consistent(findings, source, &earlier);
    }
}

/// One line about clocks, from the best that is known of the sidecar's, and what its clock says now, by which the age of entries is told.
fn clocks(
    findings: &mut Findings,
    places: &Places<'_>,
    told: &admin::Told,
    date: Option<(String, UnixMillis)>,
    tail: Option<&Tail>,
) -> UnixMillis {
    let now = places.clock();
    let status = told.status.as_ref().zip(told.heard);
    let told = status.map(|(status, heard)| (UnixMillis::new(status.time_ms), heard, "The sidecar's clock"));
    let said = date.and_then(|(date, heard)| Some((clock::http_date(&date)?, heard, "The server's clock")));
    // An entry says when it was, not what time it is: only one from the future says something.
    let entry =
        tail.and_then(Tail::newest).filter(|at| *at > now).map(|at| (at, now, "The newest entry's time"));
    let Some((theirs, heard, what)) = told.or(said).or(entry) else { return now };
    clock::judge(findings, heard, theirs, what);
    theirs.plus_millis(now.millis_since(heard))
}

/// Fetches the receipt of the newest decision and checks it.
fn receipt(findings: &mut Findings, web: &Web, read: &Read, tail: &Tail, places: &Places<'_>) {
    let name = "receipt.newest";
    let Some(decision) = tail.decision() else {
        return findings
            .ok(name, "There is no decision among the newest entries whose receipt could be checked.");
    };
    let bytes = match web.read(&format!("receipts/{decision}"), RECEIPT_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(ReadError::Status { status: 401 | 403, .. }) => {
            return findings.open(
                name,
                "Receipts are not shown to whoever asks.",
                "Ask with a certificate or token that has the role auditor, compliance or application, too.",
            );
        }
        Err(error) => {
            return findings.fail(
                name,
                format!("The receipt of decision {decision} is not given: {error}."),
                "Look at the sidecar's log lines; `ledgerstone-sidecar index rebuild` makes its lookup index anew.",
            );
        }
    };
    let policy = places.policy.filter(|_| read.signed == Some(true));
    match verify_receipt::run_on_bytes(web.label(), &bytes, policy) {
        Err(refusal) => findings.fail(name, refusal.message, refusal.next),
        Ok(answer) => match answer.report.checks().iter().find(|check| check.status == Status::Failed) {
            Some(check) => findings.fail(
                name,
                format!("The receipt of decision {decision} does not verify: {}", check.detail),
                "Keep it; `ledgerstone verify receipt` says every check. Ask who changed the store or stands between.",
            ),
            None if !is_of(&bytes, decision, read) => findings.fail(
                name,
                format!("What is given as the receipt of decision {decision} is another entry's than the log has."),
                "Keep it. Rebuild the lookup index with `ledgerstone-sidecar index rebuild`; if it is so again, ask who stands between.",
            ),
            None => {
                let keys = if policy.is_some() { "" } else { "; whose keys signed it was not checked" };
                findings.ok(name, format!("The receipt of the newest decision, {decision}, verifies{keys}."));
            }
        },
    }
}

/// Whether a receipt is that of the decision, and of the entry that was read.
fn is_of(bytes: &[u8], decision: DecisionId, read: &Read) -> bool {
    Receipt::parse(bytes).is_ok_and(|receipt| {
        receipt.decision() == decision && read.tail.iter().any(|entry| entry == receipt.entry_bytes())
    })
}

/// Everything that was found, worst first in the verdict and in order below.
fn text(findings: &Findings, output: &Output) -> String {
    let style = output.style();
    let [failed, warned, open] =
        [Level::Fail, Level::Warn, Level::NotChecked].map(|level| findings.count(level) as u64);
    let all = plural(findings.all.len() as u64, "check", "checks");
    let mut text = match (failed, warned, open) {
        (0, 0, 0) => format!("{}: {all}, nothing to fix.\n\n", style.paint("1;32", "OK")),
        (0, _, 0) => format!(
            "{}: {all}, {}.\n\n",
            style.paint("1;33", "OK, BUT LOOK"),
            plural(warned, "warning", "warnings")
        ),
        (0, _, _) => format!(
            "{}: {open} of {all} could not be made, {}.\n\n",
            style.paint("1;33", "COULD NOT DECIDE"),
            plural(warned, "warning", "warnings")
        ),
        _ => format!(
            "{}: {failed} of {all} failed, {}.\n\n",
            style.paint("1;31", "FIX THIS"),
            plural(warned, "warning", "warnings")
        ),
    };
    for finding in &findings.all {
        let (sgr, word) = match finding.level {
            Level::Ok => ("32", "ok"),
            Level::Warn => ("33", "warn"),
            Level::Fail => ("1;31", "FAIL"),
            Level::NotChecked => ("33", "open"),
        };
        // The mark is set apart from the wrapping, which counts columns and not colours.
        let lead = format!("      {:<20}", finding.name);
        let line = wrapped(&printable(&finding.detail), &format!("{lead} "), 27);
        text.push_str(&style.paint(sgr, word));
        text.push_str(line.get(word.len()..).unwrap_or_default());
        if let Some(fix) = &finding.fix {
            text.push_str(&wrapped(&printable(fix), &format!("{:27}fix: ", ""), 32));
        }
    }
    if !findings.left_out.is_empty() {
        text.push_str("\nNot looked at, because nobody said where it is:\n");
        for left in &findings.left_out {
            text.push_str(&wrapped(left, "  - ", 4));
        }
    }
    text
}
