//! Tables of data: lines of cells without quotes.
//!
//! *Does not do*: quoted cells; no example's data have any.

use std::error::Error;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

/// A table that was read.
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A line of it.
pub struct Row<'a> {
    columns: &'a [String],
    cells: &'a [String],
}

impl Table {
    /// Reads a table whose first line names the columns.
    ///
    /// # Errors
    /// If a line has another number of cells.
    pub fn parse(text: &str) -> Result<Self> {
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut lines = text.lines();
        let columns = cells(lines.next().context("it is empty")?);
        let rows: Vec<_> = lines.map(cells).collect();
        for (number, row) in rows.iter().enumerate() {
            ensure!(row.len() == columns.len(), "line {} has {} cells", number + 2, row.len());
        }
        Ok(Self { columns, rows })
    }

    /// Its lines, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }
}

impl<'a> Row<'a> {
    /// The cell of a column.
    ///
    /// # Errors
    /// If the data have no such column.
    pub fn cell(&self, column: &str) -> Result<&'a str> {
        let place = self.columns.iter().position(|name| name == column);
        let cell = place.and_then(|place| self.cells.get(place));
        cell.map(String::as_str).with_context(|| format!("no column {column} in the data"))
    }

    /// The number in a cell.
    ///
    /// # Errors
    /// If there is no such column, or no such number in it.
    pub fn number<T: FromStr<Err: Error + Send + Sync + 'static>>(&self, column: &str) -> Result<T> {
        let cell = self.cell(column)?;
        cell.parse().with_context(|| format!("{column} is {cell}, not a number"))
    }

    /// Whether a cell says yes.
    ///
    /// # Errors
    /// If there is no such column, or it says neither 0 nor 1.
    pub fn says(&self, column: &str) -> Result<bool> {
        match self.cell(column)? {
            "0" => Ok(false),
            "1" => Ok(true),
            other => anyhow::bail!("{column} is {other}, neither 0 nor 1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_cells_by_their_column() {
        let table = Table::parse("resume,volunteer\n7,1\n8,0\n").unwrap();
        let rows: Vec<_> = table
            .rows()
            .map(|row| (row.number::<u32>("resume").unwrap(), row.says("volunteer").unwrap()))
            .collect();
        assert_eq!(rows, [(7, true), (8, false)]);
        assert!(table.rows().next().unwrap().cell("shoe_size").is_err());
        assert!(table.rows().next().unwrap().says("resume").is_err());
    }

    #[test]
    fn refuses_a_line_with_other_cells() {
        assert!(Table::parse("").is_err());
        assert!(Table::parse("a,b\n1\n").is_err());
    }
}
