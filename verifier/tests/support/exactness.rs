//! What the comparing tests measured, and `docs/exactness.md`, which has it.
//!
//! In a usual run a test fails where the page says something else than it measured. With `LEDGERSTONE_EXACTNESS=FOLDER` it writes the rows into that
//! folder instead, and `scripts/exactness` makes the page of them.

use std::path::{Path, PathBuf};

use ledgerstone_verifier::output::thousands;

/// Numbers that were compared with a library's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Part {
    pub(crate) numbers: usize,
    /// Those with the same bits.
    pub(crate) equal: usize,
    /// The greatest difference, as a share of the greatest number of the answer (or of 1).
    pub(crate) farthest: f64,
}

/// What was compared of one model.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) data: String,
    pub(crate) model: String,
    pub(crate) rows: usize,
    pub(crate) parts: [Part; 3],
}

/// A table of the page.
pub(crate) struct Section {
    /// The name of the file of its rows.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What it was compared with: text, with pinned packages as `{package}`.
    pub(crate) against: &'static str,
    /// Where those packages are pinned, from the repository's root.
    pub(crate) requirements: &'static str,
    /// What the three parts of a row are.
    pub(crate) parts: [&'static str; 3],
}

const LIBRARY: &str = "verifier/tests/library/requirements.txt";
const ONNX: &str = "verifier/tests/library/onnx-requirements.txt";
const TEXT: &str = "verifier/tests/library/text_requirements.txt";
const TREES: [&str; 3] = ["margins", "answers", "contributions"];
const GRAPHS: [&str; 3] = ["margins", "answers", "labels"];
const TEXTS: [&str; 3] = ["vector", "logits", "-"];

const fn section(
    name: &'static str,
    title: &'static str,
    against: &'static str,
    requirements: &'static str,
    parts: [&'static str; 3],
) -> Section {
    Section { name, title, against, requirements, parts }
}

/// The tables in the page's order.
pub(crate) const SECTIONS: [Section; 16] = [
    section("xgboost", "XGBoost, with TreeSHAP in f32", "xgboost {xgboost}", LIBRARY, TREES),
    section("lightgbm", "LightGBM, with TreeSHAP in f64", "lightgbm {lightgbm}", LIBRARY, TREES),
    section("catboost", "CatBoost", "catboost {catboost}", LIBRARY, TREES),
    section("scorecards", "Scorecards", "a second implementation, in Python", LIBRARY, TREES),
    section("onnx", "ONNX graphs", "onnxruntime {onnxruntime}, one thread", ONNX, GRAPHS),
    section(
        "onnx_random",
        "ONNX, random ensembles of trees",
        "onnxruntime {onnxruntime}, one thread",
        ONNX,
        GRAPHS,
    ),
    section(
        "onnx_operations",
        "ONNX, operations by themselves",
        "onnxruntime {onnxruntime}, one thread",
        ONNX,
        GRAPHS,
    ),
    section(
        "xgboost_shapes",
        "XGBoost, models of every shape",
        "xgboost {xgboost}",
        "examples/lending/requirements.txt",
        TREES,
    ),
    section(
        "xgboost_versions",
        "XGBoost, files of older versions",
        "the version that wrote the file; of 1.0.2, 1.3.3",
        LIBRARY,
        TREES,
    ),
    section("kept_xgboost", "XGBoost, small models kept here", "xgboost {xgboost}", LIBRARY, TREES),
    section("kept_lightgbm", "LightGBM, small models kept here", "lightgbm {lightgbm}", LIBRARY, TREES),
    section("kept_catboost", "CatBoost, small models kept here", "catboost {catboost}", LIBRARY, TREES),
    section(
        "kept_onnx",
        "ONNX, small graphs kept here",
        "onnxruntime {onnxruntime}, one thread",
        ONNX,
        GRAPHS,
    ),
    section("minilm", "Text encoder with published weights", "own numpy in f64, own tokens", TEXT, TEXTS),
    section(
        "families",
        "Text encoders of each family, small, random weights",
        "the Flax classes of transformers 4.57.6, or own numpy in f64 (DeBERTa, ModernBERT)",
        TEXT,
        TEXTS,
    ),
    section(
        "language",
        "Language model",
        "itself with another number of threads; no other engine was compared",
        TEXT,
        ["tokens", "logits", "distances to the next token"],
    ),
];

impl Part {
    /// Compares two numbers of an answer whose greatest number is `scale`.
    pub(crate) fn add(&mut self, ours: f64, theirs: f64, scale: f64) {
        self.numbers += 1;
        if ours.to_bits() == theirs.to_bits() {
            self.equal += 1;
        } else {
            self.farthest = self.farthest.max((ours - theirs).abs() / scale.abs().max(1.0));
        }
    }

    fn join(&mut self, other: &Self) {
        self.numbers += other.numbers;
        self.equal += other.equal;
        self.farthest = self.farthest.max(other.farthest);
    }

    fn cell(&self) -> String {
        match self.numbers {
            0 => "-".to_owned(),
            numbers => format!("{} of {}", thousands(self.equal as u64), thousands(numbers as u64)),
        }
    }
}

impl Row {
    pub(crate) fn new(data: &str, model: &str) -> Self {
        Self { data: data.to_owned(), model: model.to_owned(), rows: 0, parts: Default::default() }
    }

    /// One row of several.
    pub(crate) fn joined<'a>(data: &str, model: &str, rows: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut joined = Self::new(data, model);
        for row in rows {
            joined.rows += row.rows;
            joined.parts.iter_mut().zip(&row.parts).for_each(|(part, other)| part.join(other));
        }
        joined
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.parts.iter().all(|part| part.equal == part.numbers)
    }

    fn farthest(&self) -> f64 {
        self.parts.iter().map(|part| part.farthest).fold(0.0, f64::max)
    }

    fn line(&self) -> String {
        let [one, two, three] = self.parts.each_ref().map(Part::cell);
        let (rows, farthest) = (thousands(self.rows as u64), distance(self.farthest()));
        format!("| {} | {} | {rows} | {one} | {two} | {three} | {farthest} |", self.data, self.model)
    }

    fn read(line: &str) -> Self {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [data, model, rows, parts @ .., farthest] = cells.as_slice() else { panic!("no row: {line}") };
        let farthest = farthest.parse().unwrap();
        let part = |cell: &str| match cell.split_once(" of ") {
            Some((equal, numbers)) => Part { numbers: count(numbers), equal: count(equal), farthest },
            None => Part::default(),
        };
        let [one, two, three] = parts else { panic!("no three parts: {line}") };
        Self { rows: count(rows), parts: [part(one), part(two), part(three)], ..Self::new(data, model) }
    }

    /// Whether a row of the page says the same. How near a number comes depends on the processor.
    fn agrees(&self, page: &Self) -> bool {
        let exact = self.is_exact() && page.is_exact();
        let same = if exact { self.line() == page.line() } else { self.is_exact() == page.is_exact() };
        let numbers = |row: &Self| row.parts.map(|part| part.numbers);
        same && (&self.data, &self.model, self.rows, numbers(self))
            == (&page.data, &page.model, page.rows, numbers(page))
    }
}

fn count(text: &str) -> usize {
    text.replace(',', "").parse().unwrap_or_else(|_| panic!("{text} is no count"))
}

fn distance(farthest: f64) -> String {
    if farthest == 0.0 { "0".to_owned() } else { format!("{farthest:.1e}") }
}

/// The data set that a model was trained on, by the model's name.
pub(crate) fn data_of(model: &str) -> &'static str {
    let named = model.split_once('_').map_or(model, |(_, rest)| rest);
    let sets = [
        ("credit", &["credit", "amount", "targets", "labels", "quantiles", "pipeline"][..]),
        ("lclub", &["lending_club", "classes"][..]),
        ("hiring", &["hiring", "rank"][..]),
        ("bcancer", &["cancer"][..]),
    ];
    let found = sets.iter().find(|(_, names)| names.iter().any(|name| named.starts_with(name)));
    found.unwrap_or_else(|| panic!("the data of {model} are not known")).0
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The page's place.
pub(crate) fn page() -> PathBuf {
    repository().join("docs/exactness.md")
}

/// Where rows go instead of being checked.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os("LEDGERSTONE_EXACTNESS").map(PathBuf::from)
}

