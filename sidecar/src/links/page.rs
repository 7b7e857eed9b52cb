//! What a browser is shown: the receipt page with the receipt in it, the form for references, and one page for every link that
//! opens nothing.
//!
//! Guarantees: pages load nothing and send nothing but the reference that somebody typed; a link that never was, one that expired and
//! one that was revoked look the same. Does not do: checking the receipt; the page does, on its reader's device.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledgerstone::hash::Hash;

/// The page as `npm run build` in `web/receipt/` makes it.
const PAGE: &str = include_str!("../../../web/receipt/dist/receipt.html");

/// Where the page takes keys and a receipt from: scripts that no browser runs, empty in the page as it is built.
const POLICY_PLACE: &str = "<script type=\"text/plain\" id=\"embedded-policy\"></script>";
const RECEIPT_PLACE: &str = "<script type=\"text/plain\" id=\"embedded-receipt\"></script>";

/// The page with a receipt and the log's keys in it. Base64 has no character that HTML gives a meaning.
pub(super) fn with_receipt(receipt: &str, policy: &str) -> String {
    let filled = |place: &str, bytes: &str| place.replace("></", &format!(">{}</", STANDARD.encode(bytes)));
    let page = PAGE.replacen(POLICY_PLACE, &filled(POLICY_PLACE, policy), 1);
    page.replacen(RECEIPT_PLACE, &filled(RECEIPT_PLACE, receipt), 1)
}

const STYLE: &str = "body{font:1.05rem/1.5 system-ui,sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}\
section{border-top:1px solid;padding:.5rem 0}h1{font-size:1.4rem}h2{font-size:1.1rem}\
input,button{font:inherit;padding:.5rem;max-width:100%;box-sizing:border-box}input{width:100%;margin:.5rem 0}";

/// What the two small pages say in one language.
struct Words {
    tag: &'static str,
    title: &'static str,
    gone: &'static str,
    form: &'static str,
    label: &'static str,
    send: &'static str,
}

const WORDS: [Words; 4] = [
    Words {
        tag: "en",
        title: "There is no receipt at this address",
        gone: "The address was typed wrongly, its time has run out, or it was withdrawn. Ask whoever wrote to you for a new one. The \
               decision itself is not affected, and neither is your right to contest it.",
        form: "Look up a receipt by its reference",
        label: "Reference, as it stands in your letter",
        send: "Show the receipt",
    },
    Words {
        tag: "de",
        title: "Unter dieser Adresse gibt es keinen Beleg",
        gone: "Die Adresse wurde falsch eingegeben, ihre Frist ist abgelaufen, oder sie wurde zurückgezogen. Bitten Sie die Stelle, die \
               Ihnen geschrieben hat, um eine neue. Die Entscheidung selbst bleibt davon unberührt, ebenso Ihr Recht, sie anzufechten.",
        form: "Einen Beleg über sein Zeichen finden",
        label: "Zeichen, wie es in Ihrem Schreiben steht",
        send: "Beleg anzeigen",
    },
    Words {
        tag: "fr",
        title: "Il n’y a pas de reçu à cette adresse",
        gone: "L’adresse a été mal saisie, son délai est écoulé, ou elle a été retirée. Demandez-en une nouvelle à qui vous a écrit. La \
               décision elle-même n’en est pas affectée, ni votre droit de la contester.",
        form: "Trouver un reçu par sa référence",
        label: "Référence, telle qu’elle figure dans votre lettre",
        send: "Afficher le reçu",
    },
    Words {
        tag: "es",
        title: "No hay ningún justificante en esta dirección",
        gone: "La dirección se escribió mal, su plazo ha vencido o fue retirada. Pida una nueva a quien le escribió. La decisión misma no \
               cambia por ello, ni su derecho a impugnarla.",
        form: "Buscar un justificante por su referencia",
        label: "Referencia, tal como figura en su carta",
        send: "Mostrar el justificante",
    },
];

/// The page for every address that opens nothing.
pub(super) fn none() -> String {
    let said = |words: &Words| format!("<h2>{}</h2><p>{}</p>", words.title, words.gone);
    small("404", said)
}

/// The page with the form.
pub(super) fn form() -> String {
    small("Ledgerstone", |words| {
        let Words { tag, form, label, send, .. } = words;
        format!(
            "<h2>{form}</h2><form method=\"post\" action=\"/find\"><label for=\"r-{tag}\">{label}</label>\
             <input id=\"r-{tag}\" name=\"reference\" autocomplete=\"off\" spellcheck=\"false\" maxlength=\"64\" required>\
             <button>{send}</button></form>"
        )
    })
}

fn small(title: &str, section: impl Fn(&Words) -> String) -> String {
    let sections =
        WORDS.iter().map(|words| format!("<section lang=\"{}\">{}</section>", words.tag, section(words)));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"referrer\" content=\"no-referrer\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{}</main></body></html>\n",
        sections.collect::<String>()
    )
}

/// What the small pages may do: have their own style, and send the form to where they came from.
pub(super) fn small_policy() -> String {
    let style = STANDARD.encode(Hash::of(STYLE.as_bytes()).as_bytes());
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// What the receipt page is told beside the policy that it carries itself.
pub(super) const PAGE_POLICY: &str = "frame-ancestors 'none'";
