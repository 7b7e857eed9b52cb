//! The report as one page for a browser.
//!
//! *Guarantees*: the page is whole in one file, runs no script, and its policy lets a browser fetch nothing; every text of the data is escaped.
//! *Does not do*: choose what stands on it; `document` does.

use std::fmt::Write as _;

use ledgerstone::encoding::base64_encode;
use ledgerstone::hash::Hash;

use super::Document;
use super::document::{Block, Column, Tone};
use super::drawing::{Anchor, CROSS, DOT, Drawing, Ink, LABEL_SIZE, Shape};

/// The page's style; the policy names it by its digest.
const STYLE: &str = include_str!("page.css");

/// The page.
#[must_use]
pub fn html(document: &Document) -> String {
    let digest = base64_encode(Hash::of(STYLE.as_bytes()).as_bytes());
    let title = escaped(&document.title);
    let (tone, word) = match document.tone {
        Tone::Good => ("good", "In order"),
        Tone::Open => ("open", "With reservations"),
        Tone::Bad => ("bad", "Exceptions"),
        Tone::Plain => ("plain", "Figures"),
    };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; \
         form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n<div class=\"headline {tone}\"><p class=\"word\">{word}</p><p>{}</p></div>\n",
        escaped(&document.headline)
    );
    for (number, block) in document.blocks.iter().enumerate() {
        page += &set(block, number);
    }
    page + "</main>\n</body>\n</html>\n"
}

fn set(block: &Block, number: usize) -> String {
    match block {
        Block::Heading(text) => format!("<h2>{}</h2>\n", escaped(text)),
        Block::Paragraph(text) => format!("<p>{}</p>\n", escaped(text)),
        Block::Points(points) => {
            let points: String =
                points.iter().map(|point| format!("<li>{}</li>\n", escaped(point))).collect();
            format!("<ul>\n{points}</ul>\n")
        }
        Block::Facts { caption, rows } => {
            let row = |(name, value): &(String, String)| {
                format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escaped(name), escaped(value))
            };
            let rows: String = rows.iter().map(row).collect();
            format!(
                "<div class=\"table\"><table class=\"facts\">\n<caption>{}</caption>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
                escaped(caption)
            )
        }
        Block::Table { caption, columns, rows } => table(caption, columns, rows),
        Block::Figure { title, description, drawing } => {
            let (title, description) = (escaped(title), escaped(description));
            format!(
                "<figure>\n{}<figcaption><strong>{title}.</strong> {description}</figcaption>\n</figure>\n",
                { svg(drawing, &title, &description, number) }
            )
        }
    }
}

fn table(caption: &str, columns: &[Column], rows: &[Vec<String>]) -> String {
    let class = |column: &Column| if column.is_number { " class=\"number\"" } else { "" };
    let widths: String = columns.iter().map(|column| format!("<col width=\"{}%\">", column.weight)).collect();
    let head: String = columns
        .iter()
        .map(|column| format!("<th scope=\"col\"{}>{}</th>", class(column), escaped(column.title)))
        .collect();
    let mut text = format!(
        "<div class=\"table\"><table>\n<caption>{}</caption>\n<colgroup>{widths}</colgroup>\n<thead><tr>{head}</tr></thead>\n<tbody>\n",
        escaped(caption)
    );
    for row in rows {
        text += "<tr>";
        for (cell, column) in row.iter().zip(columns) {
            let lines: Vec<String> = cell.lines().map(escaped).collect();
            // Writing to a string does not fail.
            let _ = write!(text, "<td{}>{}</td>", class(column), lines.join("<br>"));
        }
        text += "</tr>\n";
    }
    text + "</tbody>\n</table></div>\n"
}

fn svg(drawing: &Drawing, title: &str, description: &str, number: usize) -> String {
    let (width, height) = drawing.size;
    let mut text = format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"t{number} d{number}\">\n\
         <title id=\"t{number}\">{title}</title>\n<desc id=\"d{number}\">{description}</desc>\n"
    );
    for shape in &drawing.shapes {
        text += &shape_svg(shape);
    }
    text + "</svg>\n"
}

fn shape_svg(shape: &Shape) -> String {
    match shape {
        Shape::Path { points, ink } => {
            let points: Vec<String> =
                points.iter().map(|(x, y)| format!("{},{}", place(*x), place(*y))).collect();
            format!("<polyline class=\"{}\" points=\"{}\"/>\n", class(*ink), points.join(" "))
        }
        Shape::Bar { at: (x, y), size: (width, height), ink } => format!(
            "<rect class=\"{}-bar\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n",
            class(*ink),
            place(*x),
            place(*y),
            place(*width),
            place(*height)
        ),
        Shape::Dot { at: (x, y) } => {
            format!("<circle class=\"dot\" cx=\"{}\" cy=\"{}\" r=\"{DOT}\"/>\n", place(*x), place(*y))
        }
        Shape::Cross { at: (x, y) } => {
            let arm = 2.0 * CROSS;
            format!(
                "<path class=\"cross\" d=\"M{} {}l{arm} {arm}m-{arm} 0l{arm} -{arm}\"/>\n",
                place(x - CROSS),
                place(y - CROSS)
            )
        }
        Shape::Label { at: (x, y), text, anchor } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            format!(
                "<text x=\"{}\" y=\"{}\" font-size=\"{LABEL_SIZE}\" text-anchor=\"{anchor}\">{}</text>\n",
                place(*x),
                place(*y),
                escaped(text)
            )
        }
    }
}

const fn class(ink: Ink) -> &'static str {
    match ink {
        Ink::Axis => "axis",
        Ink::Grid => "grid",
        Ink::Good => "good",
        Ink::Bad => "bad",
        Ink::Limit => "limit",
    }
}

/// A coordinate, to a tenth.
fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A text without what could be markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            _ => safe.push(letter),
        }
    }
    safe
}
