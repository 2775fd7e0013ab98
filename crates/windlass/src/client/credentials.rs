//! Who asks a manager: from a file that nobody else can read, or from the environment.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use windlass_model::diagnostic::Source;
use windlass_model::tree::parse_yaml;
use windlass_wire::connection::Login;

use crate::ending::Ending;

/// Longest file of credentials, in bytes.
const LONGEST: u64 = 64 << 10;
/// What a file of credentials looks like.
const FORMS: &str =
    "it holds two lines, user name and password, or YAML: `username` and `password`, or `token`";

/// The login of a file; without one that of the environment; without that nobody's.
pub(super) fn login(
    file: Option<&Path>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Login, Ending> {
    if let Some(file) = file {
        return of_file(file);
    }
    let said = |name| variable(name).filter(|value| !value.is_empty());
    let parts = Parts {
        username: said("WINDLASS_USERNAME"),
        password: said("WINDLASS_PASSWORD"),
        token: said("WINDLASS_TOKEN"),
    };
    if parts == Parts::default() {
        return Ok(Login::Anonymous);
    }
    let hint = "set WINDLASS_USERNAME and WINDLASS_PASSWORD, or WINDLASS_TOKEN alone";
    parts
        .login()
        .ok_or_else(|| Ending::input("the environment's credentials are not whole", hint))
}

/// What was said.
#[derive(Default, PartialEq)]
struct Parts {
    username: Option<String>,
    password: Option<String>,
    token: Option<String>,
}

impl Parts {
    fn login(self) -> Option<Login> {
        match (self.username, self.password, self.token) {
            (Some(username), Some(password), None) => Some(Login::Basic { username, password }),
            (None, None, Some(token)) => Some(Login::Bearer(token)),
            _ => None,
        }
    }
}

fn of_file(path: &Path) -> Result<Login, Ending> {
    let shown = path.display();
    let wrong = |why: &dyn std::fmt::Display| {
        Ending::input(format!("credentials {shown} cannot be read: {why}"), FORMS)
    };
    let file = std::fs::File::open(path).map_err(|e| wrong(&e))?;
    let meta = file.metadata().map_err(|e| wrong(&e))?;
    if !meta.is_file() {
        return Err(wrong(&"it is no file"));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(Ending::input(
            format!(
                "credentials {shown} can be read by others: its mode is {:04o}",
                meta.mode() & 0o7777
            ),
            format!("chmod 600 {shown}"),
        ));
    }
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    read.map_err(|e| wrong(&e))?;
    read_text(&text).map_err(|why| wrong(&why))
}

/// Nothing of the text is in an error: it is a secret.
fn read_text(text: &str) -> Result<Login, String> {
    let lines = text.lines().map(str::trim_end);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let is_key = |line: &&str| {
        let keys = ["username:", "password:", "token:"];
        keys.iter().any(|key| line.starts_with(key))
    };
    if lines.iter().any(is_key) {
        return read_yaml(text);
    }
    match lines.as_slice() {
        [username, password] => Ok(Login::Basic {
            username: (*username).into(),
            password: (*password).into(),
        }),
        other => Err(format!("it has {} lines", other.len())),
    }
}

fn read_yaml(text: &str) -> Result<Login, String> {
    let node = parse_yaml(&Source::new("credentials", text)).map_err(|_| "it is no YAML")?;
    let map = node.as_map().ok_or("it is no map")?;
    let mut parts = Parts::default();
    for entry in map.iter() {
        let part = match &*entry.key {
            "username" => &mut parts.username,
            "password" => &mut parts.password,
            "token" => &mut parts.token,
            other => return Err(format!("it has a key {other:?}")),
        };
        let value = entry.value.as_str();
        let value = value.ok_or_else(|| format!("`{}` is no text: put it in quotes", entry.key))?;
        *part = Some(value.to_owned());
    }
    let incomplete = "it is neither `username` with `password`, nor `token` alone";
    parts.login().ok_or_else(|| incomplete.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Result<Login, String> {
        Ok(Login::Basic {
            username: username.into(),
            password: password.into(),
        })
    }

    #[test]
    fn two_lines_or_yaml() {
        assert!(read_text("ann\nse: cret\n") == basic("ann", "se: cret"));
        assert!(read_text("ann\r\nsecret") == basic("ann", "secret"));
        assert!(read_text("username: ann\npassword: 'x y'\n") == basic("ann", "x y"));
        assert!(read_text("token: abc\n") == Ok(Login::Bearer("abc".into())));
    }

    #[test]
    fn what_is_wrong_shows_no_secret() {
        for text in [
            "",
            "secret",
            "a\nsecret\nc",
            "username: ann\npassword: [secret",
            "username: ann\n",
            "token: secret\npassword: secret\n",
            "password: 12345\nusername: a\n",
        ] {
            let why = read_text(text).unwrap_err();
            assert!(!why.contains("secret") && !why.contains("12345"), "{why}");
        }
    }

    #[test]
    fn the_environment_is_whole_or_says_so() {
        let of = |pairs: &'static [(&str, &str)]| {
            login(None, |name| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(matches!(of(&[]), Ok(Login::Anonymous)));
        assert!(matches!(
            of(&[("WINDLASS_TOKEN", "t")]),
            Ok(Login::Bearer(_))
        ));
        assert!(of(&[("WINDLASS_USERNAME", "ann")]).is_err());
    }
}
