//! What an audit finds of a model server that computes with another model than the registered one: a table in Markdown.
//!
//! ```text
//! scripts/tamper-table [DECISIONS]
//! ```
//! Every decision goes through the real sidecar to disk, is exported and recomputed; what is counted are the audit's verdicts. Needs Python for the models
//! that are trained otherwise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    unreachable_pub,
    missing_docs,
    reason = "a measuring program stops at the first surprise"
)]

#[path = "../tests/support/tampers.rs"]
#[allow(dead_code, reason = "shared with the program that measures speed")]
mod tampers;

use tampers::{
    Audited, Data, audited, credit, drop_last_tree, edited, lending, raise_leaf, reach_leaf, round_leaves,
    trained,
};

/// Inputs that are changed after the record, of the lending example: the loan to the price, the obligations to the income, the income.
const FEATURES: [&str; 3] = ["loanprc", "obrat", "appinc"];

fn main() {
    let count =
        std::env::args().nth(1).map_or(usize::MAX, |count| count.parse().expect("a number of decisions"));
    let folder = tempfile::tempdir().expect("a temporary directory");
    let trained = trained(folder.path()).expect("Python with its packages");
    println!(
        "| data | the server computes with | decisions | found | share | recorded outcome does not follow |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let both = [lending(count, Some(&trained)), credit(count, &trained)];
    let honest: Vec<Audited> = both.iter().map(table).collect();
    println!();
    println!(
        "| data | changed by 1 % after the record | records | refused by the commitment | noticed by recomputation alone |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for feature in FEATURES {
        let doctored = honest[0].doctored(feature);
        println!(
            "| lending | `{feature}` | {} | {} | {} |",
            doctored.records, doctored.by_commitment, doctored.by_recomputation
        );
    }
}

/// Prints the lines of one data set; gives the honest run.
fn table(data: &Data) -> Audited {
    let honest = audited(&data.honest, &data.honest, &data.rows);
    line(data, "the registered model (false alarms)", &honest);
    let raised = edited(&data.honest, raise_leaf);
    let reached = reach_leaf(&data.honest, &data.rows);
    let mut cases = vec![
        ("all but the last tree".to_owned(), edited(&data.honest, drop_last_tree)),
        ("leaves rounded to f16".to_owned(), edited(&data.honest, round_leaves)),
        (format!("one leaf + 0.05 ({} decisions reach it)", reached.len()), raised),
    ];
    cases.extend(data.trained.iter().map(|(what, model)| ((*what).to_owned(), model.clone())));
    for (what, served) in cases {
        let audited = audited(&data.honest, &served, &data.rows);
        assert!(
            !what.starts_with("one leaf") || audited.found == reached,
            "other decisions than reach the leaf"
        );
        line(data, &what, &audited);
    }
    honest
}

fn line(data: &Data, what: &str, audited: &Audited) {
    let Audited { decisions, found, flips, .. } = audited;
    let share = found.len() as f64 / *decisions as f64;
    println!("| {} | {what} | {decisions} | {} | {share:.4} | {flips} |", data.name, found.len());
}
