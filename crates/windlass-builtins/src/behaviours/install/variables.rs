//! Names in the texts of a tasklist: `{resource}`, `{version}`, ...
//!
//! As in a service of a platform config: a name stands in single braces; braces around anything else are themselves, and
//! `${name}` is the shell's. None of the values but paths holds anything that a shell would take for more than a word.

use windlass_model::release::{InstallFacts, ResourceFacts};
use windlass_model::tree::{Node, Value};

/// What the names stand for.
pub(super) struct Variables(Vec<(&'static str, String)>);

impl Variables {
    /// Those of an install.
    pub(super) fn new(facts: &InstallFacts, resource: &ResourceFacts) -> Self {
        let previous = resource.previous.as_ref().map(ToString::to_string);
        Self(vec![
            ("resource", resource.path.to_string_lossy().into_owned()),
            ("resource_name", resource.name.clone()),
            ("digest", resource.digest.to_string()),
            ("project", resource.project.to_string()),
            ("version", resource.version.to_string()),
            ("previous", previous.unwrap_or_default()),
            ("target", facts.target.to_string()),
            ("environment", facts.environment.to_string()),
            (
                "install_path",
                facts.install_path.clone().unwrap_or_default(),
            ),
            ("transaction", resource.transaction.to_string()),
            ("job", resource.job.to_string()),
            ("epoch", resource.epoch.to_string()),
        ])
    }

    /// The same tree with the names replaced in every text; keys stay.
    pub(super) fn fill(&self, node: &Node) -> Node {
        let value = match &node.value {
            Value::String(text) => Value::String(self.fill_text(text).into()),
            Value::List(list) => Value::List(list.iter().map(|node| self.fill(node)).collect()),
            Value::Map(map) => {
                let mut map = map.clone();
                for entry in &mut map.0 {
                    entry.value = self.fill(&entry.value);
                }
                Value::Map(map)
            }
            other => other.clone(),
        };
        Node {
            span: node.span,
            value,
        }
    }

    fn fill_text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (head, tail) = rest.split_at(at);
            out.push_str(head);
            let known = (!out.ends_with('$')).then(|| {
                self.0.iter().find_map(|(name, value)| {
                    let after = tail
                        .strip_prefix('{')?
                        .strip_prefix(name)?
                        .strip_prefix('}')?;
                    Some((value, after))
                })
            });
            match known.flatten() {
                Some((value, after)) => {
                    out.push_str(value);
                    rest = after;
                }
                None => {
                    out.push('{');
                    rest = tail.get(1..).unwrap_or_default();
                }
            }
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_braces_are_replaced_and_nothing_else() {
        let variables = Variables(vec![
            ("version", "1.0".into()),
            ("target", "{version}".into()),
        ]);
        let fill = |text| variables.fill_text(text);
        assert_eq!(fill("a_{version}.tar"), "a_1.0.tar");
        assert_eq!(
            fill("${version} {other} {version"),
            "${version} {other} {version"
        );
        assert_eq!(
            fill("{target}"),
            "{version}",
            "values are put in as they are"
        );
        assert_eq!(fill("{\"json\": \"{version}\"}"), "{\"json\": \"1.0\"}");
    }
}
