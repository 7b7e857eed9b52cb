//! Tables as comma-separated values (RFC 4180).
//!
//! *Guarantees*: a cell is one cell whatever it holds, and none starts as a formula does, so that a spreadsheet computes nothing.

/// How a spreadsheet recognises a formula, and what it skips before one.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// One line of cells.
pub(super) fn line<C: AsRef<str>>(cells: impl IntoIterator<Item = C>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|cell| quoted(cell.as_ref())).collect();
    cells.join(",") + "\r\n"
}

fn quoted(cell: &str) -> String {
    let is_number = cell.parse::<f64>().is_ok();
    let guard = if cell.starts_with(FORMULA_STARTS) && !is_number { "'" } else { "" };
    if guard.is_empty() && !cell.contains([',', '"', '\r', '\n']) {
        return cell.to_owned();
    }
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(line(["a", "b,c", "d\"e", "f\ng"]), "a,\"b,c\",\"d\"\"e\",\"f\ng\"\r\n");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for start in ["=1+1", "+cmd|'/c calc'!A0", "@SUM(A1)", "-2+3", "\t=1", "\r=1"] {
            assert!(line([start]).starts_with("\"'"), "{start:?}");
        }
        assert_eq!(line(["-0.25", "+3"]), "-0.25,+3\r\n", "numbers stay numbers");
    }
}
