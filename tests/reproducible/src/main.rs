//! Says where its parts lay when it was built; `build.rs` links a part of C into it.

fn main() {
    println!("{} {} {:?}", file!(), part::place(), std::panic::Location::caller());
}
