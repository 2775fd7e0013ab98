//! Users with passwords, and what their roles allow.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, PasswordHash, PasswordVerifier};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Ask, Auth, Credentials, Decision, Identity};

/// Passwords that are checked at once: each takes some 20 MiB and a core.
const AT_ONCE: usize = 4;
/// How long a right login is remembered.
const RECENT: Duration = Duration::from_secs(60);
/// Logins that are remembered at most.
const MOST_RECENT: usize = 1024;

/// The config of the built-in `users`:
///
/// ```yaml
/// users:
///   ann: {password: "$argon2id$...", roles: [deployer]}
/// roles:
///   deployer: [{actions: [build, install, query], projects: ["*"], environments: [dev, qa]}]
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsersConfig {
    /// Name -> user.
    pub users: BTreeMap<String, User>,
    /// Name -> what the role allows.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<Grant>>,
}

/// Somebody.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// An argon2 hash of the password, in PHC form.
    pub password: String,
    /// Names of roles.
    #[serde(default)]
    pub roles: BTreeSet<String>,
}

/// Something that a role allows. A list that is missing, or names `*`, allows all; an ask that concerns no project or
/// environment is allowed whatever the list says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Actions.
    #[serde(default)]
    pub actions: Option<BTreeSet<String>>,
    /// Projects.
    #[serde(default)]
    pub projects: Option<BTreeSet<String>>,
    /// Environments.
    #[serde(default)]
    pub environments: Option<BTreeSet<String>>,
}

fn allows(list: Option<&BTreeSet<String>>, name: Option<&str>) -> bool {
    match (list, name) {
        (None, _) | (_, None) => true,
        (Some(list), Some(name)) => list.contains("*") || list.contains(name),
    }
}

impl Grant {
    fn allows(&self, ask: Ask<'_>) -> bool {
        allows(self.actions.as_ref(), Some(ask.action))
            && allows(self.projects.as_ref(), ask.project.map(|p| p.as_str()))
            && allows(
                self.environments.as_ref(),
                ask.environment.map(|e| e.as_str()),
            )
    }
}

/// Logins that were right a moment ago: clients that wait for a transaction ask again and again, and checking a password is
/// made to be slow. What is kept cannot be turned back into a password without the key, which never leaves this process.
struct Recent {
    key: [u8; 32],
    known: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Recent {
    fn new() -> Result<Self, String> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| format!("no random numbers: {e}"))?;
        Ok(Self {
            key,
            known: Mutex::default(),
        })
    }

    fn mark(&self, name: &str, password: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(password);
        hash.finalize().into()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Instant>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, mark: &[u8; 32]) -> bool {
        let since = self.known().get(mark).copied();
        since.is_some_and(|since| since.elapsed() < RECENT)
    }

    fn keep(&self, mark: [u8; 32]) {
        let mut known = self.known();
        if known.len() >= MOST_RECENT {
            known.clear();
        }
        known.insert(mark, Instant::now());
    }
}

/// The built-in `users`.
pub struct Users {
    config: UsersConfig,
    recent: Recent,
    checks: Arc<tokio::sync::Semaphore>,
    /// Checked for a user that does not exist, so that it takes as long.
    nobody: String,
}

impl Users {
    /// From its config. An error names a hash that is none, or a role that does not exist.
    pub fn new(config: UsersConfig) -> Result<Self, String> {
        for (name, user) in &config.users {
            let read = PasswordHash::new(&user.password)
                .and_then(|hash| Algorithm::try_from(hash.algorithm));
            if let Err(e) = read {
                return Err(format!(
                    "user {name}: `password` is no argon2 hash ({e}); make one with `argon2 SALT -id -e`"
                ));
            }
            if let Some(role) = user.roles.iter().find(|r| !config.roles.contains_key(*r)) {
                return Err(format!("user {name}: there is no role {role:?}"));
            }
        }
        let nobody = config
            .users
            .values()
            .next()
            .map(|user| user.password.clone());
        Ok(Self {
            config,
            recent: Recent::new()?,
            checks: Arc::new(tokio::sync::Semaphore::new(AT_ONCE)),
            nobody: nobody.unwrap_or_default(),
        })
    }
}

