//! Which services deploy together, and after which.

use std::collections::{HashMap, HashSet};

use super::service::RollingService;
use crate::config::fields::{At, Fields, Found};
use crate::diagnostic::nearest;

pub(super) fn read(
    top: &Fields<'_>,
    services: &[RollingService],
    ignored: &[String],
    found: &mut Found,
) -> Vec<Vec<String>> {
    if !top.has("deployment_order") {
        return vec![services.iter().map(|s| s.name.clone()).collect()];
    }
    let Some(items) = top.list("deployment_order", found) else {
        return Vec::new();
    };
    let mut order = Order {
        known: services.iter().map(|s| (s.name.as_str(), false)).collect(),
    };
    let stages: Vec<Vec<String>> = items
        .iter()
        .map(|item| match item.node.as_list() {
            None => order.one(item, found).into_iter().collect(),
            Some(inner) => inner
                .iter()
                .enumerate()
                .filter_map(|(index, node)| {
                    let path = format!("{}[{index}]", item.path);
                    order.one(
                        &At {
                            key: item.key,
                            path,
                            node,
                        },
                        found,
                    )
                })
                .collect(),
        })
        .collect();
    let ignored: HashSet<&str> = ignored.iter().map(String::as_str).collect();
    let missing: Vec<&str> = services
        .iter()
        .filter(|s| !s.properties && !ignored.contains(s.name.as_str()))
        .map(|s| s.name.as_str())
        .filter(|name| order.known.get(name) == Some(&false))
        .collect();
    if let (false, Some(at)) = (missing.is_empty(), top.get("deployment_order")) {
        let message = match missing.as_slice() {
            [one] => format!("`deployment_order` lacks the service `{one}`"),
            more => format!(
                "`deployment_order` lacks the services `{}`",
                more.join("`, `")
            ),
        };
        let hint = "name every service, or put it into `ignore_packages`";
        found.error(at.node.span, &at.path, message, Some(hint.into()));
    }
    stages
}

struct Order<'a> {
    /// Whether it stands in the order.
    known: HashMap<&'a str, bool>,
}

impl Order<'_> {
    fn one(&mut self, at: &At<'_>, found: &mut Found) -> Option<String> {
        let name = match at.node.as_str() {
            Some(name) => name,
            None => return at.wrong("the name of a service, or a list of names,", found),
        };
        match self.known.get_mut(name) {
            Some(seen) if !*seen => {
                *seen = true;
                return Some(name.to_owned());
            }
            Some(_) => {
                let message = format!("the service `{name}` stands in `deployment_order` twice");
                found.error(
                    at.node.span,
                    &at.path,
                    message,
                    Some("keep one of them".into()),
                );
            }
            None => {
                let near = nearest(name, self.known.keys().copied());
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                let message = format!("there is no service `{name}`");
                found.error(at.node.span, &at.path, message, hint);
            }
        }
        None
    }
}
