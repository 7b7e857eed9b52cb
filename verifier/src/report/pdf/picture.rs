//! A drawing on paper.

use pdf_writer::{Content, Name, Str};

use super::letters::{Face, encoded, width};
use crate::report::drawing::{Anchor, CROSS, DOT, Drawing, Ink, LABEL_SIZE, Shape};

/// Draws with the upper left corner at `(left, top)`, scaled by `scale`.
pub(super) fn draw(content: &mut Content, drawing: &Drawing, (left, top): (f32, f32), scale: f32) {
    content.save_state();
    for shape in &drawing.shapes {
        let at = |(x, y): (f64, f64)| (left + real(x) * scale, top - real(y) * scale);
        one(content, shape, at, scale);
    }
    content.restore_state();
}

fn one(content: &mut Content, shape: &Shape, at: impl Fn((f64, f64)) -> (f32, f32), scale: f32) {
    match shape {
        Shape::Path { points, ink } => {
            let [r, g, b] = colour(*ink);
            content.set_stroke_rgb(r, g, b).set_line_width(match ink {
                Ink::Good | Ink::Bad => 1.2,
                _ => 0.5,
            });
            content.set_dash_pattern(
                if *ink == Ink::Limit { [3.0, 2.5].as_slice() } else { &[] }.iter().copied(),
                0.0,
            );
            for (number, point) in points.iter().enumerate() {
                let (x, y) = at(*point);
                if number == 0 {
                    content.move_to(x, y)
                } else {
                    content.line_to(x, y)
                };
            }
            content.stroke();
        }
        Shape::Bar { at: corner, size: (width, height), ink } => {
            let [r, g, b] = colour(*ink);
            let (x, y) = at(*corner);
            let (width, height) = (real(*width) * scale, real(*height) * scale);
            content.set_fill_rgb(r, g, b).rect(x, y - height, width, height).fill_nonzero();
        }
        Shape::Dot { at: centre } => {
            let [r, g, b] = colour(Ink::Good);
            let ((x, y), radius) = (at(*centre), real(DOT) * scale);
            content
                .set_fill_rgb(r, g, b)
                .rect(x - radius, y - radius, 2.0 * radius, 2.0 * radius)
                .fill_nonzero();
        }
        Shape::Cross { at: centre } => {
            let [r, g, b] = colour(Ink::Bad);
            let ((x, y), arm) = (at(*centre), real(CROSS) * scale);
            content.set_stroke_rgb(r, g, b).set_line_width(1.1).set_dash_pattern([], 0.0);
            content.move_to(x - arm, y - arm).line_to(x + arm, y + arm);
            content.move_to(x - arm, y + arm).line_to(x + arm, y - arm).stroke();
        }
        Shape::Label { at: place, text, anchor } => {
            let ((x, y), size) = (at(*place), real(LABEL_SIZE) * scale);
            let width = width(text, Face::Plain, size);
            let x = match anchor {
                Anchor::Start => x,
                Anchor::Middle => x - width / 2.0,
                Anchor::End => x - width,
            };
            content.set_fill_rgb(0.34, 0.38, 0.42).begin_text();
            content.set_font(Name(Face::Plain.name()), size).next_line(x, y);
            content.show(Str(&encoded(text))).end_text();
        }
    }
}

const fn colour(ink: Ink) -> [f32; 3] {
    match ink {
        Ink::Axis | Ink::Limit => [0.34, 0.38, 0.42],
        Ink::Grid => [0.86, 0.88, 0.90],
        Ink::Good => [0.10, 0.42, 0.33],
        Ink::Bad => [0.70, 0.15, 0.12],
    }
}

/// A coordinate to a hundredth, which is all that paper shows.
#[expect(clippy::cast_possible_truncation, reason = "a place on a page")]
fn real(value: f64) -> f32 {
    ((value * 100.0).round() / 100.0) as f32
}
