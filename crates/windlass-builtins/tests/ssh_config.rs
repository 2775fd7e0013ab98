//! What we read out of ssh_config files, beside what OpenSSH's own `ssh -G` does.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use windlass_builtins::hosts::ssh::config::{HostConfig, SshConfig};

const HOSTS: &[&str] = &[
    "web1",
    "web2",
    "db1",
    "WEB1",
    "web1.example.com",
    "Db.Example.COM",
    "10.0.0.7",
    "::1",
    "other",
    "gate",
];

/// Files, each tried with every one of [`HOSTS`]. `DIR` is the folder that they stand in.
const FILES: &[(&str, &str)] = &[
    ("empty", ""),
    (
        "comments",
        "# a\n\n   # b\nHost web1 # c\n  Port 2201 # d\n",
    ),
    (
        "first wins",
        "Host web*\n User a\nHost *\n User b\n Port 2202\nHost web1\n Port 1\n",
    ),
    ("before any host", "Port 2200\nHost web1\n Port 1\nUser x\n"),
    (
        "equals",
        "Host=web1\nPort=2201\nUser = bob\nHostName =h.example.com\nIdentitiesOnly= yes\n",
    ),
    (
        "tabs and case",
        "hOST\tweb1\r\n\tpORT\t2201\r\n\tuSER joe\r\n",
    ),
    (
        "quotes",
        "Host \"web1\" 'db1'\n User \"a b\"\n IdentityFile \"/k/with space\"\n IdentityFile '/k/\"q\"'\n IdentityFile /k/a\\ b\n",
    ),
    (
        "negation",
        "Host *.example.com !db.*\n User in\nHost * !web1\n Port 2203\nHost !web1 *\n HostName x%h\n",
    ),
    ("only negation", "Host !web1\n User never\n"),
    (
        "wildcards",
        "Host web?\n User q\nHost *.*.*\n User dots\nHost 10.0.0.*\n Port 2204\nHost *1\n HostName ends1\n",
    ),
    (
        "host name tokens",
        "Host web*\n HostName %h.Prod.Example.com\nHost db1\n HostName a%%b\n",
    ),
    (
        "upper host name",
        "Host *\n HostName UPPER.example.com\n HostKeyAlias MixedCase\n",
    ),
    (
        "identity files",
        "Host web1\n IdentityFile ~/.ssh/a\nHost *\n IdentityFile ~/.ssh/b\n IdentityFile ~/.ssh/a\n IdentityFile relative\n",
    ),
    (
        "identity tokens",
        "IdentityFile ~/.ssh/%h-%p-%r\nIdentityFile %d/x%%%n\n Port 2205\n User me\n",
    ),
    (
        "identity none",
        "Host web1\n IdentityFile none\n IdentitiesOnly yes\n",
    ),
    (
        "jump",
        "Host web1\n ProxyJump gate\nHost web2\n ProxyJump a,u@b:2222,[::1]:24\nHost db1\n ProxyJump none\nHost *\n ProxyJump last\n",
    ),
    (
        "jump comment",
        "Host web1\n ProxyJump gate#c\nHost web2\n ProxyJump gate,b # c\nHost db1\n ProxyJump none # c\n",
    ),
    ("jump uri", "Host web1\n ProxyJump ssh://u@b:2222\n"),
    (
        "jump and command none",
        "Host web1\n ProxyCommand none\n ProxyJump gate\nHost web2\n ProxyJump gate\n ProxyCommand nc %h %p\n",
    ),
    (
        "known hosts",
        "Host web1\n UserKnownHostsFile /a /b ~/c\nHost web2\n UserKnownHostsFile none\n GlobalKnownHostsFile none\nHost db1\n UserKnownHostsFile \"/with space\" /k/%h-%n-%p-%r-%u-%i\n GlobalKnownHostsFile /g1 /g2\nHost *\n UserKnownHostsFile /last\n",
    ),
    (
        "timeouts",
        "Host web1\n ConnectTimeout 3\nHost web2\n ConnectTimeout 1m30s\nHost db1\n ConnectTimeout none\nHost *\n ConnectTimeout 7\n",
    ),
    (
        "agent",
        "Host web1\n IdentityAgent /run/agent-%h\nHost web2\n IdentityAgent none\nHost db1\n IdentityAgent SSH_AUTH_SOCK\nHost gate\n IdentityAgent ~/agent\n",
    ),
    (
        "match all",
        "Match all\n User everyone\nHost web1\n User late\n",
    ),
    (
        "match host",
        "Host web1\n HostName Real.example.com\nMatch host real.*\n User real\nMatch originalhost web1\n Port 2206\nMatch host web*,!web2\n User w\nMatch !host web*\n Port 9\n",
    ),
    (
        "match user",
        "Host web1\n User bob\nMatch user bob\n Port 2207\nMatch user root,nobody\n Port 2208\nMatch localuser nobodyatall\n Port 1\nMatch !localuser nobodyatall host db*\n Port 2209\n",
    ),
    (
        "match equals",
        "Match host=web1\n Port 2210\nMatch originalhost=\"web2\" # c\n Port 2211\n",
    ),
    (
        "match all with others",
        "Match host web1 all # c\n Port 77\nMatch !all\n Port 78\nMatch !final host=\"web2\"\n User early\n",
    ),
    (
        "match final",
        "Host web1\n HostName real.example.com\nMatch final host real.*\n User final\n Port 2212\nHost real.*\n IdentityFile /second\n",
    ),
    (
        "match final all",
        "Match final all\n ServerAliveInterval 5\nHost web1\n HostName db1\nHost db1\n User second\n ProxyJump gate\n",
    ),
    (
        "match canonical",
        "Match canonical all\n User never\nHost web1\n Port 2213\n",
    ),
    (
        "match exec",
        "Match exec \"true\"\n Port 2214\nMatch host web1 exec \"false\"\n User never\nMatch host web2 exec \"test %h = web2\"\n User asked\n IdentityFile /asked\n ProxyJump a,b\n UserKnownHostsFile /x /y\n",
    ),
    (
        "include",
        "Include DIR/inc/*.conf\nHost *\n User outer\n Port 2215\n",
    ),
    (
        "include in a host",
        "Host web*\n Include DIR/inc/a.conf\n HostName after\nHost *\n User outer\n",
    ),
    (
        "include in a match",
        "Match host db*,other\n Include DIR/inc/*.conf DIR/inc/absent*\n Port 2216\nHost web1\n Include DIR/inc/b.conf\n",
    ),
    (
        "include deep",
        "Host web1\n Include DIR/inc/deep\n Port 2217\nHost *\n Port 2218\n",
    ),
    (
        "ignored",
        "Host *\n ServerAliveInterval 5\n ForwardAgent yes\n ControlMaster auto\n ControlPath /tmp/%C\n Compression yes\n LogLevel QUIET\n AddKeysToAgent yes\n SendEnv LANG LC_*\n StrictHostKeyChecking no\n LocalForward 1 localhost:2\n Ciphers aes128-ctr\n Port 2219\n",
    ),
    (
        "ignore unknown",
        "IgnoreUnknown Use*,foo\nHost *\n UseKeychain yes\n Foo bar\n Port 2220\n",
    ),
];

