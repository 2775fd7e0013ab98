//! The texts that are sent to a shell. All of them go on its standard input, wrapped in a function that is called
//! behind its end: text that arrives cut short is a syntax error and runs nothing.
//!
//! Tried with dash, bash, mksh and busybox. `kill -TERM -PGID` is the one form that all four read.

use windlass_model::step::{As, Want};

use super::keep;
use crate::sh::quote;

/// The exit status of a shell that cannot speak to us any more.
pub(crate) const DEAF: i32 = 98;

/// A new nonce of 32 hexadecimal digits.
pub(crate) fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// How a shell is started: a line for the login shell of any kind, holding nothing that came from outside but the name
/// of a user that was checked.
pub(crate) fn start_line(user: &As, shell: &str, nonce: &str, password: bool) -> String {
    match user {
        As::Login => format!("exec {shell} || {shell}"),
        As::Sudo(name) => {
            let ask = if password {
                format!("-S -p '{}'", prompt(nonce))
            } else {
                "-n".into()
            };
            format!(
                "exec sudo {ask} -H -u {name} -- sh -c 'echo {}; exec {shell}'",
                ready(nonce)
            )
        }
    }
}

/// What sudo says when it wants the password.
pub(crate) fn prompt(nonce: &str) -> String {
    format!("[password {nonce}] ")
}

/// What is printed when sudo let us in.
pub(crate) fn ready(nonce: &str) -> String {
    format!("READY-{nonce}")
}

/// Whether `name` may stand in the line that starts sudo.
pub(crate) fn is_user_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
        && name.len() <= 32
}

/// Whether `name` may be set in the environment.
pub(crate) fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `body` as a function and its call.
pub(crate) fn wrap(nonce: &str, body: &str) -> String {
    format!("w_{nonce}() {{\n{body}}}; w_{nonce}\n")
}

/// Prints a mark on both streams. The words are expanded by the shell as one word between double quotes.
pub(crate) fn mark(nonce: &str, words: &str) -> String {
    let one = format!("printf '\\036%s\\036' \"{nonce} {words}\"");
    format!("{one} && {one} >&2 || exit {DEAF}\n")
}

/// The mark on standard output only, for programs of ours that run on a channel of their own.
pub(crate) fn word(nonce: &str, words: &str) -> String {
    format!("printf '\\036%s\\036' \"{nonce} {words}\"")
}

/// Goes home and says hello with the process group.
pub(crate) fn hello(nonce: &str) -> String {
    let mut body = String::from(FIND_GROUP);
    body.push_str("cd \"${HOME:-/}\" 2>/dev/null || cd /\n");
    body.push_str(&mark(nonce, "h $w_g"));
    wrap(nonce, &body)
}

/// Sets `w_g` to the process group. A shell that leads one is told so by a signal that does nothing: a shell reads a file a byte at a
/// time.
const FIND_GROUP: &str = "w_g=$$\n\
    if kill -0 -$$ 2>/dev/null; then :\n\
    elif [ -r /proc/$$/stat ]; then read -r w_l </proc/$$/stat; set -- ${w_l##*) }; w_g=$3\n\
    else w_g=$(ps -o pgid= -p $$) || w_g=$$; set -- $w_g; w_g=$1; fi\n";

/// When a piece of a batch runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Go {
    /// In any case.
    Always,
    /// Unless a step before it in this shell had a status that was not wanted.
    Unless,
}

/// One program of a batch.
pub(crate) struct Program<'a> {
    /// Its number in the conversation.
    pub(crate) id: u64,
    /// Whether it is the first step of its batch.
    pub(crate) first: bool,
    /// The program.
    pub(crate) script: &'a str,
    /// Name and value, secrets put in.
    pub(crate) env: Vec<(&'a str, &'a str)>,
    /// Where it runs.
    pub(crate) cwd: Option<&'a str>,
    /// When the batch goes on.
    pub(crate) want: &'a Want,
}

