//! What is in each tree. In XML they are those of the seed (`release-manager.rst`), to the letter.

use super::{Entry, Form, Kind, What, Words};

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../templates/installation/", $path))
    };
}

/// The tree of a service.
pub(crate) fn tree(kind: Kind, words: &Words) -> Vec<Entry> {
    let mut tree = Tree {
        words,
        entries: Vec::new(),
    };
    match kind {
        Kind::Manager => manager(&mut tree),
        Kind::Builder => builder(&mut tree),
        Kind::Installer => installer(&mut tree),
    }
    for directory in ["log", "plugins", "work"] {
        tree.directory(directory);
    }
    match words.form() {
        Form::Yaml => tree.program("serve", template!("yaml/serve")),
        Form::Xml => tree.program("serve.py", template!("xml/serve.py")),
    }
    if let Some(plugin) = words.plugin() {
        let config = format!("conf/plugins/auth/plugin_auth_{plugin}");
        tree.config(
            &config,
            template!("yaml/plugin_auth.yaml"),
            template!("xml/plugin_auth.xml"),
        );
        tree.file(
            &format!("plugins/auth/{plugin}.py"),
            template!("shared/auth.py"),
        );
    }
    tree.entries
}

fn manager(tree: &mut Tree<'_>) {
    tree.file("README.txt", template!("shared/manager.txt"));
    tree.config(
        "conf/manager/release_manager_template",
        template!("yaml/release_manager.yaml"),
        template!("xml/release_manager.xml"),
    );
    tree.config(
        "conf/project/project_definition_template",
        template!("yaml/project_definition.yaml"),
        template!("xml/project_definition.xml"),
    );
}

fn builder(tree: &mut Tree<'_>) {
    tree.file("README.txt", template!("shared/builder.txt"));
    tree.directory("archive");
    tree.config(
        "conf/builder/build_host_template",
        template!("yaml/build_host.yaml"),
        template!("xml/build_host.xml"),
    );
    tree.config(
        "conf/builder/release_builder_template",
        template!("yaml/release_builder.yaml"),
        template!("xml/release_builder.xml"),
    );
    if tree.words.form() == Form::Xml {
        tree.file("builder/__init__.py", template!("xml/builder_init.py"));
        tree.file("builder/template.py", template!("xml/template.py"));
        tree.program(
            "utils/template_builder.py",
            template!("xml/template_builder.py"),
        );
    }
    tree.file(
        "svn_checkout/template/site/index.html",
        template!("shared/index.html"),
    );
}

fn installer(tree: &mut Tree<'_>) {
    tree.file("README.txt", template!("shared/installer.txt"));
    tree.config(
        "conf/installer/release_installer_template",
        template!("yaml/release_installer.yaml"),
        template!("xml/release_installer.xml"),
    );
    for environment in ["dev", "prod", "qa"] {
        tree.directory(&format!("conf/target/{environment}"));
    }
    tree.config(
        "conf/target/test/install_behavior_template",
        template!("yaml/install_behavior.yaml"),
        template!("xml/install_behavior.xml"),
    );
    tree.config(
        "conf/target/test/named_target_template",
        template!("yaml/named_target.yaml"),
        template!("xml/named_target.xml"),
    );
    tree.directory("install_base");
}

struct Tree<'a> {
    words: &'a Words,
    entries: Vec<Entry>,
}

impl Tree<'_> {
    fn directory(&mut self, path: &str) {
        self.add(path, What::Directory);
    }

    fn file(&mut self, path: &str, template: &str) {
        let text = self.words.fill(template, path.ends_with(".py"));
        self.add(path, What::File(text));
    }

    fn program(&mut self, path: &str, template: &str) {
        let text = self.words.fill(template, path.ends_with(".py"));
        self.add(path, What::Program(text));
    }

    /// A file of the configuration, without its ending.
    fn config(&mut self, path: &str, yaml: &str, xml: &str) {
        match self.words.form() {
            Form::Yaml => self.file(&format!("{path}.yaml"), yaml),
            Form::Xml => self.file(&format!("{path}.xml"), xml),
        }
    }

    fn add(&mut self, path: &str, what: What) {
        self.entries.push(Entry {
            path: path.to_owned(),
            what,
        });
    }
}
