//! Links to receipts, from the outside.

use std::fs;
use std::net::SocketAddr;

use ledgerstone::cose::CoseReceipt;
use ledgerstone::entry::Reference;
use ledgerstone::receipt::Receipt;
use ledgerstone::verify::{self, Verdict};
use ledgerstone_sidecar::cli::{
    LetterFormat, ReceiptLetterArguments, ReceiptLinkArguments, ReceiptRevokeArguments,
};
use ledgerstone_sidecar::commands;
use ledgerstone_sidecar::config::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::Sidecar;
use crate::world::{Told, World, build, init};

const BASE: &str = "https://receipts.example.com";

fn flags(files: &Sidecar) -> Vec<String> {
    let file = |name: &str| files.folder.join(name).display().to_string();
    vec![
        "links.listen=127.0.0.1:0".to_owned(),
        "recorder.listen=127.0.0.1:0".to_owned(),
        format!("links.public_url={BASE}"),
        format!("links.file={}", file("links")),
        format!("receipt.key_file={}", file("receipts.key")),
    ]
}

/// A running sidecar with links, and one decision.
async fn world() -> (World, Config, Told) {
    let (folder, files) = init().await;
    let (config, flags) = (files.load(&flags(&files)), flags(&files));
    commands::receipt_key(&config, &mut Vec::new()).unwrap();
    let app = build(&files, &flags).await.spawn().await.unwrap();
    let world = World { folder, files, app };
    let told = world.decide(1).await.remove(0);
    world.published(told.index + 1).await;
    (world, config, told)
}

/// The address that `receipt link` prints.
fn link(config: &Config, decision: &str, expires: Option<&str>) -> Result<String, String> {
    let (mut out, expires) = (Vec::new(), expires.map(str::to_owned));
    let arguments = ReceiptLinkArguments { decision: decision.to_owned(), expires };
    commands::receipt_link(config, &arguments, &mut out).map_err(|error| format!("{error:#}"))?;
    let said = String::from_utf8(out).unwrap();
    let reference = Reference::of(decision.parse().unwrap()).to_string();
    assert!(said.contains(&format!("reference {reference}\nuntil 20")), "{said}");
    Ok(said.lines().next().unwrap().to_owned())
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn ask(address: SocketAddr, request: String) -> Answer {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes[end + 4..].to_vec() }
}

async fn get(world: &World, path: &str, accept: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: r\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    ask(world.app.links_addr.unwrap(), head).await
}