/// How a batch outlives the link.
pub(crate) struct Kept {
    /// Where, when this shell has kept nothing there yet.
    pub(crate) directory: Option<String>,
    /// The fence before the batch.
    pub(crate) fence: keep::Fence,
}

/// Programs one after the other, up to the first whose status is not wanted.
pub(crate) fn batch(nonce: &str, go: Go, kept: Option<&Kept>, programs: &[Program<'_>]) -> String {
    let mut body = String::new();
    if let Some(directory) = kept.and_then(|kept| kept.directory.as_ref()) {
        body.push_str(&keep::functions(nonce, directory));
    }
    match go {
        Go::Always => body.push_str("w_go=1\n"),
        Go::Unless => body.push_str("[ \"$w_go\" = 1 ] || return 0\n"),
    }
    for (index, program) in programs.iter().enumerate() {
        if program.first {
            body.push_str(&mark(nonce, &format!("b {}", program.id)));
        }
        if let Some(kept) = kept {
            if index == 0 {
                body.push_str(&keep::begin(program.id, &kept.fence));
            }
            // the shell is to outlive the link until the batch has ended; the program has its signals as always
            body.push_str("trap '' HUP PIPE\n");
        }
        let mut run = String::from("( ");
        if kept.is_some() {
            run.push_str("trap - HUP PIPE\n");
        }
        for (name, value) in &program.env {
            run.push_str(&format!("export {name}={}\n", quote(value)));
        }
        if let Some(cwd) = program.cwd {
            run.push_str(&format!("cd -- {} || exit 97\n", quote(cwd)));
        }
        // the blank keeps a program that begins with `-` from being taken for an option
        let script = quote(&format!(" {}", program.script));
        run.push_str(&format!("eval {script} ) </dev/null"));
        let number = kept.map(|kept| kept.fence.from + index);
        match number {
            Some(number) => body.push_str(&keep::step(number, &run)),
            None => body.push_str(&format!("{run}\nw_s=$?\n")),
        }
        let wanted = match program.want {
            Want::Ours => "0|80|81".to_owned(),
            Want::Status(status) => status.to_string(),
            Want::Any => "*".to_owned(),
        };
        let end = format!("e {} $w_s", program.id);
        match number {
            Some(number) => {
                let is_last = index + 1 == programs.len();
                body.push_str(&keep::step_end(number, &wanted, is_last));
                // whoever listens or not, the rest of the batch is run
                let word = word(nonce, &end);
                body.push_str(&format!("{word}; {word} >&2; trap - HUP PIPE\n"));
            }
            None => body.push_str(&mark(nonce, &end)),
        }
        body.push_str(&format!(
            "case $w_s in {wanted}) ;; *) w_go=0; return 0;; esac\n"
        ));
    }
    wrap(nonce, &body)
}

/// TERM to groups, KILL to what is left after 10 s. Zombies count as gone.
pub(crate) fn kill(nonce: &str, groups: &[i32]) -> String {
    let list: Vec<String> = groups.iter().map(i32::to_string).collect();
    let each = |signal: &str| {
        list.iter()
            .map(|g| format!("kill -{signal} -{g} 2>/dev/null\n"))
            .collect::<String>()
    };
    let alive = format!(
        "w_alive() {{\nif [ -r /proc/$$/stat ]; then\n\
         for w_f in /proc/[0-9]*/stat; do read -r w_l 2>/dev/null <\"$w_f\" || continue\n\
         set -- ${{w_l##*) }}\n[ \"$1\" = Z ] && continue\n\
         case ' {} ' in *\" $3 \"*) return 0;; esac\ndone\nreturn 1\nfi\n{}return 1\n}}\n",
        list.join(" "),
        list.iter()
            .map(|g| format!("kill -0 -{g} 2>/dev/null && return 0\n"))
            .collect::<String>(),
    );
    let body = format!(
        "{alive}{}w_i=0\nwhile [ $w_i -lt 100 ] && w_alive; do\n\
         sleep 0.1 2>/dev/null || {{ sleep 1; w_i=$((w_i+9)); }}\nw_i=$((w_i+1))\ndone\n\
         if w_alive; then\n{}sleep 1\nfi\nexit 0\n",
        each("TERM"),
        each("KILL"),
    );
    wrap(nonce, &body)
}

/// What a file is put with; see [`put`].
pub(crate) struct PutScript<'a> {
    /// The absolute path.
    pub(crate) to: &'a str,
    /// SHA-256 in lower-case hex.
    pub(crate) sha256: &'a str,
    /// How many bytes it has.
    pub(crate) size: u64,
    /// Permission bits.
    pub(crate) mode: Option<u32>,
    /// For chown.
    pub(crate) owner: Option<&'a str>,
    /// Whether other contents may be replaced.
    pub(crate) replace: bool,
}

