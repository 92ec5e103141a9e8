//! Tells the linker of each platform that Node provides the symbols.

fn main() {
    napi_build::setup();
}
