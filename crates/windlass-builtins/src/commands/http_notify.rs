//! `http_notify`, also called `pipeline_notify`: tells someone by HTTP.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::{Http, Reply, Step, Via};

use super::notice::{Delivery, after};
use super::shell_line::{last_words, shown};

/// The kind, by one of its names.
pub struct HttpNotify(pub &'static str);

/// Arguments of `http_notify`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Where to: `http://` or `https://`. Asked from the task's host, within 30 seconds.
    pub url: Text,
    /// GET, POST, PUT, ...
    #[serde(default = "post")]
    pub method: String,
    /// Header fields by name.
    #[serde(default)]
    pub headers: BTreeMap<String, Text>,
    /// Sent as it is; say in `headers` what it is (`Content-Type`).
    pub body: Option<Text>,
    /// `http://host:port` of a proxy.
    pub proxy: Option<Text>,
    /// The status code that is to come; any of 200 to 299 if absent.
    pub want_status: Option<u16>,
    /// Whether a notice that does not arrive is a warning (the task is skipped), or a failure.
    #[serde(default = "yes")]
    pub continue_on_fail: bool,
}

fn post() -> String {
    "POST".to_owned()
}

fn yes() -> bool {
    true
}

impl CommandKind for HttpNotify {
    type Args = Args;

    fn name(&self) -> &'static str {
        self.0
    }

    fn about(&self) -> &'static str {
        "Sends one HTTP request, to tell someone."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let mut wrong = Diagnostics::new();
        if let Err(message) = check_url(&args.url) {
            wrong.push(cx.wrong("url", message));
        }
        if let Some(Err(message)) = args.proxy.as_ref().map(check_url) {
            wrong.push(cx.wrong("proxy", message));
        }
        let method = args.method.to_ascii_uppercase();
        if method.is_empty() || !method.chars().all(|c| c.is_ascii_uppercase()) {
            wrong.push(cx.wrong("method", format!("`{}` is no method", args.method)));
        }
        for (name, value) in &args.headers {
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(token) {
                wrong.push(cx.wrong("headers", format!("{name:?} is no name of a header")));
            }
            if value
                .as_plain()
                .is_some_and(|v| v.chars().any(char::is_control))
            {
                let message = format!("the value of `{name}` holds a control character");
                wrong.push(cx.wrong("headers", message));
            }
        }
        wrong.or(Box::new(Notify {
            http: Http {
                via: Via::Task,
                method,
                url: args.url,
                headers: args.headers.into_iter().collect(),
                body: args.body,
                proxy: args.proxy,
                time_limit: 30,
            },
            want_status: args.want_status,
            continue_on_fail: args.continue_on_fail,
        }) as Box<dyn Command>)
    }
}

/// Whether a URL is one of HTTP; one that holds a secret is believed.
pub fn check_url(url: &Text) -> Result<(), String> {
    let Some(plain) = url.as_plain() else {
        return Ok(());
    };
    let rest = plain
        .strip_prefix("http://")
        .or_else(|| plain.strip_prefix("https://"));
    let fine = rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.chars().any(|c| c.is_control() || c == ' ')
    });
    if fine {
        Ok(())
    } else {
        Err(format!(
            "`{plain}` is no URL that can be asked; it is http://HOST... or https://HOST..."
        ))
    }
}

#[derive(Debug)]
struct Notify {
    http: Http,
    want_status: Option<u16>,
    continue_on_fail: bool,
}

impl Notify {
    fn judge(&self, reply: &Reply) -> Delivery {
        let why = match reply {
            Reply::Http { status, body } => {
                let wanted = match self.want_status {
                    Some(wanted) => *status == wanted,
                    None => (200..300).contains(status),
                };
                if wanted {
                    return Delivery::Arrived;
                }
                format!("status {status}, body `{}`", shown(body))
            }
            other => last_words(other),
        };
        Delivery::Lost(format!("cannot notify {}: {why}", self.http.url))
    }
}

impl Command for Notify {
    fn turn(&self, _facts: &Facts, seen: &[Seen]) -> Turn {
        match seen.first() {
            None => Turn::Do(vec![Step::Http(self.http.clone())]),
            Some(first) => after(
                self.judge(&first.reply),
                self.continue_on_fail,
                seen.len() > 1,
            ),
        }
    }

    fn repeat(&self) -> Repeat {
        match self.http.method.as_str() {
            "POST" | "PATCH" => Repeat::Ask,
            _ => Repeat::Safe,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_model::outcome::Outcome;

    use super::*;
    use crate::commands::trial::{end, errors, facts, failure, make, seen, steps};

    const KIND: HttpNotify = HttpNotify("http_notify");

    fn answered(status: u16) -> Reply {
        Reply::Http {
            status,
            body: "no".into(),
        }
    }

    #[test]
    fn a_notice_is_one_request() {
        let command = make(
            &KIND,
            json!({"url": {"$secret": {"env": "HOOK"}}, "body": "{}", "headers": {"X-A": 1}}),
        )
        .unwrap();
        let [Step::Http(http)] = &steps(command.turn(&facts(), &[]))[..] else {
            panic!("one request");
        };
        assert_eq!((http.method.as_str(), http.headers.len()), ("POST", 1));
        let turn = |status| command.turn(&facts(), &[seen(0, answered(status))]);
        assert_eq!(end(turn(204)), Outcome::Changed);
        assert!(matches!(&turn(500), Turn::Last(steps) if matches!(&steps[..], [Step::Log(_)])));
        let ended = command.turn(&facts(), &[seen(0, answered(500)), seen(0, Reply::Logged)]);
        let why = "cannot notify <secret: env HOOK>: status 500, body `no`";
        assert_eq!(end(ended), Outcome::Skipped(why.into()));
        assert_eq!(command.repeat(), Repeat::Ask);
    }

    #[test]
    fn it_may_have_to_arrive() {
        let args = json!({"url": "http://a", "method": "put", "want_status": 201, "continue_on_fail": false});
        let command = make(&KIND, args).unwrap();
        let turn = |reply| command.turn(&facts(), &[seen(0, reply)]);
        assert_eq!(end(turn(answered(201))), Outcome::Changed);
        assert_eq!(
            failure(turn(answered(200))),
            "cannot notify http://a: status 200, body `no`"
        );
        assert_eq!(
            failure(turn(Reply::Impossible("refused".into()))),
            "cannot notify http://a: refused"
        );
        assert_eq!(command.repeat(), Repeat::Safe);
    }

    #[test]
    fn faults_are_named() {
        let args = json!({"url": "a", "method": "GET /", "proxy": "b", "headers": {"A B": "x", "C": "x\ny"}});
        let said = errors(&KIND, args);
        for text in [
            "`a` is no URL",
            "is no method",
            "`b` is no URL",
            "\"A B\"",
            "value of `C`",
        ] {
            assert!(said.contains(text), "{text}: {said}");
        }
    }
}
