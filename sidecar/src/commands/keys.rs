//! `keys check` and `keys create`: looking after the key that wraps record keys.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use zeroize::Zeroizing;

use super::init::key_file;
use crate::cli::KeysCommand;
use crate::config::Config;
use crate::config::keys::{KeysConfig, ProviderConfig};
use crate::keyring::{self, Created, KEY_BYTES, Provider, RecordKey};

/// Does what `command` says with the key providers of `config`.
///
/// # Errors
/// If a provider cannot be reached, or does not do it.
pub fn keys(command: KeysCommand, config: &Config, out: &mut impl Write) -> Result<()> {
    match command {
        KeysCommand::Check => check(config, out),
        KeysCommand::Create => create(config, out),
    }
}

/// Has each provider wrap and unwrap a random key, and says how long that took. All are tried, even after a failure.
fn check(config: &Config, out: &mut impl Write) -> Result<()> {
    let keys = keyring::open(&config.keys)?;
    let mut failed = 0;
    for (n, provider) in keys.all().enumerate() {
        let role = if n == 0 { "wraps and unwraps" } else { "earlier, unwraps" };
        writeln!(out, "{} {} ({role})", provider.kind(), provider.key_id())?;
        match round_trip(provider) {
            Ok((wrap, unwrap, bytes)) => {
                let ms = |time: Duration| time.as_secs_f64() * 1e3;
                writeln!(out, "  wrapped a random key in {:.1} ms, {bytes} bytes", ms(wrap))?;
                writeln!(out, "  unwrapped it in {:.1} ms", ms(unwrap))?;
            }
            Err(error) => {
                failed += 1;
                writeln!(out, "  failed: {error:#}")?;
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of the key providers did not work: see above what to do");
    }
    Ok(())
}

/// The time for wrapping, the time for unwrapping, and the length of the wrapped key.
fn round_trip(provider: &dyn Provider) -> Result<(Duration, Duration, usize)> {
    let mut random = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(random.as_mut_slice()).context("the operating system gives no randomness")?;
    let key = RecordKey::new(random);
    let started = Instant::now();
    let wrapped = provider.wrap(&key)?;
    let wrap = started.elapsed();
    let again = provider.unwrap(provider.key_id(), &wrapped)?;
    let unwrap = started.elapsed() - wrap;
    if again.expose() != key.expose() {
        bail!("what came back is another key than was wrapped: do not use this provider");
    }
    Ok((wrap, unwrap, wrapped.as_bytes().len()))
}

/// Makes the key of the provider in force where it does not exist.
fn create(config: &Config, out: &mut impl Write) -> Result<()> {
    let current = &config.keys.current;
    if let ProviderConfig::File { path } = current {
        return key_file(path, out);
    }
    let keys = keyring::open(&KeysConfig { previous: Vec::new(), ..config.keys.clone() })?;
    let provider = keys.current();
    match provider.create()? {
        Created::Made => writeln!(out, "made the key {} in {}", provider.key_id(), provider.kind())?,
        Created::Found => writeln!(out, "found the key {} in {}", provider.key_id(), provider.kind())?,
    }
    Ok(())
}
