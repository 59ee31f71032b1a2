//! Restore tests on the twin: single actions, each fault by itself, and what is left of a run that dies.

use muster_actions::{
    DESTROY_CLONE, LOAD_DUMP, RESTORE_CLONE, SWEEP_CLONES, USED_BY_TAG, VERIFY_CLONE, destroy_clone, load_dump, restore_clone, sweep_clones, verify_clone,
};
use muster_core::ports::{CLONE_TAG, LEASE_TAG, SnapshotPlace, SnapshotSource, SourceKind};
use muster_core::{CallFault, RunId, run_action, run_alone};
use muster_plan::Plan;

use super::backups::{plan, region, violations};
use super::*;
use crate::builds::BuildFault;
use crate::clones::{CloneFault, Restored};
use crate::scenario::{Matching, Planned, When};
use crate::snapshots::Stored;
use crate::testing::on;

const HOUR: Duration = Duration::from_hours(1);

/// Kaireon, with copies of its snapshots in us-west-2.
fn kaireon() -> Arc<Plan> {
    plan("kaireon")
}

/// A run of the flow `restore-test`, called action by action.
struct Prove {
    twin: Rc<Twin>,
    run: Run,
    part: &'static str,
    calls: Cell<u64>,
}

impl Prove {
    async fn of(twin: &Rc<Twin>) -> Self {
        Prove::of_part(twin, "databases.main").await
    }

    async fn of_part(twin: &Rc<Twin>, part: &'static str) -> Self {
        let run = Run {
            id: RunId("kaireon.restore-test.1".into()),
            service: "kaireon".into(),
            lane: Lane::Prove,
            deadline: twin.now().after(HOUR.times(4)),
            ..run(twin, "restore-test", 1)
        };
        let world = twin.world(RegionRole::Standby, "test", "000001-test");
        assert!(world.open_run(0, &OpenRun { run: run.clone(), execution: "restore-test".into(), drill: false }).await.unwrap());
        let prove = Prove { twin: twin.clone(), run, part, calls: Cell::new(1) };
        for (name, age) in [("rds-of-the-night-before", HOUR.times(26)), ("rds-of-last-night", HOUR.times(2))] {
            prove.put("us-west-2", name, age, &[("muster:service", "kaireon"), ("muster:backup", "rds-daily")]);
        }
        prove
    }

    fn put(&self, at: &str, name: &str, age: Duration, tags: &[(&str, &str)]) {
        let taken_at = self.twin.now().before(age);
        let source = SnapshotSource { kind: SourceKind::Instance, name: "kaireon-prod".into() };
        let tags = tags.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect();
        let stored = Stored { source, taken_at, ready_at: taken_at, fails: false, kms_key: None, tags };
        self.twin.look(|estate| estate.snapshots.there.insert((place(at), name.into()), stored));
    }

    async fn call(&self, action: &str, last: Option<&Progress>) -> Result<Progress, Failure> {
        self.calls.set(self.calls.get() + 1);
        let id = format!("{:06}-{action}", self.calls.get());
        let world = self.twin.world(RegionRole::Standby, action, &*id);
        let event = json!({"run": self.run, "phase": action, "last": last, "request": {"parts": [self.part]}});
        let result = match action {
            "restore-clone" => run_action(RESTORE_CLONE, &*id, event, &world, restore_clone).await,
            "load-dump" => run_action(LOAD_DUMP, &*id, event, &world, load_dump).await,
            "verify-clone" => run_action(VERIFY_CLONE, &*id, event, &world, verify_clone).await,
            "destroy-clone" => run_action(DESTROY_CLONE, &*id, event, &world, destroy_clone).await,
            other => panic!("{other}"),
        };
        world.settle().await;
        self.twin.look(crate::estate::Estate::check_leases);
        result
    }

    async fn until_done(&self, action: &str) -> Result<Progress, Failure> {
        let began = self.twin.now();
        let mut progress = self.call(action, None).await?;
        while !progress.is_done() {
            assert!(self.twin.now().since(began) < HOUR.times(24), "{action} never ends: {}", progress.detail);
            pass(progress.retry_after_seconds.unwrap_or(1)).await;
            progress = self.call(action, Some(&progress)).await?;
        }
        Ok(progress)
    }

