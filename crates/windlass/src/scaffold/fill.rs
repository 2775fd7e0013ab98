//! Templates with `@WORD@` in them.

use std::path::Path;

use super::{Form, Kind};

/// What is filled in.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    kind: Kind,
    form: Form,
    name: String,
    binary: String,
    plugin: Option<String>,
}

impl Words {
    /// For the installation `name`; `plugin` is the auth plugin that it brings. The error says what cannot be written into
    /// a script.
    pub(crate) fn new(
        kind: Kind,
        form: Form,
        name: &str,
        binary: &Path,
        plugin: Option<&str>,
    ) -> Result<Self, String> {
        let binary = match binary.to_str() {
            Some(text) if !text.contains(['\n', '\r']) => text.to_owned(),
            _ => return Err(format!("{} cannot stand in a script", binary.display())),
        };
        Ok(Self {
            kind,
            form,
            name: name.to_owned(),
            binary,
            plugin: plugin.map(str::to_owned),
        })
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn plugin(&self) -> Option<&str> {
        self.plugin.as_deref()
    }

    /// A template with its words filled in; `is_python` says how the binary is quoted.
    pub(super) fn fill(&self, template: &str, is_python: bool) -> String {
        let (extension, serve) = match self.form {
            Form::Xml => (".xml", "python3 serve.py"),
            Form::Yaml => (".yaml", "./serve"),
        };
        let file = match self.kind {
            Kind::Manager => "manager/release_manager",
            Kind::Builder => "builder/build_host",
            Kind::Installer => "installer/release_installer",
        };
        let binary = match is_python {
            true => serde_json::Value::from(self.binary.as_str()).to_string(),
            false => format!("'{}'", self.binary.replace('\'', r"'\''")),
        };
        let builder_files = match self.form {
            Form::Xml => {
                "    builder/template.py               what it does: a behaviour of your own, in Python\n    \
                 utils/template_builder.py         builds the archive of `template` with no manager\n"
            }
            Form::Yaml => "",
        };
        let plugin = self.plugin.as_deref().unwrap_or("simpleauth");
        let words = [
            ("@BUILDER_FILES@", builder_files),
            ("@NAME@", &self.name),
            ("@KIND@", self.kind.word()),
            ("@FILE@", file),
            ("@EXT@", extension),
            ("@SERVE@", serve),
            ("@PLUGIN@", plugin),
            ("@KLASS@", &class(plugin)),
            ("@BINARY@", &binary),
        ];
        let mut text = template.to_owned();
        for (word, value) in words {
            text = text.replace(word, value);
        }
        text
    }
}

/// The class of an auth plugin: `simpleauth` is `SimpleAuth`, as in the seed; `my_own` is `MyOwn`.
fn class(plugin: &str) -> String {
    if plugin == "simpleauth" {
        return "SimpleAuth".into();
    }
    plugin
        .split('_')
        .map(|part| {
            let mut letters = part.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        })
        .collect()
}