/// Takes what a test measured for one table: all of its rows.
pub(crate) fn measured(name: &str, rows: &[Row]) {
    let section = SECTIONS.iter().find(|section| section.name == name).expect("a table of the page");
    if let Some(folder) = folder() {
        let lines: Vec<String> = rows.iter().map(Row::line).collect();
        std::fs::write(folder.join(name), lines.join("\n")).unwrap();
        return;
    }
    let known = section.rows_of(&std::fs::read_to_string(page()).unwrap());
    for (row, known) in rows.iter().zip(&known) {
        assert!(
            row.agrees(known),
            "docs/exactness.md has\n{}\nand this run\n{}\nMake it anew with scripts/exactness.",
            known.line(),
            row.line()
        );
    }
    assert_eq!(
        rows.len(),
        known.len(),
        "rows of {}; make the page anew with scripts/exactness",
        section.title
    );
}

impl Section {
    /// The versions of the packages as they are pinned.
    fn against(&self) -> String {
        let pins = std::fs::read_to_string(repository().join(self.requirements)).unwrap();
        let mut text = self.against.to_owned();
        for line in pins.lines() {
            if let Some((package, rest)) = line.split_once("==") {
                let version = rest.split([';', ' ']).next().unwrap_or_default();
                text = text.replace(&format!("{{{package}}}"), version);
            }
        }
        assert!(!text.contains('{'), "{} does not pin what {text} names", self.requirements);
        text
    }

