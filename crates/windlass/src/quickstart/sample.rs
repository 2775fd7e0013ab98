//! The sample's config and its two releases.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ending::Ending;

/// What was written.
pub(crate) struct Sample {
    /// The config.
    pub(crate) config: PathBuf,
    /// Version and package, the older first.
    pub(crate) packages: Vec<(String, PathBuf)>,
}

/// Versions that the sample has.
const VERSIONS: [&str; 2] = ["1.0.0", "1.1.0"];

/// Writes config and packages below `root`; the service listens on `address` and runs `binary`.
pub(crate) fn write(root: &Path, binary: &Path, address: &str) -> Result<Sample, Ending> {
    let wrong = |e: io::Error| {
        Ending::own(
            format!("the sample cannot be written below {}", root.display()),
            e,
        )
    };
    let root = root.canonicalize().map_err(wrong)?;
    let text = |path: &Path| {
        let text = path
            .to_str()
            .filter(|t| t.chars().all(|c| !c.is_control() && !"'\"{}".contains(c)));
        text.map(str::to_owned).ok_or_else(|| {
            Ending::input(
                format!(
                    "the path {} holds characters that the sample cannot quote",
                    path.display()
                ),
                "name another directory: windlass quickstart DIRECTORY",
            )
        })
    };
    let (at, binary) = (text(&root)?, text(binary)?);
    let releases = root.join("releases");
    fs::create_dir_all(&releases).map_err(wrong)?;
    let config = root.join("windlass.yaml");
    fs::write(&config, config_text(&at, address)).map_err(wrong)?;
    let packages = VERSIONS
        .iter()
        .map(|version| {
            let path = releases.join(format!("sample_{version}.tar.gz"));
            package(&path, &binary, address, version)?;
            Ok(((*version).to_owned(), path))
        })
        .collect::<io::Result<_>>()
        .map_err(wrong)?;
    Ok(Sample { config, packages })
}

fn config_text(at: &str, address: &str) -> String {
    format!(
        r#"# What `windlass quickstart` deploys: one service, on this machine.
platform: rolling
environment: quickstart
service:
  sample:
    hosts: [local]
    destination: '{at}/tarballs'
    install_location: '{at}/webapps'
    control:
      start: "'{at}/webapps/sample/bin/start' '{at}/sample.pid'"
      stop: "'{at}/webapps/sample/bin/stop' '{at}/sample.pid'"
    check: "http://{address}/"
    control_timeout: 20
"#
    )
}

/// A package with a start and a stop script that keep a pid file.
fn package(path: &Path, binary: &str, address: &str, version: &str) -> io::Result<()> {
    let start = format!(
        "#!/bin/sh\n# Starts the sample; the first argument is its pid file.\n\
         nohup '{binary}' quickstart --serve {address} {version} </dev/null >/dev/null 2>&1 &\n\
         echo $! > \"$1\"\n\
         # So that the first check finds it up.\n\
         sleep 0.2\n"
    );
    let stop = "#!/bin/sh\n# Stops the sample; the first argument is its pid file.\n\
                [ -f \"$1\" ] || exit 0\n\
                pid=$(cat \"$1\")\n\
                kill \"$pid\" 2>/dev/null\n\
                n=0\n\
                while kill -0 \"$pid\" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done\n\
                rm -f \"$1\"\n";
    let gzip =
        flate2::write::GzEncoder::new(fs::File::create(path)?, flate2::Compression::default());
    let mut archive = tar::Builder::new(gzip);
    for (name, contents) in [
        ("bin/start", start.as_str()),
        ("bin/stop", stop),
        ("VERSION", version),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(if name == "VERSION" { 0o644 } else { 0o755 });
        archive.append_data(
            &mut header,
            format!("sample_{version}/{name}"),
            contents.as_bytes(),
        )?;
    }
    archive.into_inner()?.finish()?.sync_all()
}
