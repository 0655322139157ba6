//! Makes what is embedded in the binary: the web pages, and the page that shows the API's description.

#[path = "build/pages.rs"]
mod pages;
#[path = "build/swagger_ui.rs"]
mod swagger_ui;

use std::path::PathBuf;
use std::{env, process};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    if let Err(error) = pages::embed() {
        fail(&format!("the web pages cannot be embedded: {error}"));
    }
    if let Err(error) = swagger_ui::unpack() {
        fail(&format!("Swagger UI cannot be embedded: {error}"));
    }
}

fn path(variable: &str) -> PathBuf {
    PathBuf::from(env::var_os(variable).unwrap_or_default())
}

fn fail(why: &str) -> ! {
    println!("cargo:error={why}");
    process::exit(1);
}
