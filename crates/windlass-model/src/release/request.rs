//! What a client asks for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ids::{Environment, Project, ReleaseId, TargetName};

/// Which of a project's sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// The main line; also when nothing is said.
    Trunk,
    /// A branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// Another repository or another place in it.
    Url(String),
}

/// What is wanted of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To build it first.
    Source {
        /// Which source.
        selector: Selector,
        /// Which revision of it; none: the newest.
        revision: Option<String>,
    },
    /// A release that is built already.
    Release(ReleaseId),
}

/// A request for action, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Of which project.
    pub project: Project,
    /// `build`, `install`, or one that the project declares.
    pub action: String,
    /// Where to.
    pub environment: Option<Environment>,
    /// What.
    pub wanted: Wanted,
    /// Which of the project's targets; none: all.
    pub components: Option<Vec<TargetName>>,
    /// Makes a repeated call answer the same transaction.
    pub request_id: Option<String>,
    /// Everything that was said, unchanged.
    pub data: Map<String, Value>,
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Of a wrong type or missing: the call is at fault. Names the key.
    Malformed(String),
    /// Well formed, but asks for what cannot be: recorded and `REJECTED`.
    Rejected(String),
}

impl Request {
    /// Reads request data. Keys that it does not know are the client's own, and are kept.
    ///
    /// `trunk: false` and empty texts count as not said, since clients fill in forms.
    pub fn read(data: &Map<String, Value>) -> Result<Self, Refused> {
        let project = text(data, "project")?
            .ok_or_else(|| Refused::Malformed("request_data.project is missing".into()))?;
        let project: Project = project.parse().map_err(Refused::Malformed)?;
        let action = text(data, "action")?.unwrap_or_else(|| "build".into());
        let environment = text(data, "env")?
            .map(|name| name.parse())
            .transpose()
            .map_err(Refused::Rejected)?;
        if action == "install" && environment.is_none() {
            return Err(Refused::Rejected(
                "an install needs `env`: the environment to install into".into(),
            ));
        }
        Ok(Self {
            project: project.clone(),
            action,
            environment,
            wanted: wanted(data, &project)?,
            components: components(data)?,
            request_id: text(data, "request_id")?,
            data: data.clone(),
        })
    }
}

fn wanted(data: &Map<String, Value>, project: &Project) -> Result<Wanted, Refused> {
    let mut said: Vec<(&str, Selector)> = Vec::new();
    if flag(data, "trunk")? {
        said.push(("trunk", Selector::Trunk));
    }
    let mut add = |key, selector: Option<Selector>| said.extend(selector.map(|s| (key, s)));
    add("branch", text(data, "branch")?.map(Selector::Branch));
    add("tag", text(data, "tag")?.map(Selector::Tag));
    add("url", text(data, "url")?.map(Selector::Url));
    let revision = match data.get("revision") {
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => text(data, "revision")?,
    };
    let release = text(data, "release")?;
    let mut keys: Vec<&str> = said.iter().map(|(key, _)| *key).collect();
    if let Some(release) = release {
        if !keys.is_empty() || revision.is_some() {
            keys.extend(revision.is_some().then_some("revision"));
            return Err(Refused::Rejected(format!(
                "`release` names what is built already, so `{}` cannot be said too",
                keys.join("`, `")
            )));
        }
        let id = match release.contains('@') {
            true => release.parse(),
            false => release
                .parse()
                .map(|version| ReleaseId::new(project.clone(), version)),
        };
        let id: ReleaseId = id.map_err(Refused::Rejected)?;
        if id.project != *project {
            return Err(Refused::Rejected(format!(
                "{id} is no release of project {project}"
            )));
        }
        return Ok(Wanted::Release(id));
    }
    if keys.len() > 1 {
        return Err(Refused::Rejected(format!(
            "`{}`: at most one of trunk, branch, tag and url can be said",
            keys.join("`, `")
        )));
    }
    let selector = said.pop().map_or(Selector::Trunk, |(_, selector)| selector);
    Ok(Wanted::Source { selector, revision })
}