#[async_trait]
impl Auth for Users {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<Identity>, String> {
        let text = |key| credentials.get(key).and_then(Value::as_str);
        let (Some(name), Some(password)) = (text("username"), text("password")) else {
            return Ok(None);
        };
        let user = self.config.users.get(name);
        let identity = Identity {
            name: name.to_owned(),
            about: Map::new(),
        };
        let mark = self.recent.mark(name, password);
        if user.is_some() && self.recent.has(&mark) {
            return Ok(Some(identity));
        }
        let hash = user.map_or(&self.nobody, |user| &user.password).clone();
        let password = password.to_owned();
        let permit = self.checks.clone().acquire_owned().await;
        let permit = permit.map_err(|e| e.to_string())?;
        let checked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            PasswordHash::new(&hash).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &hash)
                    .is_ok()
            })
        });
        let right = checked.await.map_err(|e| e.to_string())?;
        if !right || user.is_none() {
            return Ok(None);
        }
        self.recent.keep(mark);
        Ok(Some(identity))
    }

    async fn authorize(&self, identity: &Identity, ask: Ask<'_>) -> Result<Decision, String> {
        let Some(user) = self.config.users.get(&identity.name) else {
            return Ok(Decision::No(format!(
                "there is no user {} any more",
                identity.name
            )));
        };
        let mut grants = user
            .roles
            .iter()
            .filter_map(|role| self.config.roles.get(role));
        if grants.any(|grants| grants.iter().any(|grant| grant.allows(ask))) {
            return Ok(Decision::Yes);
        }
        let action = match ask.action {
            "agents" => "manage agents",
            action => action,
        };
        let mut what = format!("{} may not {action}", identity.name);
        if let Some(project) = ask.project {
            what.push_str(&format!(" project {project}"));
        }
        if let Some(environment) = ask.environment {
            what.push_str(&format!(" in environment {environment}"));
        }
        Ok(Decision::No(what))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use argon2::PasswordHasher;
    use serde_json::json;

    use super::*;

    fn users() -> Users {
        let salt = argon2::password_hash::SaltString::from_b64("c2FsdHNhbHRzYWx0").unwrap();
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let argon = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let hash = argon.hash_password(b"secret", &salt).unwrap().to_string();
        let config = json!({
            "users": {"ann": {"password": hash, "roles": ["deployer"]}},
            "roles": {"deployer": [
                {"actions": ["query"]},
                {"actions": ["install"], "projects": ["shop"], "environments": ["qa"]},
            ]},
        });
        Users::new(serde_json::from_value(config).unwrap()).unwrap()
    }

    async fn login(username: &str, password: &str) -> Option<String> {
        let Value::Object(credentials) = json!({"username": username, "password": password}) else {
            return None;
        };
        let identity = users().authenticate(&credentials).await.unwrap();
        identity.map(|i| i.name)
    }

    #[tokio::test]
    async fn only_the_right_password_lets_in() {
        assert_eq!(login("ann", "secret").await.as_deref(), Some("ann"));
        assert_eq!(login("ann", "wrong").await, None);
        assert_eq!(login("bob", "secret").await, None);
        assert_eq!(users().authenticate(&Credentials::new()).await, Ok(None));
    }

    #[tokio::test]
    async fn a_right_login_is_remembered_and_no_other() {
        let users = users();
        let login = async |password: &str| {
            let Value::Object(credentials) = json!({"username": "ann", "password": password})
            else {
                return None;
            };
            users.authenticate(&credentials).await.unwrap()
        };
        for _ in 0..2 {
            assert!(login("secret").await.is_some());
            assert!(login("wrong").await.is_none());
        }
        assert_eq!(users.recent.known().len(), 1);
        assert!(users.recent.has(&users.recent.mark("ann", "secret")));
        assert!(!users.recent.has(&users.recent.mark("anns", "ecret")));
    }

    #[tokio::test]
    async fn roles_allow_by_project_and_environment() {
        let ann = Identity {
            name: "ann".into(),
            about: Map::new(),
        };
        let (shop, blog) = ("shop".parse().unwrap(), "blog".parse().unwrap());
        let (qa, prod) = ("qa".parse().unwrap(), "prod".parse().unwrap());
        let ask = |action, project, environment| Ask {
            action,
            project,
            environment,
            target: None,
        };
        let users = users();
        for (wanted, right) in [
            (ask("query", None, None), true),
            (ask("install", Some(&shop), Some(&qa)), true),
            (ask("install", Some(&shop), Some(&prod)), false),
            (ask("install", Some(&blog), Some(&qa)), false),
            (ask("cancel", Some(&shop), None), false),
        ] {
            let decision = users.authorize(&ann, wanted).await.unwrap();
            assert_eq!(decision == Decision::Yes, right, "{wanted:?}: {decision:?}");
        }
        let decision = users
            .authorize(&ann, ask("install", Some(&shop), Some(&prod)))
            .await;
        let text = "ann may not install project shop in environment prod";
        assert_eq!(decision, Ok(Decision::No(text.into())));
    }

    #[test]
    fn faults_of_the_config_are_named() {
        let wrong = |config: Value| Users::new(serde_json::from_value(config).unwrap()).err();
        let text = wrong(json!({"users": {"ann": {"password": "plain"}}})).unwrap();
        assert!(
            text.contains("user ann: `password` is no argon2 hash"),
            "{text}"
        );
    }
}