    /// As the state machine drives it: what passes is retried, and a function that died is called again with what was known before.
    async fn driven(&self, action: &str, case: &str) {
        let began = self.twin.now();
        let mut last: Option<Progress> = None;
        loop {
            assert!(self.twin.now().since(began) < HOUR.times(24), "{case}: {action} never ends");
            match tokio::time::timeout(std::time::Duration::from_secs(60), self.call(action, last.as_ref())).await {
                Ok(Ok(progress)) if progress.is_done() => return,
                Ok(Ok(progress)) => {
                    pass(progress.retry_after_seconds.unwrap_or(1)).await;
                    last = Some(progress);
                }
                Ok(Err(failure)) => {
                    assert_eq!(failure.error_type, "Muster.Transient", "{case}: {failure}");
                    pass(5).await;
                }
                Err(_) => {}
            }
        }
    }

    async fn sweep(&self) -> Result<Progress, Failure> {
        self.calls.set(self.calls.get() + 1);
        let id = format!("{:06}-sweep-clones", self.calls.get());
        let world = self.twin.world(RegionRole::Standby, "sweep-clones", &*id);
        let result = run_alone(SWEEP_CLONES, &*id, json!({}), &world, sweep_clones).await;
        world.settle().await;
        self.twin.look(crate::estate::Estate::check_leases);
        result
    }

    /// The run ends without a word, as one does whose execution is stopped; the janitor closes it.
    async fn dies(&self) {
        let world = self.twin.world(RegionRole::Standby, "test", "000002-test");
        let closing = muster_core::ports::Closing { run: self.run.id.clone(), flow: self.run.flow.clone(), outcome: "abandoned".into(), at: self.twin.now() };
        assert!(world.close_run(&self.run.service, Lane::Prove, &closing).await.unwrap());
    }

    fn fault(&self, fault: CloneFault, span: Duration) {
        let now = self.twin.now();
        self.twin.look(|estate| estate.clones.faults.push((fault, now, now.after(span))));
    }

    fn clones(&self) -> Vec<String> {
        self.twin.look(|estate| estate.clones.at(estate.now()).map(|((_, name), _)| name.to_string()).collect())
    }

    fn mark(&self, snapshot: &str) -> Option<Arc<str>> {
        self.twin.look(|estate| estate.snapshots.there[&(place("us-west-2"), snapshot.into())].tags.get(USED_BY_TAG).cloned())
    }

    fn evidence(&self) -> Vec<Evidence> {
        let entries = self.twin.look(|estate| estate.memory.read_ledger(&self.run.id));
        let saw = |body| if let Body::Saw { evidence } = body { Some(evidence) } else { None };
        entries.into_iter().filter_map(|entry| saw(entry.body)).collect()
    }
}

fn place(name: &str) -> SnapshotPlace {
    SnapshotPlace { region: region(name), account: None, bucket: None }
}

#[test]
fn the_newest_copy_is_restored_asked_compared_and_nothing_is_left_of_it() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        let copies = [
            ("us-east-1", "in-the-primary-region", &[("muster:service", "kaireon"), ("muster:backup", "rds-daily")][..]),
            ("us-west-2", "somebodys", &[]),
            ("us-west-2", "anothers", &[("muster:service", "other"), ("muster:backup", "rds-daily")]),
        ];
        copies.into_iter().for_each(|(at, name, tags)| muster.put(at, name, HOUR, tags));
        muster.until_done("restore-clone").await.unwrap();
        assert_eq!(muster.mark("rds-of-last-night").as_deref(), Some("kaireon.restore-test.1"));
        let verified = muster.until_done("verify-clone").await.unwrap();
        assert_eq!(verified.verdict.as_deref(), Some("sound"), "{}", verified.detail);
        muster.until_done("destroy-clone").await.unwrap();
        assert_eq!((muster.clones(), muster.mark("rds-of-last-night")), (Vec::new(), None));
        let evidence = muster.evidence();
        let restored = evidence.iter().find_map(|seen| match seen {
            Evidence::Restored { component, snapshot, taken_at, from, until, rto, .. } => Some((component, snapshot, taken_at, until.since(*from), *rto)),
            _ => None,
        });
        let (component, snapshot, taken_at, took, rto) = restored.unwrap();
        assert_eq!((component.as_str(), snapshot.as_str(), rto), ("databases.main", "rds-of-last-night", Duration::from_mins(30)));
        assert!(Duration::from_mins(5) < took && took < HOUR.times(3) && *taken_at < twin.now().before(HOUR.times(2)), "{took} {taken_at}");
        let checked: Vec<&str> =
            evidence.iter().filter_map(|seen| if let Evidence::Checked { check, passed: true, .. } = seen { Some(&**check) } else { None }).collect();
        assert_eq!(
            checked,
            ["is-primary", "orphaned-decisions", "sequences", "compare decisions", "compare decisions-checksum"],
            "the pooler is none of the clone's"
        );
        assert_eq!(evidence.iter().filter(|seen| matches!(seen, Evidence::CloneDestroyed { component, .. } if component == "databases.main")).count(), 1);
        assert_eq!(violations(&twin), None);
    });
}

