//! The commands, one verb a file, and the way from the parsed command line to them.
//!
//! Guarantees: a command either has a verdict or says why it has none. Does not do: parsing arguments (`cli`), setting
//! text (`output`).

mod approval_propose;
mod approval_show;
mod approval_sign;
mod audit_basis;
mod audit_bound;
mod audit_calibrate;
mod audit_draw;
mod audit_plan;
mod audit_register;
mod audit_report;
mod audit_run;
#[cfg(feature = "serve")]
mod audit_serve;
mod audit_size;
mod audit_submit;
mod audit_verify;
mod bundle_inspect;
mod completions;
pub mod doctor;
mod grpc;
mod key_generate;
mod key_show;
#[cfg(feature = "neural")]
mod language_file;
mod log_checkpoint;
mod log_entries;
mod log_models;
mod log_proof;
mod model_compare;
mod model_digest;
mod model_folder;
mod model_generate;
mod model_predict;
mod model_register;
mod model_show;
mod model_verify;
mod onnxruntime;
mod proved;
mod receipt_cose;
mod receipt_disclose;
mod receipt_get;
mod receipt_page;
mod receipt_show;
pub mod receipt_upgrade;
mod recompute;
mod registry;
mod report_fairness;
mod report_files;
mod report_summary;
mod siem_reconcile;
mod top;
mod trust;
pub mod verify_anchors;
pub mod verify_log;
pub mod verify_receipt;

use crate::cli::{
    ApprovalCommand, AuditCommand, BundleCommand, Command, KeyCommand, LogCommand, ModelCommand,
    ReceiptCommand, ReportCommand, SiemCommand, VerifyCommand,
};
use crate::exit::{Exit, Refusal};
use crate::output::Output;

/// Runs one command.
///
/// # Errors
/// Why it has no verdict.
pub fn run(command: &Command, output: &mut Output) -> Result<Exit, Refusal> {
    match command {
        Command::Verify(VerifyCommand::Receipt(arguments)) => verify_receipt::run(arguments, output),
        Command::Verify(VerifyCommand::Log(arguments)) => verify_log::run(arguments, output),
        Command::Verify(VerifyCommand::Anchors(arguments)) => verify_anchors::run(arguments, output),
        Command::Receipt(ReceiptCommand::Get(arguments)) => receipt_get::run(arguments, output),
        Command::Receipt(ReceiptCommand::Show(arguments)) => receipt_show::run(arguments, output),
        Command::Receipt(ReceiptCommand::Upgrade(arguments)) => receipt_upgrade::run(arguments, output),
        Command::Receipt(ReceiptCommand::Page(arguments)) => receipt_page::run(arguments, output),
        Command::Receipt(ReceiptCommand::Cose(arguments)) => receipt_cose::run(arguments, output),
        Command::Receipt(ReceiptCommand::Disclose(arguments)) => receipt_disclose::run(arguments, output),
        Command::Log(LogCommand::Checkpoint(arguments)) => log_checkpoint::run(arguments, output),
        Command::Log(LogCommand::Entries(arguments)) => log_entries::run(arguments, output),
        Command::Log(LogCommand::Proof(arguments)) => log_proof::run(arguments, output),
        Command::Log(LogCommand::Models(arguments)) => log_models::run(arguments, output),
        Command::Key(KeyCommand::Generate(arguments)) => key_generate::run(arguments, output),
        Command::Key(KeyCommand::Show(arguments)) => key_show::run(arguments, output),
        Command::Model(ModelCommand::Show(arguments)) => model_show::run(arguments, output),
        Command::Model(ModelCommand::Predict(arguments)) => model_predict::run(arguments, output),
        Command::Model(ModelCommand::Compare(arguments)) => model_compare::run(arguments, output),
        Command::Model(ModelCommand::Digest(arguments)) => model_digest::run(arguments, output),
        Command::Model(ModelCommand::Verify(arguments)) => model_verify::run(arguments, output),
        Command::Model(ModelCommand::Register(arguments)) => model_register::run(arguments, output),
        Command::Approval(ApprovalCommand::Propose(command)) => approval_propose::run(command, output),
        Command::Approval(ApprovalCommand::Sign(arguments)) => approval_sign::run(arguments, output),
        Command::Approval(ApprovalCommand::Show(arguments)) => approval_show::run(arguments, output),
        Command::Approval(ApprovalCommand::Roster(arguments)) => approval_show::roster(arguments, output),
        Command::Audit(AuditCommand::Plan(arguments)) => audit_plan::run(arguments, output),
        Command::Audit(AuditCommand::Draw(arguments)) => audit_draw::run(arguments, output),
        Command::Audit(AuditCommand::Size(arguments)) => audit_size::run(arguments, output),
        Command::Audit(AuditCommand::Bound(arguments)) => audit_bound::run(arguments, output),
        Command::Audit(AuditCommand::Run(arguments)) => audit_run::run(arguments, output),
        #[cfg(feature = "serve")]
        Command::Audit(AuditCommand::Serve(arguments)) => audit_serve::run(arguments, output),
        Command::Audit(AuditCommand::Submit(arguments)) => audit_submit::run(arguments, output),
        Command::Audit(AuditCommand::Report(arguments)) => audit_report::run(arguments, output),
        Command::Audit(AuditCommand::Verify(arguments)) => audit_verify::run(arguments, output),
        Command::Report(ReportCommand::Summary(arguments)) => report_summary::run(arguments, output),
        Command::Report(ReportCommand::Fairness(arguments)) => report_fairness::run(arguments, output),
        Command::Siem(SiemCommand::Reconcile(arguments)) => siem_reconcile::run(arguments, output),
        Command::Bundle(BundleCommand::Inspect(arguments)) => bundle_inspect::run(arguments, output),
        Command::Audit(AuditCommand::Register(arguments)) => audit_register::run(arguments, output),
        Command::Model(ModelCommand::Generate(arguments)) => model_generate::run(arguments, output),
        Command::Doctor(arguments) => doctor::run(arguments, output),
        Command::Top(arguments) => top::run(arguments, output),
        Command::Completions(arguments) => completions::run(*arguments, output),
        Command::Man(arguments) => completions::man(arguments, output),
        Command::Audit(AuditCommand::Calibrate(arguments)) => audit_calibrate::run(arguments, output),
    }
}
