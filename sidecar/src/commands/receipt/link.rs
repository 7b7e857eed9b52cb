//! `receipt link`, `receipt revoke`, `receipt letter`: addresses that open one receipt.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::decision;
use crate::cli::{LetterFormat, ReceiptLetterArguments, ReceiptLinkArguments, ReceiptRevokeArguments};
use crate::config::{Config, LinksConfig};
use crate::letter::{LANGUAGES, Letter};
use crate::links::{LinkBook, LinkMaker, Made, Token};
use crate::reader::LogReader;

/// Makes a link and prints it.
///
/// # Errors
/// If links are not configured, the log has no such decision, or the file of links cannot be written.
pub fn receipt_link(config: &Config, arguments: &ReceiptLinkArguments, out: &mut impl Write) -> Result<()> {
    let made = link(config, &arguments.decision, arguments.expires.as_deref())?;
    writeln!(out, "{}", made.url)?;
    writeln!(out, "reference {}", made.reference())?;
    writeln!(out, "until {}", made.expires)?;
    Ok(())
}

/// Revokes one link, or all to one receipt.
///
/// # Errors
/// If links are not configured, there is no such link, or the file of links cannot be written.
pub fn receipt_revoke(
    config: &Config,
    arguments: &ReceiptRevokeArguments,
    out: &mut impl Write,
) -> Result<()> {
    let book = LinkBook::open(file(&config.links)?)?;
    let revoked = match (&arguments.link, &arguments.decision) {
        (Some(link), _) => {
            let token = Token::parse(link).context("LINK: this is no address that `receipt link` printed")?;
            usize::from(book.revoke(&token)?)
        }
        (None, Some(text)) => book.revoke_decision(decision(text)?)?,
        (None, None) => bail!("say which link, or --decision ID for all to its receipt"),
    };
    if revoked == 0 {
        bail!("there is no such link: it was revoked already, or expired");
    }
    writeln!(out, "revoked {revoked}")?;
    Ok(())
}

/// Makes a link and prints what a letter says about it.
///
/// # Errors
/// As [`receipt_link`]; or the output exists or cannot be written.
pub fn receipt_letter(
    config: &Config,
    arguments: &ReceiptLetterArguments,
    out: &mut impl Write,
) -> Result<()> {
    let language = LANGUAGES.iter().find(|language| language.tag == arguments.language);
    let language = language.with_context(|| {
        let tags = LANGUAGES.each_ref().map(|language| language.tag).join(", ");
        format!("--language {}: there is {tags}", arguments.language.escape_debug())
    })?;
    if arguments.output.as_deref().is_some_and(Path::exists) {
        bail!("the output exists already: choose another name");
    }
    let made = link(config, &arguments.decision, arguments.expires.as_deref())?;
    let (reference, expires) = (made.reference(), made.expires);
    let letter = Letter { reference, url: made.url, expires, language };
    let bytes = match arguments.format {
        LetterFormat::Text => letter.text().into_bytes(),
        LetterFormat::Html => letter.html()?.into_bytes(),
        LetterFormat::Svg => letter.svg()?.into_bytes(),
        LetterFormat::Png => letter.png()?,
    };
    match &arguments.output {
        None => out.write_all(&bytes).context("the letter cannot be printed"),
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            let written = file.and_then(|mut file| file.write_all(&bytes));
            written.with_context(|| format!("cannot write {}", path.display()))?;
            writeln!(out, "wrote {}; reference {}; until {expires}", path.display(), letter.reference)?;
            Ok(())
        }
    }
}

/// A new link to the receipt of the decision that `text` names.
fn link(config: &Config, text: &str, expires: Option<&str>) -> Result<Made> {
    let decision = decision(text)?;
    let log = LogReader::at_rest(&config.log.store)
        .with_context(|| format!("log.store: {}", config.log.store.display()))?;
    Ok(LinkMaker::new(config, log)?.make(decision, expires)?)
}

fn file(links: &LinksConfig) -> Result<&Path> {
    links.file.as_deref().context("links.file is not set: name the file that keeps the links")
}