#[test]
fn a_second_delivery_of_anything_changes_nothing() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        for action in ["restore-clone", "restore-clone", "verify-clone", "verify-clone"] {
            muster.until_done(action).await.unwrap();
        }
        assert_eq!(twin.look(|estate| (estate.clones.made, estate.clones.deleted)), (1, 0));
        let first = muster.call("destroy-clone", None).await.unwrap();
        muster.call("destroy-clone", None).await.unwrap();
        assert!(!first.is_done() && twin.look(|estate| estate.clones.deleted) == 1);
        assert!(muster.mark("rds-of-last-night").is_some(), "the mark stands until the clone is gone");
        muster.until_done("destroy-clone").await.unwrap();
        muster.until_done("destroy-clone").await.unwrap();
        assert_eq!((muster.clones(), violations(&twin)), (Vec::new(), None));
    });
}

#[test]
fn data_that_is_not_the_sources_is_told_and_holds_nobody() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.fault(CloneFault::DataLost, HOUR);
        muster.until_done("restore-clone").await.unwrap();
        let verified = muster.until_done("verify-clone").await.unwrap();
        assert_eq!(verified.verdict.as_deref(), Some("unsound"));
        assert!(verified.detail.contains("databases.main/compare/decisions: saw") && verified.detail.contains("as in the source"), "{}", verified.detail);
        let failed = |seen: &Evidence| matches!(seen, Evidence::Checked { check, passed: false, .. } if check.starts_with("compare decisions"));
        assert_eq!(muster.evidence().iter().filter(|seen| failed(seen)).count(), 2);
    });
}

#[test]
fn what_stands_in_the_way_of_a_restore_is_told_apart_and_made_good_on_retry() {
    for (fault, said) in [(CloneFault::RestoresFail, "the restore came to `incompatible-restore`"), (CloneFault::QuotaReached, "InstanceQuotaExceeded")] {
        on(&kaireon(), &quiet(), |twin| async move {
            let muster = Prove::of(&twin).await;
            muster.fault(fault, HOUR);
            let failure = muster.until_done("restore-clone").await.unwrap_err();
            assert!(failure.error_type == "Muster.Permanent" && failure.error_message.contains(said), "{fault:?}: {failure}");
            pass(3_600).await;
            muster.until_done("restore-clone").await.unwrap();
            assert_eq!((muster.clones().len(), violations(&twin)), (1, None), "{fault:?}");
        });
    }
}

#[test]
fn without_a_good_copy_there_is_nothing_to_restore_and_that_is_said() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        twin.look(|estate| estate.snapshots.there.values_mut().for_each(|stored| stored.fails = true));
        let refused = muster.call("restore-clone", None).await.unwrap_err();
        assert!(refused.error_type == "Muster.Refused" && refused.error_message.contains("no good snapshot of kaireon-prod is in us-west-2"), "{refused}");
        assert_eq!(twin.look(|estate| estate.clones.made), 0);
        muster.until_done("destroy-clone").await.unwrap();
    });
}

#[test]
fn a_snapshot_that_goes_while_it_is_asked_for_is_said() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.fault(CloneFault::QuotaReached, HOUR);
        muster.call("restore-clone", None).await.unwrap_err();
        twin.look(|estate| estate.snapshots.there.remove(&(place("us-west-2"), "rds-of-last-night".into())));
        pass(3_600).await;
        muster.until_done("restore-clone").await.unwrap();
        assert_eq!(muster.mark("rds-of-the-night-before").as_deref(), Some("kaireon.restore-test.1"), "the next newest is restored");
    });
}

