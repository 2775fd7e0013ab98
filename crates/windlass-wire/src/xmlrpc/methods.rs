//! The methods of a server, and what it says about them: `system.listMethods`, `methodHelp`, `methodSignature`.

use std::collections::BTreeMap;

use windlass_model::diagnostic::nearest;

use super::fault::{Fault, code};
use super::value::Value;
use super::{Call, Response};

/// A method as clients see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Each the type of the result, then those of the arguments, in the names of XML-RPC. None: not known.
    pub signatures: Vec<Vec<&'static str>>,
    /// What it does, for people.
    pub help: &'static str,
}

/// The methods of a server by name, `system.*` among them.
#[derive(Clone, Debug)]
pub struct MethodTable {
    methods: BTreeMap<&'static str, Method>,
}

impl Default for MethodTable {
    fn default() -> Self {
        Self::new()
    }
}

impl MethodTable {
    /// Only `system.*`.
    pub fn new() -> Self {
        let table = Self {
            methods: BTreeMap::new(),
        };
        table
            .with("system.listMethods", &[&["array"]], "The names of all methods.")
            .with(
                "system.methodHelp",
                &[&["string", "string"]],
                "What the method of that name does.",
            )
            .with(
                "system.methodSignature",
                &[&["array", "string"]],
                "The types of the method of that name: arrays of the result's and the arguments' types.",
            )
            .with(
                "system.multicall",
                &[&["array", "array"]],
                "Makes several calls, each a struct of methodName and params. Answers an array: for each call an array of \
                 its result, or a fault as a struct.",
            )
    }

    /// With one method more, or one replaced.
    #[must_use]
    pub fn with(
        mut self,
        name: &'static str,
        signatures: &[&[&'static str]],
        help: &'static str,
    ) -> Self {
        let signatures = signatures.iter().map(|types| types.to_vec()).collect();
        self.methods.insert(name, Method { signatures, help });
        self
    }

    /// The method of that name.
    pub fn get(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.methods.keys().copied()
    }

    /// The answer to `system.listMethods`, `system.methodHelp`, `system.methodSignature`; a fault for a method that is
    /// not in the table; `None` for all others, `system.multicall` too, which others answer.
    pub fn answer(&self, call: &Call) -> Option<Response> {
        match call.method.as_str() {
            "system.listMethods" => Some(match call.params.as_slice() {
                [] => Ok(self.names().collect::<Vec<_>>().into()),
                _ => Err(wrong(call, "no arguments")),
            }),
            "system.methodHelp" => Some(self.asked_for(call).map(|method| method.help.into())),
            "system.methodSignature" => Some(self.asked_for(call).map(signatures)),
            name if self.get(name).is_none() => Some(Err(self.unknown(name))),
            _ => None,
        }
    }

    /// The fault that there is no such method.
    pub fn unknown(&self, name: &str) -> Fault {
        let shown: String = name.chars().take(80).collect();
        let hint = match nearest(&shown, self.names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "system.listMethods names all".to_owned(),
        };
        let text = format!("there is no method {shown:?}; {hint}");
        Fault::new(code::METHOD_NOT_FOUND, text)
    }

    fn asked_for(&self, call: &Call) -> Result<&Method, Fault> {
        match call.params.as_slice() {
            [Value::Text(name)] => self.get(name).ok_or_else(|| self.unknown(name)),
            _ => Err(wrong(call, "one string, the name of a method")),
        }
    }
}

fn signatures(method: &Method) -> Value {
    if method.signatures.is_empty() {
        // as the convention of introspection has it
        return "undef".into();
    }
    method.signatures.clone().into()
}

fn wrong(call: &Call, wanted: &str) -> Fault {
    let text = format!("{}: {wanted} is wanted", call.method);
    Fault::new(code::INVALID_PARAMS, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(method: &str, params: Vec<Value>) -> Option<Response> {
        let table = MethodTable::new()
            .with(
                "request_action",
                &[&["string", "struct", "struct"]],
                "Asks for a release.",
            )
            .with("old", &[], "");
        table.answer(&Call {
            method: method.into(),
            params,
        })
    }

    #[test]
    fn methods_are_listed_explained_and_typed() {
        assert_eq!(
            ask("system.listMethods", vec![]),
            Some(Ok(vec![
                "old",
                "request_action",
                "system.listMethods",
                "system.methodHelp",
                "system.methodSignature",
                "system.multicall"
            ]
            .into()))
        );
        let name = || vec![Value::from("request_action")];
        assert_eq!(
            ask("system.methodHelp", name()),
            Some(Ok("Asks for a release.".into()))
        );
        assert_eq!(
            ask("system.methodSignature", name()),
            Some(Ok(vec![vec!["string", "struct", "struct"]].into()))
        );
        assert_eq!(
            ask("system.methodSignature", vec!["old".into()]),
            Some(Ok("undef".into()))
        );
        assert_eq!(ask("request_action", vec![]), None);
        assert_eq!(ask("system.multicall", vec![]), None);
    }

    #[test]
    fn what_is_not_there_is_a_fault() {
        let fault = ask("request_acton", vec![]).unwrap().unwrap_err();
        assert_eq!(fault.code, -32601);
        assert_eq!(
            fault.text,
            "there is no method \"request_acton\"; did you mean `request_action`?"
        );
        let fault = ask("system.methodHelp", vec!["x".into()])
            .unwrap()
            .unwrap_err();
        assert_eq!(fault.code, -32601);
        for (method, params) in [
            ("system.listMethods", vec![Value::Nil]),
            ("system.methodHelp", vec![]),
            ("system.methodSignature", vec![1.into()]),
        ] {
            let fault = ask(method, params).unwrap().unwrap_err();
            assert_eq!(fault.code, -32602, "{fault}");
        }
    }
}