/// From how many bytes on openssl makes up for its start: it uses the processor's instructions for SHA-256, which not every
/// sha256sum does.
const LARGE: u64 = 8 * 1024 * 1024;

/// Looks at the destination and says `same`, or says `ready` and takes what comes until the end of its input:
/// then verifies it, renames it into place and says `done`. Any failure removes the temporary file, prints one line on
/// standard error and exits with 1; so does a lost link, which ends the input too early.
pub(crate) fn put(nonce: &str, put: &PutScript<'_>) -> String {
    let (directory, name) = put.to.rsplit_once('/').unwrap_or(("", put.to));
    let directory = if directory.is_empty() { "/" } else { directory };
    // a long name would make the temporary one too long for the file system
    let shown = if name.len() <= 200 { name } else { "file" };
    let temporary = format!(
        "{}/.windlass-{nonce}-{shown}",
        directory.trim_end_matches('/')
    );
    let mut adjust = String::new();
    if let Some(owner) = put.owner {
        adjust.push_str(&format!("chown -- {} \"$1\" || return 1\n", quote(owner)));
    }
    if let Some(mode) = put.mode {
        adjust.push_str(&format!("chmod {mode:04o} \"$1\" || return 1\n"));
    }
    adjust.push_str("return 0\n");
    let exists = if put.replace {
        String::new()
    } else {
        "w_no \"$w_f exists with other contents\"\n".into()
    };
    let private = if put.mode.is_some() {
        "umask 077\n"
    } else {
        ""
    };
    // where there is none, or it knows no SHA-256, it prints nothing
    let first = match put.size {
        LARGE.. => "openssl dgst -sha256 <\"$1\" 2>/dev/null || ",
        _ => "",
    };
    let body = format!(
        r#"{FIND_GROUP}{hello} || exit {DEAF}
w_f={to} w_t={temporary} w_d={directory}
w_no() {{ rm -f -- "$w_t"; [ -z "$1" ] || printf '%s\n' "$1" >&2; exit 1; }}
w_adjust() {{
{adjust}}}
if command -v sha256sum >/dev/null 2>&1; then w_any() {{ sha256sum <"$1"; }}
elif command -v shasum >/dev/null 2>&1; then w_any() {{ shasum -a 256 <"$1"; }}
elif command -v openssl >/dev/null 2>&1; then w_any() {{ openssl dgst -sha256 <"$1"; }}
elif command -v sha256 >/dev/null 2>&1; then w_any() {{ sha256 <"$1"; }}
else w_no 'the host has no sha256sum, shasum, openssl or sha256: a file cannot be verified there'; fi
w_sum() {{ {first}w_any "$1"; }}
[ -d "$w_d" ] || w_no "directory $w_d does not exist"
[ ! -d "$w_f" ] || w_no "$w_f is a directory"
if [ -e "$w_f" ] || [ -L "$w_f" ]; then
if [ -f "$w_f" ] && [ -r "$w_f" ]; then
case $(w_sum "$w_f") in
*{sha256}*) w_adjust "$w_f" || w_no; {same}; exit 0;;
esac
fi
{exists}fi
[ -w "$w_d" ] || w_no "no permission to write in $w_d"
{private}trap 'w_no interrupted' HUP INT PIPE TERM
( : >"$w_t" ) || w_no
{ready} || w_no
cat >"$w_t" || w_no
case $(w_sum "$w_t") in
*{sha256}*) ;;
*) w_no "what arrived at $w_f is not what was sent: the file changed meanwhile, or the link broke";;
esac
w_adjust "$w_t" || w_no
[ ! -d "$w_f" ] || w_no "$w_f is a directory"
mv -f -- "$w_t" "$w_f" || w_no
{done}
exit 0
"#,
        hello = word(nonce, "h $w_g"),
        to = quote(put.to),
        temporary = quote(&temporary),
        directory = quote(directory),
        sha256 = put.sha256,
        same = word(nonce, "same"),
        ready = word(nonce, "ready"),
        done = word(nonce, "done"),
    );
    wrap(nonce, &body)
}

