//! Compiles a file of C as the crates with C in them do: with CFLAGS, and debug lines that say where it lay.

use std::env::var;
use std::process::Command;

fn main() {
    let out = var("OUT_DIR").unwrap();
    let flags = var("CFLAGS").unwrap_or_default();
    let source = format!("{}/part.c", var("CARGO_MANIFEST_DIR").unwrap());
    let object = format!("{out}/part.o");
    let compiled = Command::new("cc").args(["-g", "-c", &source, "-o", &object]).args(flags.split_whitespace()).status().unwrap();
    assert!(compiled.success());
    println!("cargo::rustc-link-arg={object}");
}
