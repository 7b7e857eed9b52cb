//! The command line of notices, as types only.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::notices::Format;

/// `notice ...`
#[derive(Debug, Subcommand)]
pub enum NoticeCommand {
    /// Print the kinds of notices, with their languages and what each must show.
    List,
    /// Write the templates that come along into a folder, to be changed there (notices.templates).
    Templates {
        /// The folder; a file that is there already is left alone
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Write a notice as HTML or PDF, and record in the log that it was sent. The sidecar may be running.
    ///
    /// The same log, template, data and date give the same file. What the notice must show and the record or the data lack is
    /// refused with the whole list.
    Render(Box<NoticeArguments>),
}

/// Arguments of `notice render`.
#[derive(Debug, Args)]
pub struct NoticeArguments {
    /// A name of `notice list`
    #[arg(long, value_name = "KIND")]
    pub kind: String,
    /// The decision that it is about; left out for a notice that comes before
    #[arg(long, value_name = "ID")]
    pub decision: Option<String>,
    /// What it becomes
    #[arg(long, value_enum)]
    pub format: Format,
    /// Names, addresses and instructions, as TOML; they go into the notice and nowhere else
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Its language
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    pub language: String,
    /// The day that it bears, YYYY-MM-DD [default: today, UTC]
    #[arg(long, value_name = "DATE")]
    pub date: Option<String>,
    /// Which person, counted from 0, where the call was about several
    #[arg(long, value_name = "N")]
    pub row: Option<u32>,
    /// Where to write it; a file that is there already must be the same
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Add a notice entry to the decision: kind, template, channel, time and the file's digest
    #[arg(long, requires = "decision", requires = "channel")]
    pub record: bool,
    /// How it is sent, for example mail or email
    #[arg(long, value_name = "WORD", requires = "record")]
    pub channel: Option<String>,
    /// The day on which it was delivered, YYYY-MM-DD [default: now]
    #[arg(long, value_name = "DATE", requires = "record")]
    pub delivered: Option<String>,
    /// The sidecar's address for additions [default: recorder.listen]
    #[arg(long, value_name = "URL", requires = "record")]
    pub recorder: Option<String>,
    /// The certificates that an https address is checked against, as PEM [default: server.tls.cert]
    #[arg(long, value_name = "FILE", requires = "record")]
    pub ca: Option<PathBuf>,
}