/// What many files are put with; see [`bundle`].
pub(crate) struct BundleScript<'a> {
    /// The absolute path.
    pub(crate) directory: &'a str,
    /// Digest and name of each.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// Permission bits.
    pub(crate) mode: Option<u32>,
    /// For chown.
    pub(crate) owner: Option<&'a str>,
}

/// Tells which files are there already (`NAME: OK`), says `ready` and reads a line: `same`, or `put` and a tar archive of the
/// others and the list of their digests. Those are unpacked beside, verified all together, renamed into place; then it says
/// `done`. It says `alone`, and ends, where the host has no programs for this. Any failure is as that of [`put`].
pub(crate) fn bundle(nonce: &str, bundle: &BundleScript<'_>) -> String {
    let mut list = String::new();
    let mut all = String::new();
    for (sha256, name) in bundle.files {
        list.push_str(&format!("w_f {sha256} {}\n", quote(name)));
        all.push_str(&format!(" {}", quote(&format!("./{name}"))));
    }
    let mode = match bundle.mode {
        Some(mode) => format!("{mode:04o}"),
        // without a `who` the umask counts
        None => "=rw".into(),
    };
    let owner = match bundle.owner {
        Some(owner) => format!("chown -- {} \"$@\" || return 1\n", quote(owner)),
        None => String::new(),
    };
    // those that were there already
    let others = if bundle.mode.is_some() || bundle.owner.is_some() {
        format!("cd -- \"$w_d\" && w_adjust{all} || w_no\n")
    } else {
        String::new()
    };
    let body = format!(
        r#"{FIND_GROUP}{hello} || exit {DEAF}
w_d={directory} w_t={temporary}
w_no() {{ cd /; rm -rf -- "$w_t"; [ -z "$1" ] || printf '%s\n' "$1" >&2; exit 1; }}
w_adjust() {{
{owner}chmod {mode} "$@"
}}
if command -v sha256sum >/dev/null 2>&1; then w_sums() {{ LC_ALL=C sha256sum -c "$@" 2>/dev/null; }}
elif command -v shasum >/dev/null 2>&1; then w_sums() {{ LC_ALL=C shasum -a 256 -c "$@" 2>/dev/null; }}
else {alone}; exit 0; fi
command -v tar >/dev/null 2>&1 || {{ {alone}; exit 0; }}
[ -d "$w_d" ] || w_no "directory $w_d does not exist"
cd -- "$w_d" || w_no
w_f() {{ [ ! -f "./$2" ] || [ ! -r "./$2" ] || printf '%s  %s\n' "$1" "$2"; }}
w_list() {{
{list}}}
w_list | w_sums
trap 'w_no interrupted' HUP INT PIPE TERM
{ready} || w_no
read -r w_go || w_no
if [ "$w_go" = put ]; then
[ -w . ] || w_no "no permission to write in $w_d"
( umask 077; mkdir -- "$w_t" "$w_t/f" ) || w_no
tar -x -o -f - -C "$w_t" || w_no
cd -- "$w_t/f" || w_no
w_sums ../list >/dev/null || w_no "what arrived in $w_d is not what was sent: a file changed meanwhile, or the link broke"
w_adjust ./* || w_no
mv -f -- ./* "$w_d/" || w_no
cd / && rm -rf -- "$w_t"
fi
{others}{done}
exit 0
"#,
        hello = word(nonce, "h $w_g"),
        directory = quote(bundle.directory),
        temporary = quote(&format!(
            "{}/.windlass-{nonce}",
            bundle.directory.trim_end_matches('/')
        )),
        alone = word(nonce, "alone"),
        ready = word(nonce, "ready"),
        done = word(nonce, "done"),
    );
    wrap(nonce, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_reach_the_line_of_sudo() {
        for good in ["root", "www-data", "_apt", "u1"] {
            assert!(is_user_name(good), "{good}");
        }
        for bad in ["", "a b", "-u", "Root", "x;y", "$(id)", "1a", "a\n"] {
            assert!(!is_user_name(bad), "{bad}");
        }
    }

    #[test]
    fn text_that_is_cut_short_runs_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let witness = directory.path().join("ran");
        let text = batch(
            "ab12",
            Go::Always,
            None,
            &[Program {
                id: 1,
                first: true,
                script: &format!("touch {}", witness.display()),
                env: vec![("A", "it's")],
                cwd: None,
                want: &Want::Ours,
            }],
        );
        for shell in [&["dash"][..], &["bash"], &["mksh"], &["busybox", "sh"]] {
            let (program, args) = shell.split_first().unwrap();
            for cut in (0..text.len() - 1).step_by(7).chain([text.len()]) {
                let Ok(mut child) = std::process::Command::new(program)
                    .args(args)
                    .stdin(std::process::Stdio::piped())
                    .stdout(std::process::Stdio::null())
                    .stderr(std::process::Stdio::null())
                    .spawn()
                else {
                    break;
                };
                use std::io::Write;
                let mut stdin = child.stdin.take().unwrap();
                stdin.write_all(&text.as_bytes()[..cut]).unwrap();
                drop(stdin);
                child.wait().unwrap();
                assert_eq!(witness.exists(), cut == text.len(), "{program} at {cut}");
            }
            let _ = std::fs::remove_file(&witness);
        }
    }

    #[test]
    fn a_large_file_is_verified_whatever_openssl_does() {
        use std::io::{Read, Write};
        use std::os::unix::fs::PermissionsExt;
        let contents = vec![b'w'; LARGE as usize];
        let sha256 = crate::hosts::digests::of_bytes(&contents);
        let path = std::env::var("PATH").unwrap();
        for openssl in ["exit 1", "echo no such digest; exit 1", "exit 127"] {
            let directory = tempfile::tempdir().unwrap();
            let bin = directory.path().join("openssl");
            std::fs::write(&bin, format!("#!/bin/sh\n{openssl}\n")).unwrap();
            std::fs::set_permissions(&bin, PermissionsExt::from_mode(0o755)).unwrap();
            for (sha256, arrives) in [(&sha256, true), (&"0".repeat(64), false)] {
                let to = directory.path().join("file");
                let _ = std::fs::remove_file(&to);
                let text = put(
                    "ab12",
                    &PutScript {
                        to: to.to_str().unwrap(),
                        sha256,
                        size: LARGE,
                        mode: None,
                        owner: None,
                        replace: true,
                    },
                );
                let mut child = std::process::Command::new("sh")
                    .env("PATH", format!("{}:{path}", directory.path().display()))
                    .stdin(std::process::Stdio::piped())
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::null())
                    .spawn()
                    .unwrap();
                let mut stdin = child.stdin.take().unwrap();
                stdin.write_all(text.as_bytes()).unwrap();
                let (mut said, mut byte) = (Vec::new(), [0]);
                while !said.ends_with(b"ready") {
                    child
                        .stdout
                        .as_mut()
                        .unwrap()
                        .read_exact(&mut byte)
                        .unwrap();
                    said.extend(byte);
                }
                stdin.write_all(&contents).unwrap();
                drop(stdin);
                child.wait_with_output().unwrap();
                assert_eq!(to.exists(), arrives, "{openssl}");
                assert!(!arrives || std::fs::read(&to).unwrap() == contents);
            }
        }
    }
}
