//! A picture of a few shapes, for a browser and for paper alike.
//!
//! *Guarantees*: what is drawn means the same without colour: what differs is a cross, what is a limit is dashed. *Does not do*: know what is
//! plotted.

/// What a shape stands for; the page and the paper have their own colours for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Frame and ticks.
    Axis,
    /// Lines to read values by.
    Grid,
    /// What follows, or is counted.
    Good,
    /// What differs.
    Bad,
    /// A limit; drawn dashed.
    Limit,
}

/// Which point of a label stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// One shape; `y` grows downwards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Path { points: Vec<(f64, f64)>, ink: Ink },
    Bar { at: (f64, f64), size: (f64, f64), ink: Ink },
    Dot { at: (f64, f64) },
    Cross { at: (f64, f64) },
    Label { at: (f64, f64), text: String, anchor: Anchor },
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    pub(crate) size: (f64, f64),
    pub(crate) shapes: Vec<Shape>,
}

/// Height of a label's letters.
pub(crate) const LABEL_SIZE: f64 = 11.0;

/// Half of a cross, and the radius of a dot.
pub(crate) const CROSS: f64 = 4.0;
pub(crate) const DOT: f64 = 2.0;

impl Drawing {
    pub(crate) const fn new(width: f64, height: f64) -> Self {
        Self { size: (width, height), shapes: Vec::new() }
    }

    pub(crate) fn path(&mut self, points: impl Into<Vec<(f64, f64)>>, ink: Ink) {
        self.shapes.push(Shape::Path { points: points.into(), ink });
    }

    pub(crate) fn label(&mut self, at: (f64, f64), text: impl Into<String>, anchor: Anchor) {
        self.shapes.push(Shape::Label { at, text: text.into(), anchor });
    }
}

/// A field with two axes, each from its least to its largest value.
pub(crate) struct Field {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    x: (f64, f64),
    y: (f64, f64),
}

impl Field {
    /// The field of a picture of this size.
    pub(crate) fn new((width, height): (f64, f64), x: (f64, f64), y: (f64, f64)) -> Self {
        let (left, right, top, bottom) = (62.0, 18.0, 26.0, 46.0);
        Self { left, top, width: width - left - right, height: height - top - bottom, x, y }
    }

    /// Where a pair of values lies; one outside the axes lies at the edge.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |value: f64, (low, high): (f64, f64)| {
            let share = if high > low { (value - low) / (high - low) } else { 0.5 };
            if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
        };
        (self.left + self.width * share(x, self.x), self.top + self.height * (1.0 - share(y, self.y)))
    }

    /// Frame, ticks and titles.
    pub(crate) fn frame(
        &self,
        drawing: &mut Drawing,
        (x_title, x_ticks): (&str, &[(f64, String)]),
        (y_title, y_ticks): (&str, &[(f64, String)]),
    ) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        for (value, name) in x_ticks {
            let (x, _) = self.at(*value, self.y.0);
            drawing.path([(x, self.top), (x, bottom)], Ink::Grid);
            drawing.label((x, bottom + 15.0), name, Anchor::Middle);
        }
        for (value, name) in y_ticks {
            let (_, y) = self.at(self.x.0, *value);
            drawing.path([(self.left, y), (right, y)], Ink::Grid);
            drawing.label((self.left - 6.0, y + 4.0), name, Anchor::End);
        }
        drawing.path([(self.left, self.top), (self.left, bottom), (right, bottom)], Ink::Axis);
        drawing.label((self.left + self.width / 2.0, bottom + 34.0), x_title, Anchor::Middle);
        drawing.label((4.0, self.top - 13.0), y_title, Anchor::Start);
    }
}

/// Round values between two others, about five, with their names.
pub(crate) fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) {
        return vec![(low, format!("{low}"))];
    }
    let mut step = 1e-12;
    while step * 10.0 <= span {
        step *= 10.0;
        if step > 1e300 {
            return Vec::new();
        }
    }
    match span / step {
        parts if parts < 2.0 => step /= 5.0,
        parts if parts < 5.0 => step /= 2.0,
        _ => {}
    }
    let first = (low / step).ceil();
    let digits = (0..13_u16).find(|digits| {
        let scaled = step * 10_f64.powi(i32::from(*digits));
        (scaled - scaled.round()).abs() < 1e-6
    });
    let digits = usize::from(digits.unwrap_or(12));
    (0..12_u16)
        .map(|number| (first + f64::from(number)) * step)
        .take_while(|value| *value <= high + step * 1e-9)
        .map(|value| (value, format!("{:.digits$}", if value == 0.0 { 0.0 } else { value })))
        .collect()
}
