//! Real repositories, with a trunk, a branch, a tag and two revisions.

use std::fs;
use std::path::Path;
use std::process::Command;

fn run(program: &str, arguments: &[&str], at: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(at)
        .env("HOME", at)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let said = crate::world::text(&output);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said.trim().to_owned()
}

fn page(at: &Path, text: &str) {
    fs::create_dir_all(at.join("site")).unwrap();
    fs::write(at.join("site/index.html"), text).unwrap();
}

/// Pages `first` (tag `v1.0`, the revision that is given), `trunk`, and `next` on the branch `next`.
pub(crate) fn git(at: &Path) -> (String, String) {
    fs::create_dir_all(at).unwrap();
    let git = |arguments: &[&str]| {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        run("git", &[&who[..], arguments].concat(), at)
    };
    git(&["init", "-q", "-b", "main"]);
    page(at, "first");
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    git(&["tag", "v1.0"]);
    let first = git(&["rev-parse", "HEAD"]);
    git(&["checkout", "-q", "-b", "next"]);
    page(at, "next");
    git(&["commit", "-q", "-a", "-m", "next"]);
    git(&["checkout", "-q", "main"]);
    page(at, "trunk");
    git(&["commit", "-q", "-a", "-m", "trunk"]);
    (at.to_str().unwrap().to_owned(), first)
}

/// The same in Subversion.
pub(crate) fn svn(at: &Path) -> (String, String) {
    fs::create_dir_all(at).unwrap();
    run("svnadmin", &["create", "repository"], at);
    let url = format!("file://{}/repository", at.display());
    let layout = at.join("layout");
    for folder in ["trunk", "branches", "tags"] {
        fs::create_dir_all(layout.join(folder)).unwrap();
    }
    page(&layout.join("trunk"), "first");
    let svn = |arguments: &[&str]| run("svn", &[&["-q", "-m", "x"], arguments].concat(), at);
    svn(&["import", "layout", &url]);
    let (trunk, tag, branch) = (
        format!("{url}/trunk"),
        format!("{url}/tags/v1.0"),
        format!("{url}/branches/next"),
    );
    svn(&["copy", &trunk, &tag]);
    svn(&["copy", &trunk, &branch]);
    for (url, text) in [(&branch, "next"), (&trunk, "trunk")] {
        run("svn", &["-q", "checkout", url, text], at);
        page(&at.join(text), text);
        svn(&["commit", text]);
    }
    (url, "1".to_owned())
}
