//! What was found on hosts, for people: equal findings of many hosts as one line.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;

use windlass_builtins::hosts_check::{Check, Finding, Grade};

/// Hosts that a line names; the rest are counted.
const NAMED: usize = 8;
/// What stands for a host's name where a line is about several.
const HOST: &str = "HOST";

struct Group<'a> {
    first: &'a Finding,
    message: String,
    hint: String,
    hosts: BTreeSet<&'a str>,
}

/// In the order of the findings.
pub(crate) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for group in groups(findings) {
        let hosts: Vec<&str> = group.hosts.iter().copied().collect();
        let first = group.first;
        let (message, hint) = match hosts.as_slice() {
            [_] => (&first.message, first.hint.clone()),
            hosts if hosts.len() <= NAMED => (
                &group.message,
                replace_word(&group.hint, HOST, &hosts.join(" ")),
            ),
            _ => (&group.message, group.hint.clone()),
        };
        let _ = writeln!(
            text,
            "{}: {}: {}: {message}",
            first.grade.word(),
            first.check.word(),
            listed(&hosts)
        );
        if !hint.is_empty() {
            let _ = writeln!(text, "  hint: {hint}");
        }
    }
    text
}

/// `app1, app2 and 3 more`.
pub(crate) fn listed(hosts: &[&str]) -> String {
    let named: Vec<&str> = hosts.iter().copied().take(NAMED).collect();
    match hosts.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut at: HashMap<(Grade, Check, String, String), usize> = HashMap::new();
    for finding in findings {
        let (message, hint) = (
            without_host(finding, &finding.message),
            without_host(finding, &finding.hint),
        );
        let key = (finding.grade, finding.check, message, hint);
        let index = match at.get(&key) {
            Some(index) => *index,
            None => {
                groups.push(Group {
                    first: finding,
                    message: key.2.clone(),
                    hint: key.3.clone(),
                    hosts: BTreeSet::new(),
                });
                at.insert(key, groups.len() - 1);
                groups.len() - 1
            }
        };
        if let Some(group) = groups.get_mut(index) {
            group.hosts.insert(finding.host.as_str());
        }
    }
    groups
}

/// The text as it would be for any other host.
fn without_host(finding: &Finding, text: &str) -> String {
    let host = &finding.host;
    let mut text = replace_word(text, host.as_str(), HOST);
    if host.short() != host.as_str() {
        text = replace_word(&text, host.short(), HOST);
    }
    if matches!(finding.check, Check::Link | Check::Authentication) {
        let words: Vec<&str> = text
            .split(' ')
            .map(|word| match word.parse::<SocketAddr>() {
                Ok(_) => "its address",
                Err(_) => word,
            })
            .collect();
        text = words.join(" ");
    }
    text
}

/// Replaces `word` where it is no part of a longer one.
fn replace_word(text: &str, word: &str, with: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_-".contains(c));
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once(word).filter(|_| !word.is_empty()) {
        out.push_str(before);
        let joined = is_part(out.chars().next_back()) || is_part(after.chars().next());
        out.push_str(if joined { word } else { with });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use windlass_model::HostName;

    use super::*;

    #[test]
    fn equal_findings_are_one_line() {
        let mut findings = Vec::new();
        for n in 1..=20 {
            let host = HostName::new(&format!("fe{n:02}.example.org"));
            let message = format!("10.0.0.{n}:22 refuses connections: is sshd running there?");
            findings.push(Finding::new(&host, Grade::Error, Check::Link, message));
            if n < 4 {
                let message = "the host key is not known";
                let hint = format!("`windlass hosts trust {host}`");
                findings.push(Finding::new(&host, Grade::Error, Check::Key, message).hint(hint));
                let message = format!("HAProxy on lb does not check web/fe{n:02}");
                findings.push(Finding::new(
                    &host,
                    Grade::Warning,
                    Check::Balancer,
                    message,
                ));
            }
        }
        let host = HostName::new("a");
        let message = "a disk of a is full";
        findings.push(Finding::new(&host, Grade::Error, Check::Disk, message));
        insta::assert_snapshot!(text(&findings), @r"
        error: link: fe01.example.org, fe02.example.org, fe03.example.org, fe04.example.org, fe05.example.org, fe06.example.org, fe07.example.org, fe08.example.org and 12 more: its address refuses connections: is sshd running there?
        error: key: fe01.example.org, fe02.example.org, fe03.example.org: the host key is not known
          hint: `windlass hosts trust fe01.example.org fe02.example.org fe03.example.org`
        warning: balancer: fe01.example.org, fe02.example.org, fe03.example.org: HAProxy on lb does not check web/HOST
        error: disk: a: a disk of a is full
        ");
    }

    #[test]
    fn only_whole_words_are_replaced() {
        assert_eq!(
            replace_word("a web/a a-b ba", "a", "HOST"),
            "HOST web/HOST a-b ba"
        );
        assert_eq!(replace_word("aa", "a", "HOST"), "aa");
        assert_eq!(replace_word("x", "", "HOST"), "x");
    }
}
