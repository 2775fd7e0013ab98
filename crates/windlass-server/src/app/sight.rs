//! What somebody may see: projects and environments that they may `query`.

use std::collections::BTreeMap;

use windlass_model::release::{Environment, Project, Transaction, TransactionId};

use super::{App, AppError, AppResult};
use crate::auth::{Ask, Identity};

type Place = (Option<Project>, Option<Environment>);

/// What somebody may see; the auth plugin is asked once for each project and environment.
pub(super) struct Sight<'a> {
    app: &'a App,
    who: &'a Identity,
    known: BTreeMap<Place, bool>,
}

impl Sight<'_> {
    /// Whether they may see what concerns a project and an environment.
    pub(super) async fn of(
        &mut self,
        project: Option<&Project>,
        environment: Option<&Environment>,
    ) -> AppResult<bool> {
        let place = (project.cloned(), environment.cloned());
        if let Some(known) = self.known.get(&place) {
            return Ok(*known);
        }
        let may = match self.app.may_query(self.who, project, environment).await {
            Ok(()) => true,
            Err(AppError::Forbidden(_)) => false,
            Err(error) => return Err(error),
        };
        self.known.insert(place, may);
        Ok(may)
    }

    /// Those of the rows that they may see.
    pub(super) async fn keep<T>(
        &mut self,
        rows: Vec<T>,
        place: impl Fn(&T) -> (Option<&Project>, Option<&Environment>),
    ) -> AppResult<Vec<T>> {
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            let (project, environment) = place(&row);
            if self.of(project, environment).await? {
                kept.push(row);
            }
        }
        Ok(kept)
    }
}

impl App {
    pub(super) fn sight<'a>(&'a self, who: &'a Identity) -> Sight<'a> {
        Sight {
            app: self,
            who,
            known: BTreeMap::new(),
        }
    }

    /// Whether somebody may see what concerns a project and an environment.
    pub(super) async fn may_query(
        &self,
        who: &Identity,
        project: Option<&Project>,
        environment: Option<&Environment>,
    ) -> AppResult<()> {
        let ask = Ask {
            action: "query",
            project,
            environment,
            target: None,
        };
        self.authorize(who, ask).await
    }

    /// A transaction that there is, and that they may see.
    pub(super) async fn seen_by(
        &self,
        who: &Identity,
        id: &TransactionId,
    ) -> AppResult<Transaction> {
        let transaction = self.known(id).await?;
        let (project, environment) = (&transaction.project, transaction.environment.as_ref());
        self.may_query(who, Some(project), environment).await?;
        Ok(transaction)
    }
}