/// Files that OpenSSH refuses; so do we.
const WRONG: &[(&str, &str)] = &[
    ("port", "Host *\n Port 0\n"),
    ("big port", "Port 65536\n"),
    ("no value", "User\n"),
    ("flag", "IdentitiesOnly maybe\n"),
    ("two names", "HostName a b\n"),
    ("quote", "User \"a\n"),
    ("jump", "ProxyJump a:b\n"),
    ("jump token", "ProxyJump a:%p\n"),
    ("time", "ConnectTimeout soon\n"),
    ("match", "Match hots a\n"),
    ("match without a value", "Match host\n"),
    ("match without anything", "Match\n"),
    ("all with others", "Match all host a\n"),
    ("include loop", "Include DIR/inc/loop\n"),
    ("none and more", "UserKnownHostsFile none /a\n"),
];

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let inc = dir.path().join("inc");
    fs::create_dir(&inc).unwrap();
    let here = dir.path().to_str().unwrap();
    fs::write(inc.join("a.conf"), "User inner-a\nHost web1\n Port 2301\n").unwrap();
    fs::write(
        inc.join("b.conf"),
        "Host db1 web1\n Port 2302\n User inner-b\nMatch host other\n User o\n",
    )
    .unwrap();
    fs::write(
        inc.join("deep"),
        format!("Include {here}/inc/deeper\nUser d1\n"),
    )
    .unwrap();
    fs::write(
        inc.join("deeper"),
        "Host web1\n HostName deep.example.com\nHost web2\n HostName no\n",
    )
    .unwrap();
    fs::write(inc.join("loop"), format!("Include {here}/inc/loop\n")).unwrap();
    dir
}

