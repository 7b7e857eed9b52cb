//! The lines of a LightGBM model file, cut into the header and the trees.
//!
//! *Guarantees*: each key stands once and is one that is known; numbers are read with one rounding; a list is as long as
//! the file has numbers, whatever a count says.
//!
//! *Does not do*: anything with what follows `end of trees` (importances, parameters, categories of a data frame), which the
//! library does not score with.

use std::collections::HashMap;
use std::str::FromStr;

use crate::recompute::error::{ModelError, malformed, shown, unsupported};

const FORMAT: &str = "LightGBM text";

const HEADER_KEYS: &[&str] = &[
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "average_output",
    "feature_names",
    "monotone_constraints",
    "feature_infos",
    "tree_sizes",
];

const TREE_KEYS: &[&str] = &[
    "num_leaves",
    "num_cat",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "cat_boundaries",
    "cat_threshold",
    "is_linear",
    "leaf_const",
    "num_features",
    "leaf_features",
    "leaf_coeff",
    "shrinkage",
];

/// A part of the file: lines of `key=value`, and where they stand.
pub(super) struct Section<'a> {
    /// `header`, or `Tree=3`.
    pub(super) name: String,
    values: HashMap<&'a str, &'a str>,
}

/// A file's header and trees.
pub(super) struct Text<'a> {
    pub(super) header: Section<'a>,
    pub(super) trees: Vec<Section<'a>>,
}

impl<'a> Text<'a> {
    /// Cuts a file whose first line is `tree`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let text = core::str::from_utf8(bytes).map_err(|error| ModelError::Syntax {
            format: FORMAT,
            place: format!("byte {}", error.valid_up_to()),
            problem: "this is not UTF-8".to_owned(),
        })?;
        let mut sections: Vec<(Section<'a>, usize)> = vec![(Section::new("header".to_owned()), 0)];
        let mut offset = 0;
        let mut end = None;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let place = || format!("line {}", number + 1);
            let content = line.trim_end_matches(['\n', '\r']);
            if content == "end of trees" {
                end = Some(offset);
                break;
            }
            if let Some(tree) = content.strip_prefix("Tree=") {
                if tree.parse() != Ok(sections.len() - 1) {
                    return Err(malformed(place(), "is not the number of the tree that should follow"));
                }
                sections.push((Section::new(content.to_owned()), offset));
            } else if !content.is_empty() && number > 0 {
                let in_tree = sections.len() > 1;
                let (section, _) = sections.last_mut().ok_or_else(|| malformed(place(), "has no section"))?;
                section.put(content, if in_tree { TREE_KEYS } else { HEADER_KEYS }, &place())?;
            } else if number == 0 && content != "tree" {
                return Err(unsupported(format!("a LightGBM model of the kind {}", shown(content)), place()));
            }
            offset += line.len();
        }
        let end = end.ok_or_else(|| ModelError::Syntax {
            format: FORMAT,
            place: format!("line {}", text.lines().count()),
            problem: "the file ends before `end of trees`".to_owned(),
        })?;
        check_sizes(&sections, end)?;
        let mut sections = sections.into_iter().map(|(section, _)| section);
        let header = sections.next().ok_or_else(|| malformed("line 1", "has no header"))?;
        Ok(Self { header, trees: sections.collect() })
    }
}

/// The library finds the trees by `tree_sizes`, so those must be the trees that stand there.
fn check_sizes(sections: &[(Section<'_>, usize)], end: usize) -> Result<(), ModelError> {
    let Some((header, trees)) = sections.split_first() else { return Ok(()) };
    let Some(sizes) = header.0.optional_list::<usize>("tree_sizes")? else { return Ok(()) };
    let ends = trees.iter().skip(1).map(|(_, start)| *start).chain([end]);
    let found = trees.iter().zip(ends).map(|((_, start), end)| end - start);
    if sizes.len() == trees.len() && sizes.into_iter().eq(found) {
        return Ok(());
    }
    Err(malformed("header.tree_sizes", "does not give the lengths of the trees that follow"))
}

impl<'a> Section<'a> {
    fn new(name: String) -> Self {
        Self { name, values: HashMap::new() }
    }

    fn put(&mut self, line: &'a str, known: &[&str], place: &str) -> Result<(), ModelError> {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if !known.contains(&key) {
            return Err(unsupported(format!("a model with the setting {}", shown(key)), place));
        }
        match self.values.insert(key, value) {
            None => Ok(()),
            Some(_) => Err(malformed(place, "repeats a key")),
        }
    }

    /// Where a key stands, for messages.
    pub(super) fn place(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).copied()
    }

    fn required(&self, key: &str) -> Result<&'a str, ModelError> {
        self.text(key).ok_or_else(|| malformed(self.place(key), "is missing"))
    }

    pub(super) fn number<T: FromStr>(&self, key: &str) -> Result<T, ModelError> {
        let parsed = self.required(key)?.trim().parse();
        parsed.map_err(|_| malformed(self.place(key), "is not a number of the right kind"))
    }

    pub(super) fn optional_list<T: FromStr>(&self, key: &str) -> Result<Option<Vec<T>>, ModelError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let numbers: Result<Vec<T>, _> = text.split_ascii_whitespace().map(T::from_str).collect();
        numbers
            .map(Some)
            .map_err(|_| malformed(self.place(key), "holds something that is not a number of the right kind"))
    }

    /// A list of exactly `length` numbers.
    pub(super) fn list<T: FromStr>(&self, key: &str, length: usize) -> Result<Vec<T>, ModelError> {
        self.required(key)?;
        match self.optional_list(key)? {
            Some(list) if list.len() == length => Ok(list),
            _ => Err(malformed(self.place(key), "has another length than num_leaves and num_cat give")),
        }
    }
}
