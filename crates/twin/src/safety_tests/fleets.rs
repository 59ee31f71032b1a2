//! A plan of many databases, some of which cannot go on.

use std::rc::Rc;

use muster_core::{Body, Duration, Progress};
use serde_json::{Value, json};

use super::{Muster, quiet};
use crate::testing::{on, pass};
use crate::world::Twin;

#[path = "../../tests/support/fleet.rs"]
pub(super) mod fleet;

const DATABASES: usize = 1_000;

#[test]
fn of_a_thousand_databases_those_that_fail_are_named_and_the_others_are_promoted() {
    let plan = fleet::fleet(DATABASES, |plan| {
        plan["service"] = "portal".into();
        plan["regions"] = json!({"primary": "us-east-1", "standby": "us-west-2", "witness": "us-east-2"});
    });
    on(&plan, &quiet(), async |twin: Rc<Twin>| {
        let muster = Muster::in_outage(&twin).await;
        muster.until_done("preflight", "Preflight").await.unwrap();
        muster.until_done("fence-database", "FenceDatabase").await.unwrap();
        let standby = |estate: &crate::estate::Estate, number: usize| estate.pairs[number].standby.clone().unwrap();
        twin.change(|estate| {
            // One hangs, one is gone, one was ten minutes behind.
            estate.pairs[7].promotion_hangs = Some(Duration::from_hours(5));
            let gone = standby(estate, 41);
            estate.instances.remove(&gone);
            estate.pairs[99].replication.base = Duration::from_mins(10);
        });
        let began = twin.now();
        let error = muster.until_done("promote-replica", "PromoteReplica").await.unwrap_err();
        assert_eq!(error.error_type, "Muster.Refused");
        assert!(error.error_message.len() <= 4_100, "{} bytes", error.error_message.len());
        for named in ["db-0041: its replica does not exist", "db-0099: its replica"] {
            assert!(error.error_message.contains(named), "{named}: {}", error.error_message);
        }
        // What cannot go on is reported at once: the others are at work.
        assert_eq!(twin.look(|estate| estate.pairs.iter().filter(|pair| pair.promotion.is_some()).count()), DATABASES - 2);
        assert_eq!(twin.look(|estate| estate.limits.throttled().clone()), Default::default());
        // Half an hour after it was asked for, the one that hangs is named too, and all others are done.
        pass(1_900).await;
        let last = Progress { phase: "PromoteReplica".into(), since: began, ..Progress::pending("", Duration::from_secs(1)) };
        let error = muster.again("promote-replica", &last, &Value::Null).await.unwrap_err();
        for named in ["db-0007: promoting for", "db-0041: its replica does not exist"] {
            assert!(error.error_message.contains(named), "{named}: {}", error.error_message);
        }
        let is_done = |pair: &&crate::databases::Pair| pair.promotion.is_some_and(|promotion| promotion.finished_at.is_some());
        assert!(twin.look(|estate| estate.pairs.iter().filter(is_done).count()) >= DATABASES - 3);
        let entries = twin.look(|estate| estate.memory.read_ledger(&muster.run.id));
        let is_complete = |body: &Body| matches!(body, Body::Ended { detail, .. } if detail.contains("db-0041") && detail.contains("db-0099"));
        assert!(entries.iter().any(|entry| is_complete(&entry.body)), "the ledger has them all");
    });
}
