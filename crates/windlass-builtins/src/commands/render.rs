//! Templates whose secrets stay references: each is rendered as a mark that nobody can guess, and cut out again.

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::{Map, Value};
use windlass_model::secret::SecretRef;
use windlass_model::text::{SECRET_KEY, Text};

/// What is wrong, and in which argument.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RenderError {
    pub(super) argument: &'static str,
    pub(super) message: String,
}

/// Renders `template`, called `name` in messages. Names that are not in `values` are errors, and so is a secret that
/// comes out changed.
pub(super) fn render(
    name: &str,
    template: &str,
    values: &Map<String, Value>,
) -> Result<Text, RenderError> {
    let (once, has_secret) = render_marked(name, template, values)?;
    // What is made of a mark otherwise than by copying it comes out different the next time.
    if has_secret {
        let (again, _) = render_marked(name, template, values)?;
        if again != once {
            return Err(RenderError {
                argument: "source",
                message: "the template changes a secret (by a filter?); a secret can only be written as it is".into(),
            });
        }
    }
    Ok(once)
}

/// Renders once, with fresh marks; says whether there were secrets among the values.
fn render_marked(
    name: &str,
    template: &str,
    values: &Map<String, Value>,
) -> Result<(Text, bool), RenderError> {
    let wrong = |argument, message| RenderError { argument, message };
    let mut marks = Marks::new().map_err(|e| wrong("values", e))?;
    let values = marks
        .mark(Value::Object(values.clone()))
        .map_err(|e| wrong("values", e))?;
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // One line break at the end is dropped by minijinja.
    let template = format!("{template}\n");
    let rendered = environment
        .render_named_str(name, &template, minijinja::value::Serde(&values))
        .map_err(|e| wrong("source", marks.without(&say(&e))))?;
    Ok((marks.cut(&rendered), !marks.secrets.is_empty()))
}

/// One line: what, where, and what lies beneath.
fn say(error: &minijinja::Error) -> String {
    let mut said = format!("{error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        said.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    said
}

/// How a mark ends.
const CLOSING: &str = "> ";

/// Secrets and the marks that stand for them.
struct Marks {
    nonce: String,
    secrets: Vec<SecretRef>,
}

impl Marks {
    fn new() -> Result<Self, String> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).map_err(|e| format!("no random numbers: {e}"))?;
        let nonce = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Ok(Self {
            nonce,
            secrets: Vec::new(),
        })
    }

    /// How a mark begins: with what every filter of case, space or markup would change.
    fn opening(&self) -> String {
        format!(" <sEcret {} ", self.nonce)
    }

    /// The values with a mark in place of each secret.
    fn mark(&mut self, value: Value) -> Result<Value, String> {
        Ok(match value {
            Value::Object(map) if map.len() == 1 && map.contains_key(SECRET_KEY) => {
                let secret = map.into_values().next().unwrap_or_default();
                let secret = serde_json::from_value(secret)
                    .map_err(|e| format!("no secret reference: {e}"))?;
                self.secrets.push(secret);
                Value::String(format!(
                    "{}{}{CLOSING}",
                    self.opening(),
                    self.secrets.len() - 1
                ))
            }
            Value::Object(map) => Value::Object(
                map.into_iter()
                    .map(|(key, value)| Ok((key, self.mark(value)?)))
                    .collect::<Result<_, String>>()?,
            ),
            Value::Array(list) => Value::Array(
                list.into_iter()
                    .map(|value| self.mark(value))
                    .collect::<Result<_, _>>()?,
            ),
            plain => plain,
        })
    }

    /// The text with the secrets where their marks were; what is no whole mark stays as it is.
    fn cut(&self, rendered: &str) -> Text {
        let opening = self.opening();
        let mut parts = rendered.split(&opening);
        let mut text = Text::plain(parts.next().unwrap_or_default());
        for part in parts {
            let whole = part.split_once(CLOSING).and_then(|(number, rest)| {
                let number: usize = number.parse().ok()?;
                Some((self.secrets.get(number)?, rest))
            });
            text = match whole {
                Some((secret, rest)) => text
                    .then(Text::secret(secret.clone()))
                    .then(Text::plain(rest)),
                None => text.then(Text::plain(format!("{opening}{part}"))),
            };
        }
        text
    }

    /// A message without marks.
    fn without(&self, message: &str) -> String {
        message.replace(&self.opening(), " <secret ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(template: &str, values: Value) -> Result<Text, RenderError> {
        let Value::Object(values) = values else {
            unreachable!()
        };
        render("x.conf", template, &values)
    }

    #[test]
    fn plain_values_are_put_in() {
        let text = rendered(
            "{% for h in hosts %}{{ h.name }}:{{ port }}\n{% endfor %}<&>\n",
            json!({"hosts": [{"name": "a"}, {"name": "b"}], "port": 80}),
        );
        assert_eq!(text.unwrap().as_plain().unwrap(), "a:80\nb:80\n<&>\n");
    }

    #[test]
    fn an_unknown_name_is_an_error_that_says_where() {
        let error = rendered("a\n{{ prot }}\n", json!({"port": 80})).unwrap_err();
        assert_eq!(error.argument, "source");
        assert!(error.message.contains("x.conf:2"), "{}", error.message);
    }

    #[test]
    fn secrets_stay_references_wherever_they_stand() {
        let text = rendered(
            "user=x\npass={{ db.password }};{{ db.password }}{{ t }}\n",
            json!({"db": {"password": {"$secret": {"env": "DB"}}}, "t": {"$secret": {"file": "/t"}}}),
        )
        .unwrap();
        assert_eq!(
            text.to_string(),
            "user=x\npass=<secret: env DB>;<secret: env DB><secret: file /t>\n"
        );
        assert_eq!(text.secrets().count(), 3);
    }

    #[test]
    fn a_secret_that_a_filter_changes_is_an_error() {
        let secret = json!({"p": {"$secret": {"env": "DB"}}});
        for template in [
            "{{ p|reverse }}",
            "{{ p|list }}",
            "{{ p|title }}",
            "{{ p|trim }}",
            "{{ p|lower }}",
            "{{ p|e }}",
            "{{ p|tojson|replace('>', '') }}",
            "{{ p|upper }}",
            "{{ p|replace('e', 'x') }}",
            "{{ p[:20] }}",
            "{{ p[30:] }}",
        ] {
            let error = rendered(template, secret.clone()).unwrap_err();
            assert!(error.message.contains("filter"), "{template}: {error:?}");
        }
        let asked = rendered("{% if p %}{{ p|default('') }}{% endif %}", secret).unwrap();
        assert_eq!(asked.to_string(), "<secret: env DB>");
    }

    #[test]
    fn what_is_no_secret_reference_is_an_error() {
        let error = rendered("", json!({"p": {"$secret": {"envy": "DB"}}})).unwrap_err();
        assert_eq!(error.argument, "values");
    }
}