#[test]
fn deletions_that_are_refused_for_a_while_are_asked_for_again() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.until_done("restore-clone").await.unwrap();
        muster.fault(CloneFault::DeletionsFail, HOUR);
        muster.until_done("destroy-clone").await.unwrap();
        assert_eq!((muster.clones(), violations(&twin)), (Vec::new(), None));
    });
}

#[test]
fn a_run_that_has_died_leaves_a_clone_that_goes_when_its_lease_is_over_and_a_mark_that_goes_after_it() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.call("restore-clone", None).await.unwrap();
        muster.dies().await;
        // The lease ends an hour after the deadline; then deletions take minutes.
        for minutes in (0..330).step_by(5) {
            assert!(minutes >= 300 || muster.clones().len() == 1, "the lease stands after {minutes} minutes");
            assert!(muster.clones().is_empty() || muster.mark("rds-of-last-night").is_some(), "something is made of the snapshot");
            muster.sweep().await.unwrap();
            pass(300).await;
        }
        muster.sweep().await.unwrap();
        assert_eq!((muster.clones(), muster.mark("rds-of-last-night"), violations(&twin)), (Vec::new(), None, None));
        assert!(muster.evidence().iter().any(|seen| matches!(seen, Evidence::CloneDestroyed { .. })), "it is in the ledger of the run that made it");
    });
}

#[test]
fn without_the_sweep_a_run_that_has_died_breaks_the_invariant() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.call("restore-clone", None).await.unwrap();
        muster.dies().await;
        pass(5 * 3_600).await;
        twin.look(crate::estate::Estate::check_leases);
        assert_eq!(violations(&twin), None);
        pass(3_700).await;
        twin.look(crate::estate::Estate::check_leases);
        assert!(violations(&twin).is_some_and(|seen| seen.contains("outlives its lease")));
    });
}

#[test]
fn the_sweep_lets_be_whatever_is_no_clone_and_a_mark_that_is_anothers() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        let over = twin.now().before(HOUR).to_string();
        let tags = |names: &[&str]| {
            names.iter().map(|name| (Arc::from(*name), if *name == LEASE_TAG { over.as_str().into() } else { Arc::from("kaireon") })).collect()
        };
        let there = |tags| Restored { database: 0, taken_at: twin.now(), ready_at: twin.now(), fails: false, storage: None, lost: 0, gone_at: None, tags };
        let others =
            [("kaireon-prod-copy", &[CLONE_TAG, LEASE_TAG, "muster:service"][..]), ("muster-clone-untagged", &[LEASE_TAG]), ("muster-clone-of-others", &[])];
        for (name, names) in others {
            twin.look(|estate| estate.clones.there.insert((region("us-west-2"), name.into()), there(tags(names))));
        }
        muster.put("us-west-2", "a-persons", HOUR, &[("muster:service", "kaireon"), ("muster:backup", "rds-daily"), (USED_BY_TAG, "Ada: an audit")]);
        muster.dies().await;
        muster.sweep().await.unwrap();
        assert_eq!(muster.clones().len(), 3);
        assert_eq!(muster.mark("a-persons").as_deref(), Some("Ada: an audit"));
        assert_eq!(twin.look(|estate| estate.clones.deleted), 0);
    });
}

#[test]
fn a_restore_from_a_snapshot_that_a_person_uses_leaves_the_persons_mark() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.put("us-west-2", "a-persons", HOUR, &[("muster:service", "kaireon"), ("muster:backup", "rds-daily"), (USED_BY_TAG, "Ada: an audit")]);
        for action in ["restore-clone", "destroy-clone"] {
            muster.until_done(action).await.unwrap();
            assert_eq!(muster.mark("a-persons").as_deref(), Some("Ada: an audit"), "{action}");
        }
        assert_eq!(violations(&twin), None);
    });
}

#[test]
fn a_clone_of_another_run_is_not_this_ones_to_destroy() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.until_done("restore-clone").await.unwrap();
        let clone = twin.look(|estate| estate.clones.there.values().next().unwrap().clone());
        let tags = clone
            .tags
            .iter()
            .map(|(tag, value)| (tag.clone(), if &**tag == CLONE_TAG { Arc::from("kaireon.restore-test.2") } else { value.clone() }))
            .collect();
        twin.look(|estate| estate.clones.there.insert((region("us-west-2"), "muster-clone-main-of-another".into()), Restored { tags, ..clone }));
        muster.until_done("destroy-clone").await.unwrap();
        assert_eq!(muster.clones(), ["muster-clone-main-of-another"]);
    });
}

