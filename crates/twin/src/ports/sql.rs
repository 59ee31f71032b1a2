//! What a function inside the VPC sees of a server. Data is not modelled: a data check of the plan is answered as it
//! wants, by any server that answers at all; what a restore test compares is counted (`clones.rs`).

use muster_core::ports::{Sql, SqlTarget, WriteAttempt};
use muster_core::{CallError, CallFault};
use muster_plan::{Scalar, SqlCheck};

use crate::databases::Instance;
use crate::durations::QUERY;
use crate::estate::Estate;
use crate::ports::data;
use crate::world::{Calling, Refusal, World};

fn calling(operation: &'static str, target: &SqlTarget) -> Calling<'static> {
    data(operation, &target.database.region, target.database.to_string(), &QUERY)
}

impl Sql for World {
    async fn query(&self, target: &SqlTarget, statement: &str) -> Result<Option<String>, CallError> {
        self.read(calling("sql:Query", target), |estate, _| {
            let dbname = target.dbname.as_deref().unwrap_or_default();
            if let Some(answer) = estate.dump_answers(&target.database.region, &target.database.name, dbname, statement) {
                return answer;
            }
            if let Some(answer) = estate.clone_answers(&target.database.region, &target.database.name, statement) {
                return Ok(answer);
            }
            let index = estate.server(target)?.database;
            Ok(estate.answer_to(index, statement))
        })
        .await
    }

    async fn attempt_write(&self, target: &SqlTarget) -> Result<WriteAttempt, CallError> {
        self.read(calling("sql:AttemptWrite", target), |estate, _| match estate.server(target) {
            Ok(instance) if instance.is_writable() => Ok(WriteAttempt::Accepted),
            Ok(_) => Ok(WriteAttempt::Refused),
            Err((CallFault::Unreachable, why)) => Ok(WriteAttempt::Unreachable { why }),
            Err(refusal) => Err(refusal),
        })
        .await
    }

    async fn client_sessions(&self, target: &SqlTarget) -> Result<u64, CallError> {
        self.read(calling("sql:ClientSessions", target), |estate, _| {
            let id = estate.server(target)?.id.clone();
            Ok(estate.sessions(&id))
        })
        .await
    }

    async fn set_read_only(&self, target: &SqlTarget, read_only: bool) -> Result<(), CallError> {
        self.mutate(calling("sql:SetReadOnly", target).changing(), |estate| {
            let id = estate.server(target)?.id.clone();
            if let Some(instance) = estate.instances.get_mut(&id) {
                instance.read_only = read_only;
                let index = instance.database;
                estate.touches(&[index]);
            }
            estate.tell(format!("{id} {}", if read_only { "takes no writes" } else { "takes writes" }));
            Ok(())
        })
        .await
    }

    async fn end_sessions(&self, target: &SqlTarget) -> Result<(), CallError> {
        self.mutate(calling("sql:EndSessions", target).changing(), |estate| {
            let id = estate.server(target)?.id.clone();
            if let Some(instance) = estate.instances.get_mut(&id) {
                instance.held_sessions = 0;
                let index = instance.database;
                estate.touches(&[index]);
            }
            Ok(())
        })
        .await
    }
}

impl Estate {
    /// The server behind a target, if it answers.
    fn server(&self, target: &SqlTarget) -> Result<&Instance, Refusal> {
        let nobody = || (CallFault::Unreachable, format!("no connection to {} within 1s", target.endpoint));
        let instance = self.instances.get(&target.database).filter(|instance| instance.endpoint == target.endpoint).ok_or_else(nobody)?;
        if instance.answers() { Ok(instance) } else { Err(nobody()) }
    }

    fn answer_to(&mut self, database: usize, statement: &str) -> Option<String> {
        if statement.contains("pg_last_xact_replay_timestamp") {
            // Seconds behind, with a fraction, as PostgreSQL prints them.
            let millis = self.pairs[database].replication.lag(self.now)?.as_millis();
            return Some(format!("{}.{:03}", millis / 1_000, millis % 1_000));
        }
        if statement.contains("wal_lsn") {
            self.integrate();
            let writes = self.clients.lineages(database).map(|lineages| self.clients.writes(&lineages.primary));
            return writes.map(|count| format!("0/{count:X}"));
        }
        if let Some(rows) = self.rows(database, statement, None) {
            return Some(rows.to_string());
        }
        self.answer_as_planned(database, statement)
    }

    /// A data check is answered as the plan wants.
    pub(crate) fn answer_as_planned(&self, database: usize, statement: &str) -> Option<String> {
        let plan = &self.plan.databases[database];
        let known = plan.checks.iter().chain(&plan.reconciliation).find(|check| check.query == statement)?;
        Some(as_wanted(known))
    }
}

fn as_wanted(check: &SqlCheck) -> String {
    match (&check.equals, check.at_least, check.at_most) {
        (Some(Scalar::Bool(value)), ..) => if *value { "t" } else { "f" }.to_owned(),
        (Some(Scalar::Integer(value)), ..) => value.to_string(),
        (Some(Scalar::Text(value)), ..) => value.clone(),
        (None, Some(least), _) => least.to_string(),
        (None, None, Some(most)) => most.min(0).to_string(),
        (None, None, None) => "0".to_owned(),
    }
}
