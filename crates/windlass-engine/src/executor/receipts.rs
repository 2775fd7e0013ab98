//! Receipts on hosts: what stands there, and leaving a new one.

use std::collections::BTreeMap;

use windlass_model::receipt::Receipt;
use windlass_model::step::{Run, Want};

/// What a host says about a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// What the service's link points to: the last part of the path.
    pub link: Option<String>,
    /// The last receipt.
    pub receipt: Option<Receipt>,
}

impl Standing {
    /// The version that the link points to.
    pub fn linked(&self, service: &str) -> Option<&str> {
        let rest = self.link.as_deref()?.strip_prefix(service)?;
        rest.strip_prefix(['_', '-']).filter(|v| !v.is_empty())
    }

    /// The version that the host *runs*: the link points to it, the last receipt (if there is any) says that it
    /// succeeded, and nothing is owed.
    pub fn runs(&self, service: &str) -> Option<&str> {
        let version = self.linked(service)?;
        match &self.receipt {
            Some(receipt) => {
                let good = receipt.succeeded() && receipt.owed.is_empty() && receipt.to == version;
                good.then_some(version)
            }
            None => Some(version),
        }
    }

    /// The version that ran well last, be it there still or not.
    pub fn good(&self, service: &str) -> Option<&str> {
        match &self.receipt {
            Some(receipt) if receipt.succeeded() => Some(&receipt.to),
            Some(receipt) => receipt.previous_good.as_deref(),
            None => self.linked(service),
        }
    }
}

/// Prints, for each service, what [`read_probe`] reads. Changes nothing; a missing directory is no error.
pub fn probe_script<'a>(services: impl IntoIterator<Item = (&'a str, &'a str)>) -> Run {
    let mut script = String::from(
        "probe() { printf 'S %s\\nL %s\\nR ' \"$2\" \"$(readlink \"$1/$2\" 2>/dev/null)\"; r=\n\
         for f in \"$1/.windlass/receipts/$2\"/*.json; do [ -f \"$f\" ] && r=$f; done\n\
         if [ -n \"$r\" ]; then cat \"$r\"; else echo; fi; }\n",
    );
    for (install_location, service) in services {
        script.push_str(&format!(
            "probe {} {}\n",
            quote(install_location),
            quote(service)
        ));
    }
    script.push_str("exit 0");
    Run::script(script).want(Want::Status(0))
}

/// Reads what [`probe_script`] printed. Lines that it does not know are passed over; a receipt that cannot be read is
/// one that says `unknown`.
pub fn read_probe(output: &str) -> BTreeMap<String, Standing> {
    let mut found: BTreeMap<String, Standing> = BTreeMap::new();
    let mut service = String::new();
    for line in output.lines() {
        match line.split_once(' ') {
            Some(("S", name)) => {
                service = name.to_owned();
                found.entry(service.clone()).or_default();
            }
            Some(("L", link)) => {
                let name = link.rsplit('/').next().filter(|n| !n.is_empty());
                if let Some(standing) = found.get_mut(&service) {
                    standing.link = name.map(str::to_owned);
                }
            }
            Some(("R", json)) if !json.is_empty() => {
                let receipt = read_receipt(&service, json);
                if let Some(standing) = found.get_mut(&service) {
                    standing.receipt = Some(receipt);
                }
            }
            _ => {}
        }
    }
    found
}

/// A receipt as it lies on a host; one that cannot be read says `unknown`.
pub fn read_receipt(service: &str, json: &str) -> Receipt {
    serde_json::from_str(json).unwrap_or_else(|_| Receipt {
        service: service.to_owned(),
        result: "unknown".into(),
        ..Receipt::default()
    })
}

/// Leaves a receipt: whole or not at all, durable.
pub fn write_script(install_location: &str, receipt: &Receipt) -> Option<Run> {
    let json = serde_json::to_string(receipt).ok()?;
    let dir = format!("{install_location}/.windlass/receipts/{}", receipt.service);
    let name = receipt.file_name();
    let (dir, new, name) = (quote(&dir), quote(&format!(".{name}.new")), quote(&name));
    Some(Run::script(format!(
        "mkdir -p {dir} && cd {dir} || exit 1\n\
         printf '%s\\n' {} > {new} || exit 1\n\
         sync {new} 2>/dev/null\n\
         mv -f {new} {name}",
        quote(&json)
    )))
}

/// `word` as one word of sh.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> String {
        let out = std::process::Command::new("sh")
            .arg("-c")
            .arg(script)
            .output()
            .unwrap();
        assert!(
            out.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn a_host_tells_what_it_runs() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().to_str().unwrap();
        let mut receipt = Receipt {
            service: "shop".into(),
            time: 100,
            run: "r1".into(),
            by: "it's me".into(),
            to: "1.0".into(),
            result: "succeeded".into(),
            ..Receipt::default()
        };
        let probe = || read_probe(&sh(&probe_script([(at, "shop"), (at, "other")]).script));
        assert_eq!(probe()["shop"], Standing::default());
        std::os::unix::fs::symlink("shop_1.0", root.path().join("shop")).unwrap();
        assert_eq!(
            probe()["shop"].runs("shop"),
            Some("1.0"),
            "no receipts yet: the link alone"
        );
        sh(&write_script(at, &receipt).unwrap().script);
        assert_eq!(probe()["shop"].receipt.as_ref(), Some(&receipt));
        assert_eq!(probe()["shop"].runs("shop"), Some("1.0"));
        (receipt.time, receipt.result, receipt.owed) =
            (101, "failed".into(), vec!["drained web/a".into()]);
        sh(&write_script(at, &receipt).unwrap().script);
        assert_eq!(probe()["shop"].runs("shop"), None);
        assert_eq!(probe()["shop"].linked("shop"), Some("1.0"));
        assert_eq!(probe()["other"], Standing::default());
    }
}