#[test]
fn with_the_kill_switch_set_nothing_is_made_and_nothing_removed_and_afterwards_it_is() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.until_done("restore-clone").await.unwrap();
        muster.dies().await;
        twin.change(|estate| estate.set_kill_switch());
        for _ in 0..90 {
            pass(300).await;
            twin.look(crate::estate::Estate::check_leases);
        }
        let refused = muster.sweep().await.unwrap_err();
        assert!(refused.error_message.contains("kill switch"), "{refused}");
        assert_eq!((muster.clones().len(), violations(&twin)), (1, None));
        twin.look(|estate| estate.memory.kill_switch = None);
        muster.sweep().await.unwrap();
        pass(3_000).await;
        muster.sweep().await.unwrap();
        assert_eq!((muster.clones(), violations(&twin)), (Vec::new(), None));
    });
}

const DUMP: &str = "backups.pg-dump";

#[test]
fn of_a_part_that_is_no_dump_there_is_nothing_to_load() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.until_done("restore-clone").await.unwrap();
        let loaded = muster.call("load-dump", None).await.unwrap();
        assert!(loaded.is_done() && twin.look(|estate| estate.builds.there.is_empty()), "{}", loaded.detail);
    });
}

#[test]
fn a_dump_is_loaded_once_however_often_it_is_asked_for_into_a_clone_that_has_room() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of_part(&twin, DUMP).await;
        let refused = muster.call("load-dump", None).await.unwrap_err();
        assert!(refused.error_message.contains("the clone is not there"), "{refused}");
        muster.until_done("restore-clone").await.unwrap();
        assert!(!muster.evidence().iter().any(|seen| matches!(seen, Evidence::Restored { .. })), "a server for it is no restored dump");
        assert_eq!(twin.look(|estate| estate.clones.there.values().map(|clone| clone.storage).collect::<Vec<_>>()), [Some(700)]);
        let unloaded = muster.call("verify-clone", None).await.unwrap_err();
        assert!(unloaded.error_message.contains("no dump of pg-dump was loaded into it"), "{unloaded}");
        for _ in 0..3 {
            muster.call("load-dump", None).await.unwrap();
        }
        muster.until_done("load-dump").await.unwrap();
        muster.until_done("load-dump").await.unwrap();
        assert_eq!(twin.look(|estate| estate.builds.there.len()), 1);
        assert_eq!(muster.until_done("verify-clone").await.unwrap().verdict.as_deref(), Some("sound"));
        muster.until_done("destroy-clone").await.unwrap();
        assert_eq!((muster.clones(), muster.mark("rds-of-last-night"), violations(&twin)), (Vec::new(), None, None));
    });
}

#[test]
fn two_invocations_side_by_side_start_one_build() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of_part(&twin, DUMP).await;
        muster.until_done("restore-clone").await.unwrap();
        for _ in 0..2 {
            let (one, other) = futures::join!(muster.call("load-dump", None), muster.call("load-dump", None));
            assert!(!one.unwrap().is_done() && !other.unwrap().is_done());
        }
        muster.until_done("load-dump").await.unwrap();
        assert_eq!((twin.look(|estate| estate.builds.there.len()), violations(&twin)), (1, None));
    });
}

#[test]
fn a_load_that_failed_is_made_again_by_a_persons_word_into_another_database() {
    on(&kaireon(), &quiet(), |twin| async move {
        let muster = Prove::of_part(&twin, DUMP).await;
        muster.until_done("restore-clone").await.unwrap();
        let now = twin.now();
        twin.look(|estate| estate.builds.faults.push((BuildFault::Truncated, now, now.after(HOUR))));
        let failed = muster.until_done("load-dump").await.unwrap_err();
        assert!(failed.error_type == "Muster.Permanent" && failed.error_message.contains("https://logs.example.com/"), "its log is named: {failed}");
        pass(3_600).await;
        muster.until_done("load-dump").await.unwrap();
        assert_eq!(muster.until_done("verify-clone").await.unwrap().verdict.as_deref(), Some("sound"));
        assert_eq!((twin.look(|estate| estate.builds.there.len()), violations(&twin)), (2, None));
    });
}

