//! The files of Swagger UI that `/docs` needs, which `src/http/docs.rs` includes. What else comes with it,
//! above all source maps, is seven times as large.

use std::fs;
use std::io::{self, Cursor, Read};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

use super::path;

const FILES: [&str; 3] = [
    "favicon-32x32.png",
    "swagger-ui-bundle.js",
    "swagger-ui.css",
];

/// Writes them to `OUT_DIR/swagger-ui`.
pub(super) fn unpack() -> io::Result<()> {
    let dir = path("OUT_DIR").join("swagger-ui");
    fs::create_dir_all(&dir)?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for name in FILES {
        let inside = format!("/dist/{name}");
        let found = archive.file_names().find(|file| is_at(file, &inside));
        let Some(found) = found.map(str::to_owned) else {
            return Err(io::Error::other(format!("{name} is not in its archive")));
        };
        let mut content = Vec::new();
        archive.by_name(&found)?.read_to_end(&mut content)?;
        fs::write(dir.join(name), content)?;
    }
    Ok(())
}

/// Whether `file` is `inside` the archive's only folder, which is named after the version.
fn is_at(file: &str, inside: &str) -> bool {
    file.strip_suffix(inside)
        .is_some_and(|folder| !folder.contains('/'))
}
