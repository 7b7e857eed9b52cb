//! `ledgerstone receipt page`: the page that checks receipts in a browser, as one file.
//!
//! Guarantees: the page is the one of `web/receipt/`, byte for byte, but for the keys that a policy puts into its one place
//! for them; a policy that is none is refused. Does not do: checking anything itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledgerstone::hash::Hash;
use ledgerstone::limits::POLICY_BYTES_MAX;
use ledgerstone::policy::Policy;
use serde::Serialize;

use super::key_generate::{Secrecy, write_new};
use crate::cli::ReceiptPageArguments;
use crate::exit::{Exit, Refusal};
use crate::output::Output;
use crate::source::read_input;

/// The format of this command's JSON.
const FORMAT: &str = "ledgerstone-receipt-page/v1";

/// The page as `npm run build` in `web/receipt/` makes it.
const PAGE: &str = include_str!("../../../web/receipt/dist/receipt.html");

/// Where the page takes keys from: a script that no browser runs, empty in the page as it is built.
const PLACE: &str = "<script type=\"text/plain\" id=\"embedded-policy\"></script>";

/// What was printed or written, as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    format: &'static str,
    /// SHA-256 of the page.
    sha256: String,
    /// SHA-256 of the policy in it, as the page shows it, or null.
    policy_sha256: Option<String>,
    /// The file, or null where the page is in `page`.
    written: Option<String>,
    /// The page, or null where it was written.
    page: Option<&'a str>,
}

/// Prints the page, or writes it to a file.
///
/// # Errors
/// The policy cannot be read or is none; the file exists or cannot be written.
pub(super) fn run(arguments: &ReceiptPageArguments, output: &mut Output) -> Result<Exit, Refusal> {
    let policy = arguments.policy.as_deref().map(policy_file).transpose()?;
    let page = with_policy(policy.as_deref());
    if let Some(path) = &arguments.output {
        write_new(path, page.as_bytes(), Secrecy::Public)?;
    }
    let written = arguments.output.as_ref().map(|path| path.display().to_string());
    let policy_sha256 = policy.as_deref().map(|bytes| Hash::of(bytes).to_string());
    if output.is_json() {
        let sha256 = Hash::of(page.as_bytes()).to_string();
        let page = written.is_none().then_some(page.as_str());
        output.json(&Printed { format: FORMAT, sha256, policy_sha256, written, page })?;
        return Ok(Exit::Verified);
    }
    match written {
        None => output.print(&page)?,
        Some(path) => {
            output.remark(&format!("Written to {path}. Open it in a browser; it needs no network."))
        }
    }
    if let Some(digest) = policy_sha256 {
        output.remark(&format!(
            "It holds the keys with the fingerprint {digest}: publish that elsewhere, so that readers can compare."
        ));
    }
    Ok(Exit::Verified)
}

/// The exact bytes of a policy file, if they are a policy.
fn policy_file(path: &std::path::Path) -> Result<Vec<u8>, Refusal> {
    let bytes = read_input(path, POLICY_BYTES_MAX)?;
    Policy::parse(&bytes).map_err(|error| {
        Refusal::malformed(
            format_args!("{} is not a trust policy: {error}", path.display()),
            "Get the policy file again from the log's operator.",
        )
    })?;
    Ok(bytes)
}

/// The page with these keys in it. Base64 has no character that HTML gives a meaning.
fn with_policy(policy: Option<&[u8]>) -> String {
    let Some(policy) = policy else {
        return PAGE.to_owned();
    };
    let filled = PLACE.replace("></", &format!(">{}</", STANDARD.encode(policy)));
    PAGE.replacen(PLACE, &filled, 1)
}
