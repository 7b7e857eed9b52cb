//! What goes into a letter about a decision: its reference, the address of its receipt, and the address as a QR code.
//!
//! Guarantees: nothing in it says what was decided or about whom; the code is readable at the size that each format gives it. Does
//! not do: the letter itself, or delivering it.

use ledgerstone::entry::Reference;
use ledgerstone::time::UnixMillis;

mod png;
mod qr;

pub use qr::{QrError, Square};

/// A letter's part about the receipt.
#[derive(Debug)]
pub struct Letter {
    /// The reference to type.
    pub reference: Reference,
    /// The address to open.
    pub url: String,
    /// Until when it opens the receipt.
    pub expires: UnixMillis,
    /// Which of [`LANGUAGES`] it is in.
    pub language: &'static Language,
}

/// What the part says, in one language.
#[derive(Debug)]
pub struct Language {
    /// The language's tag (BCP 47).
    pub tag: &'static str,
    title: &'static str,
    lead: &'static str,
    scan: &'static str,
    reference: &'static str,
    until: &'static str,
}

/// The languages of the receipt page.
pub const LANGUAGES: [Language; 4] = [
    Language {
        tag: "en",
        title: "Your receipt",
        lead: "An automated system took part in this decision. Its receipt shows what was recorded about it and lets you check that \
               nothing was changed since.",
        scan: "Scan the code or open",
        reference: "Reference",
        until: "This address works until",
    },
    Language {
        tag: "de",
        title: "Ihr Beleg",
        lead: "An dieser Entscheidung war ein automatisiertes System beteiligt. Der Beleg zeigt, was darüber aufgezeichnet wurde, und lässt \
               Sie prüfen, dass seither nichts geändert wurde.",
        scan: "Scannen Sie den Code oder öffnen Sie",
        reference: "Zeichen",
        until: "Diese Adresse gilt bis",
    },
    Language {
        tag: "fr",
        title: "Votre reçu",
        lead: "Un système automatisé a pris part à cette décision. Son reçu montre ce qui a été enregistré à son sujet et vous permet de \
               vérifier que rien n’a été modifié depuis.",
        scan: "Scannez le code ou ouvrez",
        reference: "Référence",
        until: "Cette adresse est valable jusqu’au",
    },
    Language {
        tag: "es",
        title: "Su justificante",
        lead: "En esta decisión intervino un sistema automatizado. El justificante muestra lo que se registró sobre ella y le permite \
               comprobar que nada se ha cambiado desde entonces.",
        scan: "Escanee el código o abra",
        reference: "Referencia",
        until: "Esta dirección es válida hasta el",
    },
];

impl Letter {
    /// As plain text, without the code.
    #[must_use]
    pub fn text(&self) -> String {
        let Language { title, lead, scan, reference, until, .. } = self.language;
        format!(
            "{title}\n\n{lead}\n\n{scan}:\n  {}\n{reference}:\n  {}\n{until} {}.\n",
            self.url,
            self.reference,
            self.day()
        )
    }

    /// As a piece of HTML that loads nothing, with the code in it.
    ///
    /// # Errors
    /// The address is too long for a QR code.
    pub fn html(&self) -> Result<String, QrError> {
        let Language { tag, title, lead, scan, reference, until } = self.language;
        let code = Square::of(&self.url)?.svg();
        Ok(format!(
            "<section lang=\"{tag}\">\n<h2>{title}</h2>\n<p>{lead}</p>\n<figure style=\"width:4cm;margin:0\">{code}</figure>\n\
             <p>{scan} <code>{}</code></p>\n<p>{reference}: <strong>{}</strong></p>\n<p>{until} {}.</p>\n</section>\n",
            escaped(&self.url),
            self.reference,
            self.day()
        ))
    }

    /// The code alone, as an SVG document.
    ///
    /// # Errors
    /// As [`Letter::html`].
    pub fn svg(&self) -> Result<String, QrError> {
        Ok(format!("{}\n", Square::of(&self.url)?.svg()))
    }

    /// The code alone, as a PNG file.
    ///
    /// # Errors
    /// As [`Letter::html`].
    pub fn png(&self) -> Result<Vec<u8>, QrError> {
        png::black_and_white(&Square::of(&self.url)?).map_err(QrError::Png)
    }

    /// The day on which the address ends, as every reader of a date reads it.
    fn day(&self) -> String {
        self.expires.to_string().chars().take(10).collect()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
