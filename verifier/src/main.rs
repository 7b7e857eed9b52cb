//! `ledgerstone`: checks receipts and logs offline.

use std::process::ExitCode;

use clap::Parser;
use ledgerstone_verifier::cli::Arguments;
use ledgerstone_verifier::exit::Exit;
use ledgerstone_verifier::source::install_crypto_provider;
use ledgerstone_verifier::{command, output::Output};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Verified };
            // Where even that cannot be printed, the status still tells.
            let _ = error.print();
            return exit.into();
        }
    };
    install_crypto_provider();
    let mut output = Output::standard(arguments.output);
    let exit = command::run(&arguments.command, &mut output)
        .and_then(|exit| output.flush().map(|()| exit))
        .unwrap_or_else(|refusal| output.refuse(&refusal));
    exit.into()
}
