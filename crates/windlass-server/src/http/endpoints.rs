//! Every endpoint: its method, its path, and who may call it. The router is made from this list, and so is the test that
//! calls each of them as everybody.

use axum::Router;
use axum::routing::{MethodRouter, delete, get, head, post, put};

use super::{Http, agent, guard, probes, rest, xmlrpc};

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: it tells nothing that matters.
    Open,
    /// Whoever the auth plugin lets in, and lets do the action named; which projects and environments is asked further in.
    Client(&'static str),
    /// Credentials are in the call, so the call itself is looked at.
    InBody,
    /// An agent by its credential.
    Agent,
    /// Whoever has a token for agents, or comes from loopback.
    Join,
}

macro_rules! endpoints {
    ($($(#[$doc:meta])* $name:ident: $method:literal $path:literal, $access:expr, $handler:expr;)*) => {
        /// An endpoint. One without its row does not compile.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Endpoint {
            $($(#[$doc])* $name,)*
        }

        impl Endpoint {
            /// All of them.
            pub const ALL: &[Endpoint] = &[$(Endpoint::$name,)*];

            /// `GET`, `POST`, ...
            pub fn method(self) -> &'static str {
                match self { $(Self::$name => $method,)* }
            }

            /// With its parameters in braces.
            pub fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// Who may call it.
            pub fn access(self) -> Access {
                match self { $(Self::$name => $access,)* }
            }

            fn handler(self) -> MethodRouter<Http> {
                match self { $(Self::$name => $handler,)* }
            }
        }
    };
}

endpoints! {
    /// XML-RPC at `/`.
    XmlRpcRoot: "POST" "/", Access::InBody, post(xmlrpc::call);
    /// XML-RPC at `/RPC2`.
    XmlRpc: "POST" "/RPC2", Access::InBody, post(xmlrpc::call);
    /// Whether it lives.
    Healthz: "GET" "/healthz", Access::Open, get(probes::healthz);
    /// Whether its store answers.
    Readyz: "GET" "/readyz", Access::Open, get(probes::readyz);
    /// Counts, for Prometheus.
    Metrics: "GET" "/metrics", Access::Client("query"), get(probes::metrics);

    /// Asks for an action.
    Request: "POST" "/api/v1/transactions", Access::InBody, post(rest::request);
    /// The newest transactions.
    Transactions: "GET" "/api/v1/transactions", Access::Client("query"), get(rest::transactions);
    /// One transaction.
    Transaction: "GET" "/api/v1/transactions/{id}", Access::Client("query"), get(rest::transaction);
    /// Its history.
    History: "GET" "/api/v1/transactions/{id}/history", Access::Client("query"), get(rest::history);
    /// Takes it back.
    Cancel: "POST" "/api/v1/transactions/{id}/cancel", Access::Client("cancel"), post(rest::cancel);
    /// Says what came of a job.
    Settle: "POST" "/api/v1/transactions/{id}/jobs/{job}/settle", Access::Client("settle"), post(rest::settle);
    /// A job's log.
    JobLog: "GET" "/api/v1/transactions/{id}/jobs/{job}/log", Access::Client("query"), get(rest::job_log);
    /// Projects.
    Projects: "GET" "/api/v1/projects", Access::Client("query"), get(rest::projects);
    /// Environments.
    Environments: "GET" "/api/v1/environments", Access::Client("query"), get(rest::environments);
    /// Agents.
    Agents: "GET" "/api/v1/agents", Access::Client("query"), get(rest::agents);
    /// Forgets an agent.
    RemoveAgent: "DELETE" "/api/v1/agents/{kind}/{name}", Access::Client("agents"), delete(rest::remove_agent);
    /// Gives an agent no more work.
    DrainAgent: "POST" "/api/v1/agents/{kind}/{name}/drain", Access::Client("agents"), post(rest::drain_agent);
    /// Gives it work again.
    ResumeAgent: "POST" "/api/v1/agents/{kind}/{name}/resume", Access::Client("agents"), post(rest::resume_agent);
    /// Makes a one-time token for an agent.
    AgentToken: "POST" "/api/v1/agents/tokens", Access::Client("agents"), post(rest::agent_token);
    /// Releases.
    Releases: "GET" "/api/v1/releases", Access::Client("query"), get(rest::releases);
    /// Marks a release as one that must not be installed.
    RejectRelease: "POST" "/api/v1/releases/{project}/{version}/reject", Access::Client("reject"), post(rest::reject);
    /// Tells of a run that deployed a release.
    Deployed: "POST" "/api/v1/releases/{project}/{version}/deploys", Access::Client("deploy"), post(rest::deployed);
    /// Takes a release in, whose blobs are there.
    ImportRelease: "POST" "/api/v1/releases", Access::Client("import"), post(rest::import);
    /// A part of a release.
    ReleaseBlob: "GET" "/api/v1/releases/{project}/{version}/{target}", Access::Client("query"), get(rest::release_blob);
    /// How much of a blob there is, for a release that is imported then.
    HasImportBlob: "HEAD" "/api/v1/blobs/{digest}", Access::Client("import"), head(rest::has_import_blob);
    /// Takes a blob in, for a release that is imported then.
    ImportBlob: "PUT" "/api/v1/blobs/{digest}", Access::Client("import"), put(rest::import_blob);
    /// What is where.
    Installed: "GET" "/api/v1/installed", Access::Client("query"), get(rest::installed);
    /// Forgets histories that are old.
    Prune: "POST" "/api/v1/prune", Access::Client("prune"), post(rest::prune);
    /// Reads the config again.
    Reload: "POST" "/api/v1/reload", Access::Client("reload"), post(rest::reload);

    /// An agent registers.
    Register: "POST" "/agent/v1/register", Access::Join, post(agent::register);
    /// An agent asks for work.
    Poll: "POST" "/agent/v1/poll", Access::Agent, post(agent::poll);
    /// It begins a job.
    Start: "POST" "/agent/v1/jobs/{job}/start", Access::Agent, post(agent::start);
    /// It ends one.
    Finish: "POST" "/agent/v1/jobs/{job}/finish", Access::Agent, post(agent::finish);
    /// It says what its journal knows.
    Probe: "POST" "/agent/v1/jobs/{job}/probe", Access::Agent, post(agent::probe);
    /// It sends what a job prints.
    AppendLog: "POST" "/agent/v1/jobs/{job}/log", Access::Agent, post(agent::log);
    /// How much of a blob there is.
    HasBlob: "HEAD" "/agent/v1/blobs/{digest}", Access::Agent, head(agent::has_blob);
    /// A builder uploads.
    PutBlob: "PUT" "/agent/v1/blobs/{digest}", Access::Agent, put(agent::put_blob);
    /// An installer fetches.
    GetBlob: "GET" "/agent/v1/blobs/{digest}", Access::Agent, get(agent::get_blob);
}

/// The router, each endpoint behind the guard of its access.
pub(super) fn router(http: Http) -> Router {
    let mut router = Router::new();
    for endpoint in Endpoint::ALL {
        let guarded = guard::behind(endpoint.handler(), endpoint.access(), &http);
        router = router.route(endpoint.path(), guarded);
    }
    router
        .fallback(probes::nothing_here)
        .method_not_allowed_fallback(probes::wrong_method)
        .with_state(http)
}
