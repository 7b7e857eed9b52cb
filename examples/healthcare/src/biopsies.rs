//! The 569 biopsies of `data/breast_cancer.csv`, as rows for a model.

use anyhow::{Result, bail};
use example_desk::table::Table;

const BIOPSIES: &str = include_str!("../data/breast_cancer.csv");

/// One biopsy as the model sees it, and what it was.
#[derive(Clone, Debug)]
pub struct Biopsy {
    /// Its number in the data, from 1.
    pub case: u32,
    /// The model's inputs in the model's order.
    pub features: Vec<f64>,
    /// Whether the tumour was malignant.
    pub malignant: bool,
}

/// Every biopsy, with the columns that a model asks for, in its order.
///
/// # Errors
/// If the data lack a column, or a cell is not a number.
pub fn load(columns: &[String]) -> Result<Vec<Biopsy>> {
    Table::parse(BIOPSIES)?
        .rows()
        .map(|row| {
            Ok(Biopsy {
                case: row.number("case")?,
                features: columns.iter().map(|column| row.number(column)).collect::<Result<_>>()?,
                malignant: match row.cell("diagnosis")? {
                    "malignant" => true,
                    "benign" => false,
                    other => bail!("{other} is no diagnosis"),
                },
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_biopsy_with_the_columns_asked_for() {
        let biopsies = load(&["mean_area".to_owned(), "mean_radius".to_owned()]).unwrap();
        assert_eq!(biopsies.len(), 569);
        assert_eq!((biopsies[0].case, &biopsies[0].features), (1, &vec![1001.0, 17.99]));
        assert_eq!(biopsies.iter().filter(|one| one.malignant).count(), 212);
    }

    #[test]
    fn names_a_column_that_the_data_lack() {
        let error = load(&["shoe_size".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("shoe_size"), "{error}");
    }
}
