//! A notice as one HTML file.
//!
//! Guarantees: written from the blocks of a [`Document`] with every character that could be markup escaped; a policy in it forbids
//! whatever is not its own style; each text keeps its own direction of writing.

use std::fmt::Write as _;

use ledgerstone::encoding::base64_encode;
use ledgerstone::hash::Hash;

use super::document::{Block, Document, Line, Span};

/// The file.
pub(super) fn html(document: &Document, language: &str, style: &str) -> String {
    let mut out = String::with_capacity(16 * 1024);
    let digest = base64_encode(Hash::of(style.as_bytes()).as_bytes());
    out.push_str("<!doctype html>\n");
    push(&mut out, format_args!("<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n", escaped(language)));
    push(
        &mut out,
        format_args!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; \
             form-action 'none'\">\n"
        ),
    );
    out.push_str("<meta name=\"viewport\" content=\"width=device-width\">\n");
    push(&mut out, format_args!("<title>{}</title>\n<style>{style}</style>\n", escaped(&document.title())));
    out.push_str("</head>\n<body>\n<main>\n");
    for block in &document.blocks {
        self::block(&mut out, block);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn block(out: &mut String, block: &Block) {
    match block {
        Block::Heading { level, line } => element(out, if *level == 1 { "h1" } else { "h2" }, line),
        Block::Paragraph(line) => element(out, "p", line),
        Block::Address(line) => element(out, "address", line),
        Block::List { is_numbered, items } => {
            let name = if *is_numbered { "ol" } else { "ul" };
            push(out, format_args!("<{name}>\n"));
            for item in items {
                element(out, "li", item);
            }
            push(out, format_args!("</{name}>\n"));
        }
        Block::Facts(rows) => {
            out.push_str("<table>\n");
            for (name, value) in rows {
                push(out, format_args!("<tr><th scope=\"row\" dir=\"auto\">{}</th>", inline(name)));
                push(out, format_args!("<td dir=\"auto\">{}</td></tr>\n", inline(value)));
            }
            out.push_str("</table>\n");
        }
    }
}

fn element(out: &mut String, name: &str, line: &Line) {
    push(out, format_args!("<{name} dir=\"auto\">{}</{name}>\n", inline(line)));
}

fn inline(line: &Line) -> String {
    let mut out = String::new();
    for span in line {
        match span {
            Span::Text { text, is_strong: true } => {
                push(&mut out, format_args!("<strong>{}</strong>", escaped(text)));
            }
            Span::Text { text, is_strong: false } => out.push_str(&escaped(text)),
            Span::Break => out.push_str("<br>"),
        }
    }
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = out.write_fmt(text);
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}
