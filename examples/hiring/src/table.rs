//! The study's tables: lines of cells without quotes.
//!
//! *Does not do*: quoted cells; `extract.py` writes none.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::study;

/// A table that was read.
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A line of it.
pub(crate) struct Row<'a> {
    columns: &'a [String],
    cells: &'a [String],
}

impl Table {
    /// Reads one of the study's tables, which are fetched where they are not there yet.
    pub(crate) fn read(file: &str) -> Result<Self> {
        let path = study::fetch()?.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no table", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut lines = text.lines();
        let columns = cells(lines.next().context("it is empty")?);
        let rows: Vec<_> = lines.map(cells).collect();
        for (number, row) in rows.iter().enumerate() {
            ensure!(row.len() == columns.len(), "line {} has {} cells", number + 2, row.len());
        }
        Ok(Self { columns, rows })
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|cells| Row { columns: &self.columns, cells })
    }
}

impl<'a> Row<'a> {
    /// The cell of a column.
    pub(crate) fn cell(&self, column: &str) -> Result<&'a str> {
        let place = self.columns.iter().position(|name| name == column);
        let cell = place.and_then(|place| self.cells.get(place));
        cell.map(String::as_str).with_context(|| format!("no column {column} in the data"))
    }

    pub(crate) fn number(&self, column: &str) -> Result<u32> {
        let cell = self.cell(column)?;
        cell.parse().with_context(|| format!("{column} is {cell}, not a number"))
    }

    /// Whether a cell says yes.
    pub(crate) fn says(&self, column: &str) -> Result<bool> {
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
        let rows: Vec<_> =
            table.rows().map(|row| (row.number("resume").unwrap(), row.says("volunteer").unwrap())).collect();
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
