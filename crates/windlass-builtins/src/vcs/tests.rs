use super::*;

fn checkout(url: &str) -> Checkout {
    Checkout {
        url: url.into(),
        line: Line::Trunk,
        revision: None,
        username: None,
        password: None,
        history: false,
        externals: false,
        to: AbsolutePath::new("/w/source").unwrap(),
        revision_file: AbsolutePath::new("/w/revision").unwrap(),
    }
}

fn keys(checkout: &Checkout, vcs: Vcs) -> Vec<&'static str> {
    let faults = checkout.program(vcs).err().unwrap_or_default();
    faults.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn names_of_lines_are_never_options_or_paths() {
    for wrong in [
        "", "-x", "a..b", "../a", "a/../b", "a b", "a~1", "a:b", "@{u}", "a/", "/a", ".a",
        "a.lock", "a\nb",
    ] {
        let with = |line| Checkout {
            line,
            ..checkout("file:///r")
        };
        assert_eq!(
            keys(&with(Line::Branch(wrong.into())), Vcs::Git),
            ["branch"],
            "{wrong:?}"
        );
        assert_eq!(
            keys(&with(Line::Tag(wrong.into())), Vcs::Svn),
            ["tag"],
            "{wrong:?}"
        );
    }
    let right = Checkout {
        line: Line::Branch("feature/a-1.2".into()),
        ..checkout("file:///r")
    };
    assert!(keys(&right, Vcs::Git).is_empty());
}

#[test]
fn each_kind_says_what_it_cannot_do() {
    let at = |revision: &str| Checkout {
        revision: Some(revision.into()),
        ..checkout("file:///r")
    };
    assert_eq!(keys(&at("--all"), Vcs::Git), ["revision"]);
    assert_eq!(keys(&at("abc"), Vcs::Git), ["revision"]);
    assert_eq!(keys(&at("HEAD"), Vcs::Svn), ["revision"]);
    assert!(keys(&at("r17"), Vcs::Svn).is_empty());
    assert_eq!(keys(&at("17"), Vcs::Directory), ["revision"]);
    assert_eq!(keys(&checkout("/srv/repository"), Vcs::Svn), ["url"]);
    assert_eq!(keys(&checkout("https://host/x"), Vcs::Directory), ["url"]);
    assert_eq!(keys(&checkout("ext::sh -c id"), Vcs::Git), ["url"]);
}

#[test]
fn credentials_are_in_the_environment_only() {
    let secret = Text::secret(windlass_model::SecretRef::Env("TOKEN".into()));
    let with = Checkout {
        password: Some(secret),
        username: Some("ann".into()),
        ..checkout("https://host/x")
    };
    for vcs in [Vcs::Git, Vcs::Svn] {
        let run = with.program(vcs).unwrap();
        assert!(run.env.iter().any(|(name, _)| name == PASSWORD), "{vcs:?}");
        assert!(!run.script.contains("TOKEN"));
    }
    let over_ssh = Checkout {
        url: "git@host:x".into(),
        ..with
    };
    assert_eq!(keys(&over_ssh, Vcs::Git), ["password"]);
}
