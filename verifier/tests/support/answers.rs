//! The answers that a library gave beside a model file.

use std::path::Path;

use ledgerstone_verifier::recompute::Precision;

/// What a library or engine answered; see `library/tables.py` for the file.
pub(crate) struct Answers {
    pub(crate) precision: Precision,
    pub(crate) columns: usize,
    pub(crate) rows: Vec<f64>,
    pub(crate) margins: Vec<f64>,
    pub(crate) answers: Vec<f64>,
    /// Contributions; of an ONNX graph its labels.
    pub(crate) others: Vec<f64>,
    /// Margins a row, numbers of an answer, others a row.
    pub(crate) widths: [usize; 3],
}

impl Answers {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let (head, rest) = bytes.split_at(28);
        let head: Vec<usize> =
            head.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()) as usize).collect();
        let [size, count, columns, margins, answers, with_others, others] = head[..] else { panic!() };
        let numbers: Vec<f64> = match size {
            4 => rest.chunks_exact(4).map(|n| f64::from(f32::from_le_bytes(n.try_into().unwrap()))).collect(),
            8 => rest.chunks_exact(8).map(|n| f64::from_le_bytes(n.try_into().unwrap())).collect(),
            _ => panic!("{}: {size} bytes a number", path.display()),
        };
        let (rows, rest) = numbers.split_at(count * columns);
        let (of_margins, rest) = rest.split_at(count * margins);
        let (of_answers, of_others) = rest.split_at(count * answers);
        assert_eq!(of_others.len(), with_others * others, "{}", path.display());
        Self {
            precision: if size == 4 { Precision::F32 } else { Precision::F64 },
            columns,
            rows: rows.to_vec(),
            margins: of_margins.to_vec(),
            answers: of_answers.to_vec(),
            others: of_others.to_vec(),
            widths: [margins, answers, others],
        }
    }
}