/// The token of an order counts for five minutes. Whoever does not know after that whether a build was started starts another one, which the first,
/// should it be there, does not get in the way of.
#[test]
fn an_order_whose_answer_was_lost_is_repeated_and_after_its_tokens_time_made_anew() {
    for (minutes, builds) in [(1, 1), (10, 2)] {
        let fault = Fault::Call { fault: CallFault::TimedOut, applied: true, times: 1 };
        let scenario = Scenario {
            faults: vec![Planned { name: "test", when: When::Call { matching: Matching::Operation("codebuild:StartBuild".into()), nth: 1 }, fault }],
            ..quiet()
        };
        on(&kaireon(), &scenario, |twin| async move {
            pass(600).await;
            let muster = Prove::of_part(&twin, DUMP).await;
            muster.until_done("restore-clone").await.unwrap();
            let asked = muster.call("load-dump", None).await.unwrap();
            assert!(!asked.is_done() && asked.detail.contains("nobody answered"), "{}", asked.detail);
            pass(minutes * 60).await;
            muster.call("load-dump", Some(&asked)).await.unwrap();
            assert_eq!(twin.look(|estate| estate.builds.there.len()), builds);
            muster.until_done("load-dump").await.unwrap();
            assert_eq!(muster.until_done("verify-clone").await.unwrap().verdict.as_deref(), Some("sound"));
            assert_eq!(violations(&twin), None);
        });
    }
}

/// A question that leaves the instant out is answered by the source as it is by now.
#[test]
fn what_goes_on_growing_differs_unless_it_is_asked_up_to_the_snapshot() {
    let mut plan = Arc::unwrap_or_clone(kaireon());
    let compare = &mut plan.databases[0].restore_test.as_mut().unwrap().compare;
    compare[0].query = "SELECT count(*) FROM decision_logs".into();
    on(&Arc::new(plan), &quiet(), |twin| async move {
        let muster = Prove::of(&twin).await;
        muster.until_done("restore-clone").await.unwrap();
        let verified = muster.until_done("verify-clone").await.unwrap();
        assert!(verified.detail.contains("compare/decisions: saw") && !verified.detail.contains("decisions-checksum"), "{}", verified.detail);
    });
}

/// Whatever a call comes to, at whichever call: nothing is restored twice, nothing but the clone is deleted, and nothing is left.
#[test]
fn whichever_call_fails_or_kills_its_function_the_next_one_goes_on() {
    let fails = |fault, applied| Fault::Call { fault, applied, times: 1 };
    let changed =
        [fails(CallFault::TimedOut, true), fails(CallFault::TimedOut, false), fails(CallFault::Unavailable, true), fails(CallFault::Throttled, false)];
    let dies = [Fault::CrashBefore, Fault::CrashAfter];
    let mut cases: Vec<(&'static str, Matching, u64, Fault)> = Vec::new();
    for (part, mutating, reading) in [("databases.main", 1..=4, 1..=25), (DUMP, 2..=5, 20..=40)] {
        for nth in mutating {
            cases.extend(changed.iter().chain(&dies).map(|fault| (part, Matching::Mutating, nth, fault.clone())));
        }
        for nth in reading {
            cases.extend(changed[3..].iter().chain(&dies).map(|fault| (part, Matching::Reading, nth, fault.clone())));
        }
    }
    let mut struck = 0;
    for (part, matching, nth, fault) in cases {
        let case = format!("{part}: {fault} at {matching} {nth}");
        let scenario = Scenario { faults: vec![Planned { name: "test", when: When::Call { matching, nth }, fault }], ..quiet() };
        on(&kaireon(), &scenario, |twin| async move {
            // Calls count from the incident on.
            pass(600).await;
            let muster = Prove::of_part(&twin, part).await;
            for action in ["restore-clone", "load-dump", "verify-clone", "destroy-clone"] {
                muster.driven(action, &case).await;
            }
            assert_eq!(twin.look(|estate| estate.builds.there.len()), usize::from(part == DUMP), "{case}");
            let made = twin.look(|estate| (estate.clones.made, estate.clones.deleted));
            assert_eq!((made, muster.clones(), muster.mark("rds-of-last-night")), ((1, 1), Vec::new(), None), "{case}");
            assert_eq!(violations(&twin), None, "{case}");
        });
        struck += 1;
    }
    assert_eq!(struck, 186);
}
