//! The 1,989 applications of `data/loanapp.csv`, as rows for a model.

use anyhow::{Context, Result};
use example_desk::table::Table;

const LOANAPP: &str = include_str!("../data/loanapp.csv");

/// One application as the model sees it, and what the lender decided in 1990.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its number in the data, from 1.
    pub number: u32,
    /// The model's inputs in the model's order; NaN where the data are silent.
    pub features: Vec<f32>,
    /// Whether the lender approved it.
    pub approved_by_lender: bool,
}

/// Every application, with the columns that a model asks for, in its order.
///
/// # Errors
/// If the data lack a column, or a cell is not a number.
pub fn load(columns: &[String]) -> Result<Vec<Application>> {
    Table::parse(LOANAPP)?
        .rows()
        .map(|row| {
            Ok(Application {
                number: row.number("application")?,
                features: columns.iter().map(|column| value(row.cell(column)?)).collect::<Result<_>>()?,
                approved_by_lender: row.says("approve")?,
            })
        })
        .collect()
}

/// A number, read in one rounding to what the model takes; an empty cell is a missing value.
fn value(cell: &str) -> Result<f32> {
    if cell.is_empty() {
        return Ok(f32::NAN);
    }
    cell.parse().with_context(|| format!("{cell} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_application_with_the_columns_asked_for() {
        let applications = load(&["loanprc".to_owned(), "lines".to_owned()]).unwrap();
        assert_eq!(applications.len(), 1989);
        assert_eq!(applications[0].number, 1);
        assert_eq!(applications[0].features, [0.754_237_3, 15.0]);
        assert!(applications[1544].features[1].is_nan(), "application 1545 has no number of credit lines");
        assert_eq!(applications.iter().filter(|one| one.approved_by_lender).count(), 1745);
    }

    #[test]
    fn names_a_column_that_the_data_lack() {
        let error = load(&["shoe_size".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("shoe_size"), "{error}");
    }
}
