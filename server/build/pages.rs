//! Embeds the web pages: every file of `web/dist`, as a table that `src/web/mod.rs` includes.
//!
//! `x.br` and `x.gz` beside a file `x` are taken as its compressed variants.
//!
//! A release is not built without pages by mistake; `BRIG_WITHOUT_WEB=1` says that it is meant.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs, io};

use sha2::{Digest, Sha256};

use super::{fail, path};

/// Bytes of a file's hash that go into its entity tag.
const TAG_BYTES: usize = 12;

/// A file of the pages.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct File {
    /// Its name below `web/dist`.
    name: String,
    path: String,
}

/// Writes the table to `OUT_DIR/web.rs`.
pub(super) fn embed() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed=BRIG_WITHOUT_WEB");
    let without = env::var("BRIG_WITHOUT_WEB").is_ok_and(|value| value == "1");
    let files = if without { Vec::new() } else { pages()? };
    fs::write(path("OUT_DIR").join("web.rs"), table(&files)?)
}

/// The files to embed; none if there are no pages, and that may be.
fn pages() -> io::Result<Vec<File>> {
    let web = path("CARGO_MANIFEST_DIR").join("../web");
    let dist = web.join("dist");
    // Cargo takes what does not exist for changed each time.
    let watched = [&dist, &web].into_iter().find(|dir| dir.is_dir());
    if let Some(watched) = watched {
        println!("cargo:rerun-if-changed={}", watched.display());
    }
    let missing: Vec<_> = sources(&web)
        .into_iter()
        .filter(|page| !dist.join(page).is_file())
        .collect();
    if !missing.is_empty() {
        let why = format!(
            "web/dist does not have {}: `make web` builds the pages; BRIG_WITHOUT_WEB=1 builds brig \
            without them",
            missing.join(", ")
        );
        if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
            fail(&why);
        }
        println!("cargo:warning={why}");
    }
    let mut files = Vec::new();
    if dist.is_dir() {
        collect(&dist.canonicalize()?, "", &mut files)?;
        files.sort();
    }
    Ok(files)
}

/// The pages that there should be: those that have a source, above all the playground.
fn sources(web: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(web).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let pages = names.filter(|name| Path::new(name).extension() == Some("html".as_ref()));
    pages.chain(["index.html".to_owned()]).collect()
}

fn collect(dir: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let (name, Some(text)) = (entry.file_name(), path.to_str()) else {
            let why = format!("{} is not UTF-8", path.display());
            return Err(io::Error::other(why));
        };
        let name = format!("{prefix}{}", name.to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            let path = text.to_owned();
            files.push(File { name, path });
        }
    }
    Ok(())
}

/// The table's source.
fn table(files: &[File]) -> io::Result<String> {
    let find = |name: &str| files.iter().find(|file| file.name == name);
    let mut table = String::from("&[\n");
    for File { name, path } in files {
        let base = name.strip_suffix(".br").or(name.strip_suffix(".gz"));
        if base.and_then(find).is_some() {
            continue;
        }
        let hash = Sha256::digest(fs::read(path)?);
        let mut tag = String::new();
        for byte in &hash[..TAG_BYTES] {
            write!(tag, "{byte:02x}").map_err(io::Error::other)?;
        }
        let variant = |suffix: &str| match find(&format!("{name}.{suffix}")) {
            Some(File { path, .. }) => format!("Some(include_bytes!({path:?}))"),
            None => "None".to_owned(),
        };
        let (kind, brotli, gzip) = (kind(name)?, variant("br"), variant("gz"));
        let entry = format!(
            "File {{ name: {name:?}, kind: {kind:?}, tag: {tag:?}, plain: include_bytes!({path:?}), \
            brotli: {brotli}, gzip: {gzip} }},\n"
        );
        table.push_str(&entry);
    }
    table.push(']');
    Ok(table)
}

/// The content type, by the name's ending.
fn kind(name: &str) -> io::Result<&'static str> {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    Ok(match ending {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "ico" => "image/vnd.microsoft.icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        _ => {
            let why = format!("no content type is known for {name}");
            return Err(io::Error::other(why));
        }
    })
}
