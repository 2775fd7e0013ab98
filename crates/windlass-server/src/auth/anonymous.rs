//! Everybody may do everything: the default, as in the seed.

use async_trait::async_trait;
use serde_json::Value;

use super::{Ask, Auth, Credentials, Decision, Identity};

/// Lets everybody in. A `username` that they give is what histories call them, unproved as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl Auth for Anonymous {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<Identity>, String> {
        let claimed = match credentials.get("username") {
            Some(Value::String(name)) if !name.is_empty() => {
                let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                format!("anonymous ({name})")
            }
            _ => "anonymous".to_owned(),
        };
        Ok(Some(Identity {
            name: claimed,
            about: Credentials::new(),
        }))
    }

    async fn authorize(&self, _: &Identity, _: Ask<'_>) -> Result<Decision, String> {
        Ok(Decision::Yes)
    }

    fn is_open(&self) -> bool {
        true
    }
}
