//! The texts of rows whose columns are not all numbers.
//!
//! *Guarantees*: a row stays a row of numbers; in the place of a text it holds the number that [`Texts::keep`] gave. A number that stands for
//! no text is refused where the text is read. *Does not do*: know which columns are texts; the model does.

/// Bytes of one text.
pub const TEXT_BYTES_MAX: usize = 1 << 16;

/// Texts of a row, or of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(Vec<String>);

impl Texts {
    /// Of rows that have none.
    #[must_use]
    pub const fn none() -> &'static Self {
        const NONE: &Texts = &Texts(Vec::new());
        NONE
    }

    /// Keeps a text; gives the number that stands for it in a row.
    pub fn keep(&mut self, text: &str) -> f64 {
        self.0.push(text.to_owned());
        // A list of texts in memory has no 2^53.
        (self.0.len() - 1) as f64
    }

    /// The text that a number of a row stands for.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the way back is compared")]
    pub fn of(&self, number: f64) -> Option<&str> {
        let place = number as usize;
        self.0.get(place).filter(|_| place as f64 == number).map(String::as_str)
    }
}
