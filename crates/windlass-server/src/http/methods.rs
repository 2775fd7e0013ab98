//! Every method of XML-RPC: its name, what it does, and what somebody must be allowed to do to call it. The table of
//! introspection is made from this list, and so is the test that calls each of them as everybody.

use std::sync::LazyLock;

use windlass_wire::xmlrpc::MethodTable;

type Signatures = &'static [&'static [&'static str]];

const LIST: Signatures = &[&["array", "struct", "struct"], &["array"]];

macro_rules! methods {
    ($($name:ident: $text:literal, $action:expr, $signatures:expr, $help:literal;)*) => {
        /// A method, beside those of `system`. One without its row does not compile.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = $help] $name,)*
        }

        impl Method {
            /// All of them.
            pub const ALL: &[Method] = &[$(Method::$name,)*];

            /// What clients call it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What somebody must be allowed to do, whatever project it concerns; none: that is asked further in.
            pub fn action(self) -> Option<&'static str> {
                match self { $(Self::$name => $action,)* }
            }

            fn row(self) -> (Signatures, &'static str) {
                match self { $(Self::$name => ($signatures, $help),)* }
            }
        }
    };
}

methods! {
    RequestAction: "request_action", None, &[&["string", "struct", "struct"]],
        "Asks for an action: (credentials, request_data) -> transaction id. request_data: project, action (build, install), \
         env for an install, at most one of trunk, branch, tag, url, with revision; or release. request_id makes a repeated \
         call answer the same id.";
    QueryTransaction: "query_transaction", Some("query"), &[&["string", "string"], &["string", "struct", "struct"]],
        "The status of a transaction, by (transaction id) or (credentials, {transaction}): STARTED, BUILD_COMPLETED, \
         INSTALL_COMPLETED, or REJECTED, BUILD_FAILED, INSTALL_FAILED, CANCELLED, UNKNOWN.";
    TransactionHistory: "transaction_history", Some("query"), &[&["array", "struct", "struct"]],
        "(credentials, {transaction}) -> structs of time, actor, address, what, detail; oldest first.";
    ListProjects: "list_projects", Some("query"), LIST,
        "(credentials, {}) -> the projects, their targets and builders.";
    ListEnvironments: "list_environments", Some("query"), LIST,
        "(credentials, {}) -> the environments, their targets and installers.";
    ListRegistrations: "list_registrations", Some("query"), LIST,
        "(credentials, {}) -> the builders and installers that registered.";
    ListTransactions: "list_transactions", Some("query"), LIST,
        "(credentials, {project, env, limit}) -> transactions, newest first.";
    ListReleases: "list_releases", Some("query"), LIST,
        "(credentials, {project}) -> releases, newest first.";
    Where: "where", Some("query"), LIST,
        "(credentials, {project, env}) -> what is installed where.";
    CancelTransaction: "cancel_transaction", Some("cancel"), &[&["boolean", "struct", "struct"]],
        "(credentials, {transaction}) -> true; what runs settles first.";
    Reload: "reload", Some("reload"), &[&["boolean", "struct", "struct"]],
        "(credentials, {}) -> true: the config was read again.";
}

impl Method {
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|method| method.name() == name)
    }
}

/// What introspection tells.
pub(super) static TABLE: LazyLock<MethodTable> = LazyLock::new(|| {
    let mut table = MethodTable::new();
    for method in Method::ALL {
        let (signatures, help) = method.row();
        table = table.with(method.name(), signatures, help);
    }
    #[cfg(feature = "validator1")]
    let table = windlass_wire::xmlrpc::validator1::table(table);
    table
});
