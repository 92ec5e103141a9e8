//! Links the settings of the allocator where the C library is glibc.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=src/allocator.c");
    let glibc = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|name| name == "gnu")
        && env::var("CARGO_CFG_TARGET_OS").is_ok_and(|name| name == "linux");
    if glibc {
        cc::Build::new()
            .file("src/allocator.c")
            .link_lib_modifier("+whole-archive")
            .compile("nakivo_allocator");
    }
}
