//! Changes of a transaction by which it may come further, or end: what follows for everybody else.

use std::sync::atomic::Ordering;

use windlass_model::release::machine::{self, Changed};
use windlass_model::release::{Micros, TransactionId, Whole};
use windlass_model::step::Level;
use windlass_store::ChangeError;

use super::rollback::with_owed;
use super::{App, micros};

impl App {
    /// Changes a transaction. When that changed anything it is logged, whoever waits for it is woken, and a rollback that is
    /// owed by it is begun. `change` must be pure: it may be called again.
    pub(super) async fn advance<F>(
        &self,
        id: &TransactionId,
        mut change: F,
    ) -> Result<Whole, ChangeError>
    where
        F: FnMut(&mut Whole, Micros) -> Changed + Send + 'static,
    {
        let settings = self.settings();
        let within = (
            micros(settings.build_deadline),
            micros(settings.install_deadline),
        );
        let inner = self.inner.clone();
        let change = move |whole: &mut Whole, now| {
            let before = whole.transaction.end;
            let effects = change(whole, now)?;
            machine::allot(whole, now, within);
            let is_changed = !effects.is_empty();
            let count = effects.len();
            let effects = with_owed(&settings, before, whole, effects);
            if effects.len() > count {
                // Whoever asked for the change may be gone before the rollback is begun.
                inner.owes.store(true, Ordering::Relaxed);
            }
            Ok(((whole.clone(), is_changed), effects))
        };
        let changed = self.store().change(id, change).await;
        if let Err(ChangeError::Store(_)) = &changed {
            // It may have been made all the same, and nobody hears what it brought.
            self.inner.owes.store(true, Ordering::Relaxed);
        }
        let (whole, is_changed) = changed?;
        if is_changed {
            self.told(&whole);
            self.wake_agents_of(&whole);
            self.changed(id).await;
            self.roll_back_if_owed(&whole.transaction).await;
        }
        Ok(whole)
    }

    /// Logs where a transaction has come to.
    pub(super) fn told(&self, whole: &Whole) {
        let transaction = &whole.transaction;
        let why = transaction
            .why
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        let level = match transaction.phase.is_over() && !why.is_empty() {
            true => Level::Warning,
            false => Level::Info,
        };
        let status = transaction.status().as_str();
        self.log(level, &format!("{}: {status}{why}", transaction.id));
    }
}