/// `components`: `all`, one name, or an array of names.
fn components(data: &Map<String, Value>) -> Result<Option<Vec<TargetName>>, Refused> {
    let names: Vec<&str> = match data.get("components") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(one)) if one.is_empty() || one == "all" => return Ok(None),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(names)) => names
            .iter()
            .map(|name| {
                name.as_str()
                    .ok_or_else(|| wrong_type("components", "an array of strings", name))
            })
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(wrong_type("components", "an array of strings", other)),
    };
    let mut targets: Vec<TargetName> = Vec::new();
    for name in names {
        let target = name.parse().map_err(Refused::Rejected)?;
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    match targets.is_empty() {
        true => Err(Refused::Rejected(
            "`components` names nothing: leave it out for all".into(),
        )),
        false => Ok(Some(targets)),
    }
}

/// A text that was said; empty and null are not said.
fn text(data: &Map<String, Value>, key: &str) -> Result<Option<String>, Refused> {
    match data.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong_type(key, "a string", other)),
    }
}

fn flag(data: &Map<String, Value>, key: &str) -> Result<bool, Refused> {
    match data.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::Number(number)) if number.as_i64().is_some_and(|n| n == 0 || n == 1) => {
            Ok(number.as_i64() == Some(1))
        }
        Some(other) => Err(wrong_type(key, "a boolean", other)),
    }
}

fn wrong_type(key: &str, wanted: &str, got: &Value) -> Refused {
    let got = match got {
        Value::Null => "nil",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "a struct",
    };
    Refused::Malformed(format!("request_data.{key}: {wanted} is wanted, not {got}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(data: Value) -> Result<Request, Refused> {
        match data {
            Value::Object(map) => Request::read(&map),
            _ => Err(Refused::Malformed("no struct".into())),
        }
    }

    fn rejected(data: Value) -> String {
        match read(data) {
            Err(Refused::Rejected(why)) => why,
            other => format!("not rejected: {other:?}"),
        }
    }

    #[test]
    fn the_seeds_request() {
        let request =
            read(json!({"project": "template", "trunk": true, "action": "install", "env": "test"}));
        let request = request.map(|r| (r.action, r.environment.map(|e| e.to_string()), r.wanted));
        let trunk = Wanted::Source {
            selector: Selector::Trunk,
            revision: None,
        };
        assert_eq!(request, Ok(("install".into(), Some("test".into()), trunk)));
    }

    #[test]
    fn components_are_targets() {
        let of = |components| {
            read(json!({"project": "p", "components": components})).map(|r| r.components)
        };
        assert_eq!(of(json!("all")), Ok(None));
        let web: Vec<TargetName> = vec!["web".parse().unwrap()];
        assert_eq!(of(json!(["web", "web"])), Ok(Some(web.clone())));
        assert_eq!(of(json!("web")), Ok(Some(web)));
    }

    #[test]
    fn a_revision_may_be_a_number() {
        let request = read(json!({"project": "p", "branch": "b", "revision": 17}));
        let wanted = Wanted::Source {
            selector: Selector::Branch("b".into()),
            revision: Some("17".into()),
        };
        assert_eq!(request.map(|r| r.wanted), Ok(wanted));
    }

    #[test]
    fn what_cannot_be_is_rejected() {
        assert!(
            rejected(json!({"project": "p", "tag": "a", "branch": "b"}))
                .contains("`branch`, `tag`")
        );
        assert!(rejected(json!({"project": "p", "action": "install"})).contains("env"));
        assert!(
            rejected(json!({"project": "p", "release": "q@1"})).contains("no release of project p")
        );
        assert!(
            rejected(json!({"project": "p", "release": "1", "trunk": true})).contains("`trunk`")
        );
        assert!(rejected(json!({"project": "p", "components": []})).contains("names nothing"));
    }

    #[test]
    fn wrong_types_name_their_key() {
        let wrong = read(json!({"project": "p", "env": 3}));
        let text = "request_data.env: a string is wanted, not a number";
        assert_eq!(wrong, Err(Refused::Malformed(text.into())));
        for wrong in [
            json!({}),
            json!({"project": "../p"}),
            json!({"project": "p", "components": [1]}),
        ] {
            assert!(matches!(read(wrong), Err(Refused::Malformed(_))));
        }
    }
}
