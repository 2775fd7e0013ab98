//! Links that lead outside, and what goes through them.

use super::{List, Wants, tar};
use crate::archives::tar::Header;

/// Every target that leads out, alone and with something that goes through it.
pub(super) fn symlinks(all: &mut List, outside: &str) {
    use Wants::Refused;
    let mut targets: Vec<String> = [
        "..",
        "../",
        "../../outside",
        "./../../outside",
        "d/../../../outside",
        "d/../..",
        ".//..//..//outside",
        "../../../../../../../../../../tmp",
    ]
    .map(String::from)
    .into();
    targets.extend([
        outside.to_owned(),
        format!("/{outside}"),
        format!("{outside}/victim"),
    ]);
    for target in &targets {
        all.add(
            Refused,
            format!("a link to {target}"),
            tar().symlink("l", target),
        );
        all.add(
            Refused,
            format!("a file through a link to {target}"),
            tar().symlink("l", target).file("l/evil", b"evil"),
        );
        all.add(
            Refused,
            format!("a directory through a link to {target}"),
            tar().symlink("l", target).dir("l/evil"),
        );
        all.add(
            Refused,
            format!("a link through a link to {target}"),
            tar().symlink("l", target).symlink("l/evil", "x"),
        );
        all.add(
            Refused,
            format!("a file in the place of a link to {target}"),
            tar().symlink("l", target).file("l", b"evil"),
        );
        all.add(
            Refused,
            format!("a directory in the place of a link to {target}"),
            tar().symlink("l", target).dir("l").file("l/evil", b"evil"),
        );
        all.add(
            Refused,
            format!("GNU's long target {target}"),
            tar().long(b'K', target).symlink("l", "x"),
        );
        all.add(
            Refused,
            format!("a pax target {target}"),
            tar()
                .pax(b'x', &[("linkpath", target.as_bytes())])
                .symlink("l", "x"),
        );
        all.add(
            Wants::Inside,
            format!("an arrow in a name before a link to {target}"),
            tar().symlink("a -> b", format!("{target} -> b")),
        );
    }
    all.add(
        Refused,
        "a chain of links that climbs together",
        tar()
            .dir("a")
            .symlink("a/up", "..")
            .symlink("b", "a/up/..")
            .file("b/evil", b"evil"),
    );
    all.add(
        Refused,
        "a chain of three that climbs together",
        tar()
            .dir("a/b")
            .symlink("one", "a/b")
            .symlink("two", "one/../..")
            .symlink("three", "two/../outside")
            .file("three/victim", b"evil"),
    );
    all.add(
        Wants::Inside,
        "links in a circle",
        tar().symlink("a", "b").symlink("b", "a").file("a/x", b"x"),
    );
    all.add(
        Wants::Inside,
        "a link to itself",
        tar().symlink("a", "a").file("a/x", b"x"),
    );
    all.add(
        Wants::Inside,
        "a link to where it lies",
        tar().symlink("a", ".").file("a/a/a/x", b"x"),
    );
    all.add(Wants::Inside, "a link to nothing", tar().symlink("a", ""));
    all.add(
        Wants::Inside,
        "a file through a link inside",
        tar().dir("d").symlink("l", "d").file("l/x", b"x"),
    );
    all.add(
        Wants::Inside,
        "a link in the place of a directory that has files",
        tar().file("d/x", b"x").symlink("d", "e").file("d/y", b"y"),
    );
}

pub(super) fn hardlinks(all: &mut List, outside: &str) {
    use Wants::Refused;
    let targets = [
        "../../outside/victim".to_owned(),
        "./../../outside/victim".into(),
        "a/../../../outside/victim".into(),
        format!("{outside}/victim"),
        format!("/{outside}/victim"),
    ];
    for target in &targets {
        all.add(
            Refused,
            format!("a hard link to {target}"),
            tar().hardlink("h", target),
        );
        all.add(
            Refused,
            format!("a hard link to {target}, then written to"),
            tar().hardlink("h", target).file("h", b"evil"),
        );
        all.add(
            Refused,
            format!("a hard link with contents to {target}"),
            tar().member(Header::new(b'1', "h").link(target), b"evil"),
        );
        all.add(
            Refused,
            format!("a hard link by a pax target {target}"),
            tar()
                .pax(b'x', &[("linkpath", target.as_bytes())])
                .hardlink("h", "x"),
        );
        all.add(
            Refused,
            format!("a hard link by GNU's long target {target}"),
            tar().long(b'K', target).hardlink("h", "x"),
        );
    }
    all.add(
        Refused,
        "a hard link through a link",
        tar()
            .symlink("l", "../../outside")
            .hardlink("h", "l/victim")
            .file("h", b"evil"),
    );
    all.add(
        Refused,
        "a hard link to a link that leads out",
        tar()
            .symlink("l", "../../outside/victim")
            .hardlink("h", "l")
            .file("h", b"evil"),
    );
    all.add(
        Wants::Inside,
        "a hard link to what comes later",
        tar().hardlink("h", "later").file("later", b"x"),
    );
    all.add(
        Wants::Inside,
        "a hard link to itself",
        tar().hardlink("h", "h"),
    );
    all.add(
        Wants::Inside,
        "a hard link to a directory",
        tar().dir("d").hardlink("h", "d"),
    );
    all.add(
        Wants::Inside,
        "a hard link to a link inside",
        tar()
            .symlink("l", "innocent")
            .hardlink("h", "l")
            .file("h", b"x"),
    );
}