async fn find(world: &World, form: &str) -> Answer {
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let head = format!(
        "POST /find HTTP/1.1\r\nHost: r\r\n{kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    ask(world.app.links_addr.unwrap(), head).await
}

fn path(url: &str) -> &str {
    url.strip_prefix(BASE).unwrap()
}

/// What the page holds between the tags of an inert script.
fn embedded(page: &str, id: &str) -> Vec<u8> {
    let start = format!("<script type=\"text/plain\" id=\"{id}\">");
    let text = page.split(&start).nth(1).unwrap().split('<').next().unwrap();
    ledgerstone::encoding::base64_decode(text).unwrap()
}

#[tokio::test]
async fn a_link_opens_the_page_with_the_receipt_and_the_keys_in_it() {
    let (world, config, told) = world().await;
    let url = link(&config, &told.decision, None).unwrap();
    let page = get(&world, path(&url), "text/html,*/*;q=0.8").await;
    assert!(page.status == 200 && page.head.contains("content-type: text/html"), "{}", page.head);
    for header in [
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "x-content-type-options: nosniff",
        "x-robots-tag: noindex",
        "content-security-policy: frame-ancestors 'none'",
    ] {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    let receipt = embedded(page.text(), "embedded-receipt");
    assert_eq!(verify::receipt(&receipt, Some(&world.policy())).verdict(), Verdict::Verified);
    assert_eq!(Receipt::parse(&receipt).unwrap().decision().to_string(), told.decision);
    assert_eq!(
        embedded(page.text(), "embedded-policy"),
        fs::read(world.files.store().join("log.policy")).unwrap()
    );
    assert!(page.text().contains("default-src 'none'"), "the page's own policy forbids the network");
    assert!(!page.text().contains(path(&url)), "the page does not say its address");
    world.stop().await;
}

#[tokio::test]
async fn a_link_gives_the_receipt_in_the_form_that_is_asked_for() {
    let (world, config, told) = world().await;
    let url = link(&config, &told.decision, None).unwrap();
    for accept in ["application/vnd.ledgerstone.receipt+json", "application/json"] {
        let answer = get(&world, path(&url), accept).await;
        assert!(answer.head.contains("application/vnd.ledgerstone.receipt+json"), "{}", answer.head);
        assert_eq!(verify::receipt(&answer.body, Some(&world.policy())).verdict(), Verdict::Verified);
    }
    for accept in ["application/cose", "application/scitt-receipt+cose"] {
        let answer = get(&world, path(&url), accept).await;
        assert!(answer.head.contains(&format!("content-type: {accept}")), "{}", answer.head);
        CoseReceipt::decode(&answer.body).unwrap();
    }
    world.stop().await;
}

#[tokio::test]
async fn unknown_expired_and_revoked_links_get_the_same_page_in_four_languages() {
    let (world, config, told) = world().await;
    let expired = link(&config, &told.decision, Some("1us")).unwrap();
    let revoked = link(&config, &told.decision, None).unwrap();
    let open = link(&config, &told.decision, None).unwrap();
    let arguments = ReceiptRevokeArguments { link: Some(revoked.clone()), decision: None };
    commands::receipt_revoke(&config, &arguments, &mut Vec::new()).unwrap();
    let unknown = format!("/r/{}", "A".repeat(27));
    let mut pages = Vec::new();
    for path in
        [path(&expired), path(&revoked), &unknown, "/r/", "/r/x", "/r/../r", "/receipts", "/checkpoint"]
    {
        let answer = get(&world, path, "*/*").await;
        assert!(answer.status == 404 && answer.head.contains("no-store"), "{path}: {}", answer.head);
        pages.push(answer.body);
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "nobody learns why an address opens nothing");
    let page = std::str::from_utf8(&pages[0]).unwrap();
    for language in ["en", "de", "fr", "es"] {
        assert!(page.contains(&format!("<section lang=\"{language}\">")), "{page}");
    }
    assert_eq!(get(&world, path(&open), "*/*").await.status, 200);
    let arguments = ReceiptRevokeArguments { link: None, decision: Some(told.decision.clone()) };
    commands::receipt_revoke(&config, &arguments, &mut Vec::new()).unwrap();
    assert_eq!(get(&world, path(&open), "*/*").await.status, 404);
    assert!(commands::receipt_revoke(&config, &arguments, &mut Vec::new()).is_err());
    world.stop().await;
}

#[tokio::test]
async fn a_reference_opens_the_receipt_while_a_link_to_it_is_open_and_never_otherwise() {
    let (world, config, told) = world().await;
    let reference = Reference::of(told.decision.parse().unwrap()).to_string();
    let typed = [reference.clone(), reference.to_lowercase().replace('-', "+"), reference.replace('-', "")];
    assert_eq!(find(&world, &format!("reference={}", typed[0])).await.status, 404, "there is no link yet");
    let url = link(&config, &told.decision, None).unwrap();
    for typed in &typed {
        let page = find(&world, &format!("reference={typed}")).await;
        assert_eq!(page.status, 200, "{typed}");
        let receipt = embedded(page.text(), "embedded-receipt");
        assert_eq!(verify::receipt(&receipt, Some(&world.policy())).verdict(), Verdict::Verified);
    }
    let mistyped = reference.replace(&reference[..1], if reference.starts_with('0') { "1" } else { "0" });
    for form in
        ["", "reference=", &format!("reference={mistyped}"), &"x".repeat(300), "reference=%00", "\u{e9}"]
    {
        assert_eq!(find(&world, form).await.status, 404, "{form}");
    }
    let arguments = ReceiptRevokeArguments { link: Some(url), decision: None };
    commands::receipt_revoke(&config, &arguments, &mut Vec::new()).unwrap();
    assert_eq!(find(&world, &format!("reference={reference}")).await.status, 404);
    let form = get(&world, "/", "*/*").await;
    assert!(form.status == 200 && form.text().matches("name=\"reference\"").count() == 4, "{}", form.head);
    assert!(
        form.head.contains("form-action 'self'") && form.head.contains("default-src 'none'"),
        "{}",
        form.head
    );
    world.stop().await;
}

#[tokio::test]
async fn guesses_are_limited_and_an_open_link_still_opens() {
    let (world, config, told) = world().await;
    let url = link(&config, &told.decision, None).unwrap();
    let mut limited = 0;
    for n in 0..200 {
        let token = format!("/r/{n:0>26}A");
        limited += usize::from(get(&world, &token, "*/*").await.status == 429);
    }
    assert!(limited > 20, "{limited}");
    assert_eq!(get(&world, path(&url), "*/*").await.status, 200);
    let put =
        format!("PUT {} HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", path(&url));
    assert_eq!(ask(world.app.links_addr.unwrap(), put).await.status, 405);
    world.stop().await;
}

#[tokio::test]
async fn a_link_is_made_for_decisions_of_the_log_and_for_a_bounded_time() {
    let (world, config, told) = world().await;
    let refused = |decision: &str, expires: Option<&str>| link(&config, decision, expires).unwrap_err();
    assert!(refused("0195f2a0-0000-7000-8000-000000000000", None).contains("has no decision"));
    assert!(refused("x", None).contains("neither a decision id nor a reference"));
    assert!(refused(&told.decision, Some("400d")).contains("links.expires_max"));
    assert!(refused(&told.decision, Some("30")).contains("with its unit"), "a bare number has none");
    assert!(refused(&told.decision, Some("0d")).contains("with its unit"));
    world.stop().await;
}

async fn post(world: &World, decision: &str, body: &str) -> Answer {
    let head = format!(
        "POST /decisions/{decision}/link HTTP/1.1\r\nHost: r\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    ask(world.app.recorder_addr.unwrap(), head).await
}

#[tokio::test]
async fn the_operator_s_systems_make_links_over_http() {
    let (world, _config, told) = world().await;
    let reference = Reference::of(told.decision.parse().unwrap()).to_string();
    for (named, body) in [(&told.decision, ""), (&told.decision, "{\"expires\": \"2h\"}"), (&reference, "{}")]
    {
        let made = post(&world, named, body).await;
        assert!(made.status == 201 && made.head.contains("no-store"), "{}", made.text());
        let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
        assert_eq!(made["reference"], reference);
        assert_eq!(get(&world, path(made["url"].as_str().unwrap()), "*/*").await.status, 200);
    }
    let unknown = "0195f2a0-0000-7000-8000-000000000000";
    for (named, body, status) in [
        (told.decision.as_str(), "{\"expires\": \"400d\"}", 400),
        (&told.decision, "{\"expires\": 5}", 400),
        (&told.decision, "{\"until\": \"5d\"}", 400),
        (&told.decision, &"x".repeat(2_000), 413),
        ("nobody", "", 400),
        (unknown, "", 404),
    ] {
        assert_eq!(post(&world, named, body).await.status, status, "{named} {body}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_letter_holds_the_reference_and_the_address_in_every_format() {
    let (world, config, told) = world().await;
    let letter = |format: LetterFormat, language: &str| {
        let (mut out, decision) = (Vec::new(), told.decision.clone());
        let language = language.to_owned();
        let arguments = ReceiptLetterArguments { decision, expires: None, format, language, output: None };
        commands::receipt_letter(&config, &arguments, &mut out)
            .map(|()| out)
            .map_err(|error| error.to_string())
    };
    let reference = Reference::of(told.decision.parse().unwrap()).to_string();
    let text = String::from_utf8(letter(LetterFormat::Text, "de").unwrap()).unwrap();
    assert!(text.contains(&reference) && text.contains("Ihr Beleg"), "{text}");
    let url = text.lines().find(|line| line.contains("/r/")).unwrap().trim();
    assert_eq!(get(&world, path(url), "*/*").await.status, 200);
    let html = String::from_utf8(letter(LetterFormat::Html, "fr").unwrap()).unwrap();
    assert!(html.contains("<svg") && html.contains(&reference), "{html}");
    assert!(letter(LetterFormat::Svg, "en").unwrap().starts_with(b"<svg"));
    assert!(letter(LetterFormat::Png, "en").unwrap().starts_with(b"\x89PNG"));
    assert!(letter(LetterFormat::Text, "tlh").unwrap_err().contains("en, de, fr, es"));
    world.stop().await;
}

#[tokio::test]
async fn no_log_line_holds_a_token_or_a_reference() {
    let (_folder, files) = init().await;
    let flags = flags(&files);
    commands::receipt_key(&files.load(&flags), &mut Vec::new()).unwrap();
    let port = crate::support::free_port();
    let mut command = files.command("run");
    for flag in flags.iter().filter(|flag| !flag.starts_with("links.listen")) {
        command.arg("--set").arg(flag);
    }
    command.args(["--set", &format!("links.listen=127.0.0.1:{port}"), "--log-filter", "trace"]);
    let mut running = files.start_as(command);
    let mut model = files.client().await;
    let told = Told::by(&model.model_infer(crate::support::request("r", 1.0)).await.unwrap());
    files.receipt(&told.decision).await;
    let url = link(&files.load(&flags), &told.decision, None).unwrap();
    let reference = Reference::of(told.decision.parse().unwrap()).to_string();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (status, _) = crate::support::http_get(address, path(&url)).await.unwrap();
    assert_eq!(status, 200);
    let missed = format!("/r/{}", "B".repeat(27));
    crate::support::http_get(address, &missed).await.unwrap();
    let form = format!("reference={reference}");
    ask(
        address,
        format!(
            "POST /find HTTP/1.1\r\nHost: r\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
            form.len()
        ),
    )
    .await;
    running.stop();
    let lines = files.log_lines();
    assert!(lines.len() > 500, "the filter lets everything through: {lines}");
    for secret in [path(&url).trim_start_matches("/r/"), &reference, &"B".repeat(27)] {
        assert!(!lines.contains(secret), "{secret}");
    }
}