    /// The rows that the page has.
    pub(crate) fn rows_of(&self, page: &str) -> Vec<Row> {
        let heading = format!("### {}\n", self.title);
        let Some((_, rest)) = page.split_once(&heading) else { return Vec::new() };
        let table = rest.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
        table.take_while(|line| line.starts_with('|')).map(Row::read).collect()
    }

    /// The rows that the section's test wrote into a folder; none if it did not run.
    pub(crate) fn rows_in(&self, folder: &Path) -> Option<Vec<Row>> {
        let text = std::fs::read_to_string(folder.join(self.name)).ok()?;
        Some(text.lines().map(Row::read).collect())
    }

    /// The table with its heading.
    pub(crate) fn table(&self, rows: &[Row]) -> String {
        let [one, two, three] = self.parts;
        let lines: Vec<String> = rows.iter().map(Row::line).collect();
        format!(
            "### {}\n\nAgainst {}.\n\n| data | model | rows | {one} | {two} | {three} | farthest |\n| --- | --- | --- | --- | --- | --- | --- |\n{}\n",
            self.title,
            self.against(),
            lines.join("\n")
        )
    }

    /// The section's lines of the summary: one for the exact models of each data set and one for those that only come near.
    pub(crate) fn summary(&self, rows: &[Row]) -> String {
        let mut lines = String::new();
        let mut groups: Vec<(&str, bool)> = Vec::new();
        for row in rows {
            let group = (row.data.as_str(), row.is_exact());
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups.sort_by_key(|(_, is_exact)| !is_exact);
        for (data, is_exact) in groups {
            let of_group: Vec<&Row> =
                rows.iter().filter(|row| (row.data.as_str(), row.is_exact()) == (data, is_exact)).collect();
            let joined = Row::joined(data, "", of_group.iter().copied());
            let mut all = Part::default();
            joined.parts.iter().for_each(|part| all.join(part));
            let share = match all.equal == all.numbers {
                true => "all".to_owned(),
                false => format!("{:.1} %", 100.0 * all.equal as f64 / all.numbers as f64),
            };
            lines += &format!(
                "| {} | {data} | {} | {} | {share} | {} |\n",
                self.title,
                thousands(joined.rows as u64),
                all.cell(),
                distance(joined.farthest())
            );
        }
        lines
    }
}
