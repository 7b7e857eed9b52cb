//! The words of `ledgerstone report`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{EXIT_CODES, TrustArguments};

/// `ledgerstone report ...`.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Count decisions, outcomes, reviews and contests by month and route
    #[command(after_help = EXIT_CODES)]
    Summary(ReportSummaryArguments),
    /// Compare outcomes between protected groups: selection rates, impact ratios, scoring rates
    ///
    /// Sex, race or age stand in no record; they come from a vault that `ledgerstone-sidecar vault make` wrote, and that only whoever may
    /// open the records can join to them.
    #[command(after_help = EXIT_CODES)]
    Fairness(ReportFairnessArguments),
}

/// What every report is made from and where it goes.
#[derive(Debug, Args)]
pub struct FiguresArguments {
    /// The decisions, as `ledgerstone-sidecar bundle export` wrote them
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// The keys, as a file.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// An age identity file that opens the bundle; may be repeated
    #[arg(long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// The folder for report.json, report.csv, report.html, report.pdf and trace.csv; what is there is left alone
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
}

/// Arguments of `report summary`.
#[derive(Debug, Args)]
pub struct ReportSummaryArguments {
    /// From what, and where to.
    #[command(flatten)]
    pub figures: FiguresArguments,
}

/// Arguments of `report fairness`.
#[derive(Debug, Args)]
pub struct ReportFairnessArguments {
    /// From what, and where to.
    #[command(flatten)]
    pub figures: FiguresArguments,
    /// The vault with the attributes
    #[arg(long, value_name = "FILE")]
    pub vault: PathBuf,
    /// Attributes of one table, crossed where there are several: `--by sex,race`; may be repeated [default: each, and each pair]
    #[arg(long, value_name = "NAME[,NAME]")]
    pub by: Vec<String>,
    /// Which outcome counts
    #[arg(long, value_enum, default_value_t)]
    pub outcome: CountedOutcome,
    /// The score whose median scoring rates are taken by [default: the only one of a record]
    #[arg(long, value_name = "NAME")]
    pub score: Option<String>,
    /// A lower score is the better one for the person
    #[arg(long)]
    pub lower_is_better: bool,
    /// Give groups below two percent of all no ratio, for the reason given here (6 RCNY 5-301(d))
    #[arg(long, value_name = "REASON")]
    pub leave_out_small: Option<String>,
}

/// Which outcome is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CountedOutcome {
    /// The one that the model's answer led to
    #[default]
    Answer,
    /// The one after what people did later
    Final,
}
