//! Rows of a model from a CSV file (RFC 4180, comma, a line of names first).
//!
//! *Guarantees*: columns are taken by name where the model has names, and a name that is missing or stands twice is refused;
//! else the number of columns must be the model's. A cell that is no number is refused with its line and column.
//!
//! *Does not do*: guess separators, decimal commas or words for missing values other than `NaN`, `NA` and an empty cell.

use super::{About, Texts};
use crate::output::printable;

/// The rows of a file, checked to have the model's columns.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    /// The lines behind the names, with their numbers.
    lines: Vec<(usize, &'a str)>,
    names: Vec<String>,
    /// For each feature of the model the column of the file.
    columns: Vec<usize>,
    /// The features that are texts, in their order.
    texts: Vec<usize>,
    unused: Vec<String>,
}

impl<'a> Rows<'a> {
    /// Reads the names and matches them with the model's.
    pub(crate) fn read(bytes: &'a [u8], about: &About) -> Result<Self, String> {
        let text = core::str::from_utf8(bytes)
            .map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to()))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
        let (_, first) = lines.next().ok_or("it is empty, and should begin with a line of column names")?;
        let names = cells(first).ok_or("line 1 has a quote that does not end")?;
        let columns = match about.feature_names.as_slice() {
            [] if names.len() == about.features => (0..names.len()).collect(),
            [] => {
                return Err(format!(
                    "it has {} columns, the model {} without names",
                    names.len(),
                    about.features
                ));
            }
            features => {
                features.iter().map(|feature| column(&names, feature)).collect::<Result<Vec<_>, _>>()?
            }
        };
        let unused = names.iter().enumerate().filter(|(place, _)| !columns.contains(place));
        let unused = unused.map(|(_, name)| name.clone()).collect();
        let texts = about.text_columns.clone();
        Ok(Self {
            lines: lines.filter(|(_, line)| !line.is_empty()).collect(),
            names,
            columns,
            texts,
            unused,
        })
    }

    /// The rows in the order of the model's features, missing values as `NAN`. A cell of a column that takes texts is refused.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<Vec<f64>, String>> {
        self.with_texts().map(|row| match row {
            Ok((row, texts)) if texts == *Texts::none() => Ok(row),
            Ok(_) => Err("the model takes texts, which are not taken here".to_owned()),
            Err(problem) => Err(problem),
        })
    }

    /// The rows with their texts; an empty cell of a column that takes texts is the empty text.
    pub(crate) fn with_texts(&self) -> impl Iterator<Item = Result<(Vec<f64>, Texts), String>> {
        self.lines.iter().map(|(number, line)| {
            let mut texts = Texts::default();
            Ok((self.row(*number, line, &mut texts)?, texts))
        })
    }

    /// Columns of the file that the model does not have.
    pub(crate) fn unused(&self) -> &[String] {
        &self.unused
    }

    fn row(&self, number: usize, line: &str, texts: &mut Texts) -> Result<Vec<f64>, String> {
        let cells = cells(line).ok_or_else(|| format!("line {number} has a quote that does not end"))?;
        if cells.len() != self.names.len() {
            let names = self.names.len();
            return Err(format!("line {number} has {} cells, the first line {names} names", cells.len()));
        }
        let mut value = |(feature, column): (usize, &usize)| {
            let cell = cells.get(*column).map_or("", String::as_str);
            if self.texts.binary_search(&feature).is_ok() {
                return Ok(texts.keep(cell));
            }
            let cell = cell.trim();
            number_in(cell).ok_or_else(|| {
                let name = self.names.get(*column).map_or("", String::as_str);
                let shown: String = cell.chars().take(40).collect();
                format!("line {number}, column {}: `{}` is not a number", printable(name), printable(&shown))
            })
        };
        self.columns.iter().enumerate().map(&mut value).collect()
    }
}

/// The one column of this name.
fn column(names: &[String], feature: &str) -> Result<usize, String> {
    let mut places = names.iter().enumerate().filter(|(_, name)| *name == feature);
    match (places.next(), places.next()) {
        (Some((place, _)), None) => Ok(place),
        (None, _) => Err(format!("it has no column {}", printable(feature))),
        (Some(_), Some(_)) => Err(format!("it has two columns {}", printable(feature))),
    }
}

fn number_in(cell: &str) -> Option<f64> {
    match cell {
        "" | "NaN" | "nan" | "NA" => Some(f64::NAN),
        _ => cell.parse().ok().filter(|value: &f64| !value.is_nan()),
    }
}

/// The cells of a line; none if a quoted cell does not end on it.
fn cells(line: &str) -> Option<Vec<String>> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let cell = cells.last_mut()?;
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cell.push(other),
        }
    }
    (!quoted).then_some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quoted_cells() {
        assert_eq!(
            cells(r#"a,"b, c","d ""e""",,1"#),
            Some(["a", "b, c", r#"d "e""#, "", "1"].map(str::to_owned).into())
        );
        assert_eq!(cells(r#"a,"b"#), None);
    }

    #[test]
    fn takes_texts_where_the_model_does() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/onnx_texts");
        let bytes = std::fs::read(folder.join("one_hot_forest.onnx")).unwrap();
        let about = crate::recompute::Model::parse(&bytes).unwrap().about();
        let csv = "addr_state,sub_grade,emp_length,annual_inc,int_rate,revol_util\n\"a, b\", C3 ,,1,2,\n";
        let rows = Rows::read(csv.as_bytes(), &about).unwrap();
        let (row, texts) = rows.with_texts().next().unwrap().unwrap();
        let of = |place: usize| texts.of(row[place]);
        assert_eq!([of(0), of(1), of(2)], [Some(" C3 "), Some("a, b"), Some("")]);
        assert!(row[3] == 1.0 && row[5].is_nan());
        assert_eq!(texts.of(3.0), None);
        assert_eq!(texts.of(0.5), None);
        assert!(rows.iter().next().unwrap().is_err(), "texts do not pass for numbers");
    }

    #[test]
    fn takes_only_plain_words_for_missing_values() {
        assert!(number_in("").is_some_and(f64::is_nan));
        assert!(number_in("NA").is_some_and(f64::is_nan));
        assert_eq!(number_in("-1.5e3"), Some(-1500.0));
        for cell in ["?", "1,5", "null", "0x10", "-nan", "NAN"] {
            assert_eq!(number_in(cell), None, "{cell}");
        }
    }
}
