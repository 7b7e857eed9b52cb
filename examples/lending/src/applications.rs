//! The 1,989 applications of `data/loanapp.csv`, as rows for a model.

use anyhow::{Context, Result, bail};

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
    let mut lines = LOANAPP.lines();
    let header: Vec<&str> = lines.next().context("the data are empty")?.split(',').collect();
    let place = |name: &str| {
        header
            .iter()
            .position(|column| *column == name)
            .with_context(|| format!("no column {name} in the data"))
    };
    let (number, approve) = (place("application")?, place("approve")?);
    let inputs = columns.iter().map(|column| place(column)).collect::<Result<Vec<_>>>()?;
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let cell = |at: usize| cells.get(at).copied().with_context(|| format!("a short line: {line}"));
            Ok(Application {
                number: cell(number)?.parse()?,
                features: inputs.iter().map(|at| value(cell(*at)?)).collect::<Result<_>>()?,
                approved_by_lender: flag(cell(approve)?)?,
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

fn flag(cell: &str) -> Result<bool> {
    match cell {
        "0" => Ok(false),
        "1" => Ok(true),
        other => bail!("{other} is neither 0 nor 1"),
    }
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