fn write(dir: &Path, text: &str) -> PathBuf {
    let file = dir.join("config");
    fs::write(&file, text.replace("DIR", dir.to_str().unwrap())).unwrap();
    file
}

/// Key -> values, as OpenSSH prints them.
fn ssh(file: &Path, host: &str) -> Option<HashMap<String, Vec<String>>> {
    let out = Command::new("ssh")
        .arg("-G")
        .arg("-F")
        .arg(file)
        .args(["--", host])
        .output();
    let out = out.expect("openssh-client is installed");
    let mut values: HashMap<String, Vec<String>> = HashMap::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        values
            .entry(key.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    out.status.success().then_some(values)
}

/// OpenSSH takes the home directory from the password database.
fn me() -> (PathBuf, String) {
    let values = ssh(Path::new("/dev/null"), "x").unwrap();
    let known = values["userknownhostsfile"][0].split(' ').next().unwrap();
    let home = known.strip_suffix("/.ssh/known_hosts").unwrap();
    (home.into(), values["user"][0].clone())
}

fn paths(paths: &[PathBuf]) -> String {
    let texts: Vec<&str> = paths.iter().filter_map(|p| p.to_str()).collect();
    texts.join(" ")
}

/// Our values and OpenSSH's, in one notation.
fn pairs(
    ours: &HostConfig,
    theirs: &HashMap<String, Vec<String>>,
    home: &Path,
    me: &str,
    host: &str,
) -> Vec<(&'static str, String, String)> {
    let get = |key: &str| theirs.get(key).map_or(String::new(), |v| v.join(" "));
    let not_none = |key: &str| Some(get(key)).filter(|v| v != "none").unwrap_or_default();
    let user = ours.user.as_deref().unwrap_or(me);
    // `ssh -G` prints these before it puts tokens in.
    let expanded = |text: String| {
        let text = text
            .replace("%%", "\u{1}")
            .replace("%h", &ours.host_name)
            .replace("%n", host)
            .replace("%p", &ours.port.to_string());
        let text = text
            .replace("%r", user)
            .replace("%d", home.to_str().unwrap())
            .replace('\u{1}', "%");
        text.split(' ')
            .map(|t| match t.strip_prefix('~') {
                Some(tail) => format!("{}{tail}", home.display()),
                None => t.to_owned(),
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    let defaults = get("identityfile").contains("~/.ssh/id_xmss");
    let files = [get("userknownhostsfile"), get("globalknownhostsfile")]
        .map(|f| if f == "none" { String::new() } else { f });
    let agent = match get("identityagent").as_str() {
        "SSH_AUTH_SOCK" => String::new(),
        other => expanded(other.to_owned()),
    };
    let timeout = get("connecttimeout").parse().unwrap_or(10);
    vec![
        ("hostname", ours.host_name.clone(), get("hostname")),
        ("port", ours.port.to_string(), get("port")),
        ("user", user.to_owned(), get("user")),
        (
            "identityfile",
            if defaults {
                String::new()
            } else {
                paths(&ours.identity_files)
            },
            if defaults {
                String::new()
            } else {
                expanded(not_none("identityfile"))
            },
        ),
        (
            "identitiesonly",
            if ours.identities_only { "yes" } else { "no" }.into(),
            get("identitiesonly"),
        ),
        (
            "proxyjump",
            ours.proxy_jump.join(","),
            not_none("proxyjump"),
        ),
        (
            "known hosts",
            paths(&ours.known_hosts_files),
            files.join(" ").trim().to_owned(),
        ),
        (
            "connecttimeout",
            ours.connect_timeout.as_secs().to_string(),
            timeout.to_string(),
        ),
        (
            "hostkeyalias",
            ours.host_key_alias.clone().unwrap_or_default(),
            get("hostkeyalias"),
        ),
        (
            "identityagent",
            ours.identity_agent
                .as_ref()
                .map_or(String::new(), |p| p.display().to_string()),
            agent,
        ),
    ]
}

#[test]
fn every_value_is_as_openssh_has_it() {
    let (home, me) = me();
    let dir = folder();
    let (mut compared, mut wrong) = (0, Vec::new());
    for (name, text) in FILES {
        let file = write(dir.path(), text);
        let config = SshConfig::load(Some(&file), Some(&home), &me)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        for host in HOSTS {
            let theirs = ssh(&file, host).unwrap_or_else(|| panic!("ssh refuses {name}"));
            let ours = config
                .resolve(host)
                .unwrap_or_else(|e| panic!("{name} {host}: {e}"));
            for (key, ours, theirs) in pairs(&ours, &theirs, &home, &me, host) {
                compared += 1;
                if ours != theirs {
                    wrong.push(format!(
                        "{name}, {host}, {key}: ours {ours:?}, OpenSSH {theirs:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(compared, FILES.len() * HOSTS.len() * 10);
}

#[test]
fn what_openssh_refuses_is_an_error_with_its_place() {
    let dir = folder();
    for (name, text) in WRONG {
        let file = write(dir.path(), text);
        assert!(ssh(&file, "web1").is_none(), "OpenSSH takes {name}");
        let Err(errors) = SshConfig::load(Some(&file), Some(Path::new("/nowhere")), "me") else {
            panic!("{name} is taken");
        };
        let place = errors.0[0]
            .place
            .as_ref()
            .unwrap_or_else(|| panic!("{name}: no place"));
        assert!(place.source.line_column(place.span.start).0 >= 1);
    }
}

fn load(text: &str) -> SshConfig {
    let dir = folder();
    let file = write(dir.path(), text);
    SshConfig::load(Some(&file), Some(Path::new("/home/me")), "me").unwrap()
}

#[test]
fn all_wrong_lines_are_told_at_once() {
    let dir = folder();
    let file = write(dir.path(), "Host *\n  Port x\n  User\n  IdentityFile %z\n");
    let errors = SshConfig::load(Some(&file), None, "me").err().unwrap();
    let lines: Vec<_> = errors
        .0
        .iter()
        .map(|d| d.place.as_ref().unwrap())
        .map(|p| p.source.line_column(p.span.start))
        .collect();
    assert_eq!(lines, [(2, 3), (3, 3), (4, 3)]);
}

#[test]
fn a_named_file_must_exist_and_usual_ones_need_not() {
    let missing = SshConfig::load(Some(Path::new("/nowhere/config")), None, "me")
        .err()
        .unwrap();
    assert!(missing.to_string().contains("/nowhere/config"), "{missing}");
    let home = tempfile::tempdir().unwrap();
    assert!(SshConfig::load(None, Some(home.path()), "me").is_ok());
}

#[test]
fn the_home_file_is_read_with_its_relative_includes_and_default_keys() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let ssh = home.path().join(".ssh");
    fs::create_dir_all(ssh.join("d")).unwrap();
    fs::write(ssh.join("config"), "Include d/*\nHost b\n Port 2\n").unwrap();
    fs::write(ssh.join("d/a"), "Host a\n Port 3\n").unwrap();
    fs::write(ssh.join("id_rsa"), "").unwrap();
    fs::write(ssh.join("id_ed25519"), "").unwrap();
    let config = SshConfig::load(None, Some(home.path()), "me").unwrap();
    assert_eq!(
        (
            config.resolve("a").unwrap().port,
            config.resolve("b").unwrap().port
        ),
        (3, 2)
    );
    let a = config.resolve("a").unwrap();
    assert_eq!(
        a.identity_files,
        [ssh.join("id_ed25519"), ssh.join("id_rsa")]
    );
    assert_eq!(
        a.known_hosts_files[..2],
        [ssh.join("known_hosts"), ssh.join("known_hosts2")]
    );
    assert_eq!(a.connect_timeout, Duration::from_secs(10));

    fs::set_permissions(ssh.join("config"), fs::Permissions::from_mode(0o666)).unwrap();
    let open = SshConfig::load(None, Some(home.path()), "me")
        .err()
        .unwrap()
        .to_string();
    assert!(open.contains("chmod"), "{open}");
}

#[test]
fn what_is_not_heeded_is_noted_with_its_line_where_it_holds() {
    let config = load(
        "Host a\n StrictHostKeyChecking no\n Ciphers x\n NoSuchKey 1\n CertificateFile none\n ForwardAgent yes\nHost b\n StrictHostKeyChecking yes\n",
    );
    let notes = config.resolve("a").unwrap().unsupported;
    assert_eq!(notes.len(), 3, "{notes:?}");
    for (note, (line, word)) in notes.iter().zip([
        (2, "StrictHostKeyChecking"),
        (3, "ciphers"),
        (4, "nosuchkey"),
    ]) {
        assert!(
            note.contains(&format!("config:{line}: ")) && note.contains(word),
            "{note}"
        );
    }
    assert!(config.resolve("b").unwrap().unsupported.is_empty());
    let paths = load("IdentityFile ~bob/key\nIdentityFile ${HOME}/k\nUserKnownHostsFile ${X}/y\n")
        .resolve("a")
        .unwrap();
    assert_eq!(paths.identity_files, [PathBuf::from("/home/me/k")]);
    assert_eq!(paths.unsupported.len(), 2, "{:?}", paths.unsupported);
}

#[test]
fn a_proxy_command_is_an_error_of_its_hosts_only() {
    let config = load("Host a\n ProxyCommand nc %h %p\n");
    let error = config.resolve("a").unwrap_err();
    assert!(
        error.contains("ProxyJump") && error.contains("config:2"),
        "{error}"
    );
    assert!(config.resolve("b").is_ok());
    for odd in ["", "-oProxyCommand=x", "a b", "a;b", "$(x)"] {
        assert!(config.resolve(odd).is_err(), "{odd}");
    }
}

#[test]
fn ssh_is_asked_once_a_host_and_has_five_seconds() {
    let dir = folder();
    let log = dir.path().join("log");
    let file = write(
        dir.path(),
        &format!(
            "Match originalhost slow exec \"sleep 60\"\n Port 1\nMatch originalhost a exec \"echo x >> {}\"\n Port 2\n",
            log.display()
        ),
    );
    let config = SshConfig::load(Some(&file), Some(Path::new("/home/me")), "me").unwrap();
    for _ in 0..3 {
        assert_eq!(config.resolve("a").unwrap().port, 2);
        assert_eq!(config.resolve("b").unwrap().port, 22);
    }
    assert_eq!(fs::read_to_string(log).unwrap(), "x\n");
    let started = Instant::now();
    let error = config.resolve("slow").unwrap_err();
    assert!(error.contains("5 s"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn ten_thousand_hosts_are_resolved_in_no_time() {
    let blocks: String = (0..10_000)
        .map(|i| {
            format!(
                "Host h{i} h{i}.example.com\n HostName 10.1.{}.{}\n Port {}\n",
                i / 250,
                i % 250,
                i + 1
            )
        })
        .collect();
    let config = load(&format!(
        "{blocks}Host h*\n User deploy\nMatch final all\n Compression yes\n"
    ));
    let started = Instant::now();
    for i in 0..10_000 {
        let host = config.resolve(&format!("h{i}")).unwrap();
        assert_eq!((host.port, host.user.as_deref()), (i + 1, Some("deploy")));
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}
