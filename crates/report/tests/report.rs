//! The sample night, whole: what the record, the Markdown and the HTML say, and what they may never say.
#![allow(clippy::unwrap_used)]

mod sample;

use muster_core::{Body, CallFault, Evidence, LagBasis, Plane, Timestamp};
use muster_report::{Bound, Closing, Report, Verdict, assemble};
use sample::{at, closing, ledger, measured, plan, rehearsed, run, samples, span};

/// The sample's report with another ledger.
fn with_ledger(change: impl FnOnce(&mut Vec<muster_core::Entry>)) -> Report {
    let (run, samples) = (run(), samples());
    let mut entries = ledger();
    change(&mut entries);
    assemble(&plan(), &closing(&run, &entries, &samples))
}

fn evidence(entry: &mut muster_core::Entry) -> Option<&mut Evidence> {
    match &mut entry.body {
        Body::Saw { evidence } => Some(evidence),
        _ => None,
    }
}

fn objective<'a>(report: &'a Report, subject: &str) -> &'a muster_report::Objective {
    report.objectives.iter().find(|objective| objective.subject == subject).unwrap()
}

#[test]
fn the_sample_reads_as_a_drill_record_in_markdown() {
    insta::assert_snapshot!("rehearsed.md", rehearsed().to_markdown());
}

#[test]
fn the_sample_is_kept_as_a_record_in_json() {
    let record: serde_json::Value = serde_json::from_str(&measured().to_json()).unwrap();
    insta::assert_json_snapshot!("measured.json", record);
}

#[test]
fn a_backups_report_has_what_was_found_and_what_would_be_lost_and_neither_rto_nor_rpo() {
    let report = sample::backed_up();
    insta::assert_snapshot!("backed-up.md", report.to_markdown());
    assert_eq!(report.objectives, []);
    assert_eq!((report.summary.incident_at, report.summary.restored_at), (None, None), "though the probes see an outage at the same time");
    assert!(!report.met_targets(), "something is wrong with the backups");
    let html = report.to_html();
    for absent in ["RTO", "Recovery time", "incident", "restor", "Data integrity", "Fencing", "promot"] {
        let text = html.split("</style>").nth(1).unwrap();
        let text = text.replace("Restored from", "").replace(": restore it, or take another", "");
        assert!(!text.contains(absent), "{absent}");
    }
    for present in ["Backup Report", "1 GiB were usual", "91 manual snapshots", "everything", "databases.audit"] {
        assert!(html.contains(present), "{present}");
    }
}

#[test]
fn backups_that_were_not_verified_are_not_known_to_be_well() {
    let (run, samples) = (sample::backup_run(), samples());
    let mut entries = sample::backup_ledger();
    entries.retain(|entry| &*entry.action != "verify-backups");
    let report = assemble(&plan(), &muster_report::Closing { outcome: "failed", closed_at: at("03:01:12"), ..closing(&run, &entries, &samples) });
    assert!(report.backups.is_none() && !report.met_targets());
    assert!(report.to_markdown().contains("**The backups were not verified: nothing is known of them.** The backup of basecoat-portal failed.\n"));
}

#[test]
fn a_night_without_a_problem_is_a_pass_whatever_waits_for_the_day() {
    let well = |alarms: bool| {
        let (run, samples) = (sample::backup_run(), samples());
        let mut entries = sample::backup_ledger();
        for entry in &mut entries {
            if let Some(Evidence::BackupsVerified { problems, .. }) = evidence(entry) {
                problems.retain(|problem| alarms || !problem.alarms);
            }
        }
        assemble(&plan(), &closing(&run, &entries, &samples))
    };
    assert!(well(false).met_targets() && !well(true).met_targets());
    assert!(well(false).to_markdown().contains("Nothing is wrong with the backups that cannot wait; to be looked at by day: 1"));
}

#[test]
fn the_record_reads_back_and_holds_to_its_schema() {
    let schema: serde_json::Value = serde_json::from_str(include_str!("../../../schema/report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for report in [measured(), rehearsed(), sample::backed_up()] {
        let json = report.to_json();
        // What is told nowhere does not come back.
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), Report { in_flight: Vec::new(), ..report });
        let errors: Vec<String> = validator.iter_errors(&serde_json::from_str(&json).unwrap()).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
    }
}

#[test]
fn the_schema_in_the_repository_is_the_one_of_the_code() {
    let kept: serde_json::Value = serde_json::from_str(include_str!("../../../schema/report.schema.json")).unwrap();
    let made = serde_json::to_value(schemars::schema_for!(Report)).unwrap();
    assert_eq!(made, kept, "run: make schema");
}

#[test]
fn canonical_json_has_sorted_keys_no_white_space_and_no_fractions() {
    let json = rehearsed().to_json();
    assert!(json.starts_with(r#"{"acceptedRisks":["#) && json.contains(r#""calls":{"dependences""#));
    fn walk(value: &serde_json::Value) {
        match value {
            serde_json::Value::Number(number) => assert!(!number.is_f64(), "{number}"),
            serde_json::Value::Array(items) => items.iter().for_each(walk),
            serde_json::Value::Object(fields) => fields.values().for_each(walk),
            _ => {}
        }
    }
    walk(&serde_json::from_str(&json).unwrap());
}

#[test]
fn the_order_in_which_the_ledger_is_read_changes_nothing() {
    let (run, mut samples) = (run(), samples());
    let mut entries = ledger();
    entries.reverse();
    samples.reverse();
    assert_eq!(assemble(&plan(), &closing(&run, &entries, &samples)), measured());
}

#[test]
fn an_entry_that_was_changed_breaks_the_seal() {
    let report = measured();
    assert!(report.seals(&ledger()));
    for index in 0..ledger().len() {
        let mut entries = ledger();
        entries[index].at = entries[index].at.after(span("1ms"));
        assert!(!report.seals(&entries), "entry {index}");
    }
}

#[test]
fn an_entry_that_was_changed_before_the_close_no_longer_leads_to_its_chains_head() {
    let ledger = ledger();
    let ends = |entry: &muster_core::Entry| matches!(entry.body, muster_core::Body::Ended { .. });
    for index in (0..ledger.len()).step_by(7) {
        let has_end = ledger.iter().any(|entry| entry.invocation == ledger[index].invocation && ends(entry));
        let changed = with_ledger(|entries| entries[index].at = entries[index].at.after(span("1ms")));
        // The last entry holds the head of those before it; what seals that one is the root.
        assert_eq!(changed.ledger().intact, ends(&ledger[index]) || !has_end, "entry {index}");
    }
}

#[test]
fn an_entry_that_was_taken_out_or_put_in_twice_breaks_its_chain() {
    let missing = with_ledger(|entries| {
        entries.remove(1);
    });
    assert!(!missing.ledger().intact && missing.ledger().faults[0].contains("entry 2 stands where 1 belongs"), "{:?}", missing.ledger());
    assert!(missing.issues.iter().any(|issue| issue.about == "ledger"));
    let twice = with_ledger(|entries| entries.push(entries[3].clone()));
    assert!(!twice.ledger().intact);
    let foreign = with_ledger(|entries| entries[0].run = muster_core::RunId("another".into()));
    assert!(!foreign.ledger().intact);
}

#[test]
fn an_invocation_without_an_end_is_named() {
    let report = with_ledger(|entries| {
        entries.pop();
    });
    assert!(report.ledger().intact);
    assert_eq!(report.ledger().cut_short.len(), 1);
    assert!(report.ledger().cut_short[0].contains("announce"));
}

#[test]
fn an_unknown_lag_is_an_unknown_loss_and_never_zero() {
    for known in [None, Some(span("0s"))] {
        let report = with_ledger(|entries| {
            for entry in entries.iter_mut() {
                if let Some(Evidence::Lag { lag, basis, .. }) = evidence(entry) {
                    (*lag, *basis) = (known, LagBasis::Unknown);
                }
            }
        });
        let figure = &objective(&report, "portal-db").rpo.measured;
        assert_eq!((figure.actual, figure.verdict), (None, Verdict::Unknown));
        assert_eq!(report.objectives[0].rpo.measured.verdict, Verdict::Unknown);
        assert!(!report.met_targets());
    }
    let silent = with_ledger(|entries| {
        for entry in entries.iter_mut() {
            if let Some(Evidence::Lag { database, .. }) = evidence(entry) {
                "another".clone_into(database);
            }
        }
    });
    assert_eq!(objective(&silent, "portal-db").rpo.measured.verdict, Verdict::Unknown);
}

#[test]
fn a_lag_that_was_known_before_the_outage_only_bounds_the_loss() {
    let figure_if = |fenced: bool, sampled: Option<Timestamp>| {
        let report = with_ledger(|entries| {
            for entry in entries.iter_mut() {
                match evidence(entry) {
                    Some(Evidence::Lag { sampled_at, .. }) => *sampled_at = sampled,
                    Some(seen @ Evidence::Unfenced { .. }) if fenced => *seen = Evidence::Fenced { database: "portal-db".into(), proof: "refused".into() },
                    _ => {}
                }
            }
        });
        objective(&report, "portal-db").rpo.measured.clone()
    };
    let figure = |sampled| figure_if(true, sampled);
    let near = figure(Some(at("02:03:00")));
    assert_eq!((near.actual, near.bound, near.verdict), (Some(span("1m2s")), Bound::AtMost, Verdict::Pass));
    // A primary that nobody saw may have gone on taking writes.
    let unseen = figure_if(false, Some(at("02:03:00")));
    assert_eq!((unseen.actual, unseen.verdict), (None, Verdict::Unknown));
    assert!(unseen.note.starts_with("at most 1m 2s only if the old primary"), "{}", unseen.note);
    // What cannot be shown to be within the target is unknown, not missed.
    let far = figure(Some(at("01:50:00")));
    assert_eq!((far.actual, far.verdict), (Some(span("14m2s")), Verdict::Unknown));
    let never = figure(None);
    assert_eq!((never.actual, never.verdict), (None, Verdict::Unknown));
}

#[test]
fn a_lag_that_was_measured_is_the_loss_to_the_precision_of_its_source() {
    let report = with_ledger(|entries| {
        for entry in entries.iter_mut() {
            if let Some(Evidence::Lag { lag, basis, .. }) = evidence(entry) {
                (*lag, *basis) = (Some(span("6m")), LagBasis::Measured);
            }
        }
    });
    let figure = &objective(&report, "portal-db").rpo.measured;
    assert_eq!((figure.actual, figure.precision, figure.verdict), (Some(span("6m")), Some(span("1m")), Verdict::Fail));
}

#[test]
fn rto_is_measured_from_the_first_failed_sample_to_the_first_lasting_answer() {
    let figure = &measured().objectives[0].rto.measured;
    assert_eq!((figure.actual, figure.precision), (Some(span("28m45s300ms")), Some(span("1m"))));
    assert_eq!((figure.bound, figure.verdict), (Bound::About, Verdict::Pass));
}

#[test]
fn a_service_that_never_came_back_has_no_rto() {
    let report = with_ledger(|entries| {
        for entry in entries.iter_mut() {
            if let Some(Evidence::Checked { check, passed, .. }) = evidence(entry)
                && check.as_str() == "users-public"
            {
                *passed = false;
            }
        }
    });
    let figure = &report.objectives[0].rto.measured;
    assert_eq!((figure.actual, figure.verdict), (None, Verdict::Fail));
    assert!(figure.note.contains("not restored within the run: users-public"), "{}", figure.note);
    assert_eq!((report.summary.restored_at, report.breakdown.until, report.breakdown.restored), (None, report.summary.closed_at, false));
    assert!(report.to_markdown().contains("| RTO | 4h | not restored | FAIL |"));
    assert!(report.to_html().contains("not restored"));
}

#[test]
fn traffic_that_was_moved_and_never_checked_is_not_a_restoration() {
    let report = with_ledger(|entries| entries.retain(|entry| &*entry.phase != "VerifyPublic"));
    assert_eq!((report.objectives[0].rto.measured.actual, report.objectives[0].rto.measured.verdict), (None, Verdict::Fail));
}

#[test]
fn clients_that_were_never_served_again_have_no_rto_whatever_was_measured() {
    let mut clients = sample::clients();
    clients.curve.truncate(2);
    clients.components[0].available_at = None;
    let report = measured().with_clients(clients);
    assert_eq!(report.objectives[0].rto.measured.verdict, Verdict::Pass);
    assert_eq!(report.objectives[0].rto.deciding().verdict, Verdict::Fail);
    assert_eq!(objective(&report, "portal-db").rto.deciding().actual, None);
    assert_eq!(objective(&report, "portal").rto.deciding().actual, None);
    assert!(!report.breakdown.restored && !report.met_targets());
}

#[test]
fn clients_that_noticed_nothing_leave_nothing_to_measure() {
    let mut clients = sample::clients();
    clients.curve.truncate(1);
    clients.curve[0].until = at("02:32:47");
    clients.components.iter_mut().for_each(|truth| truth.unavailable_from = None);
    let report = measured().with_clients(clients);
    assert_eq!(report.objectives[0].rto.deciding().verdict, Verdict::NotApplicable);
    assert!(report.breakdown.total().is_zero() && report.to_markdown().contains("clients noticed no outage"));
}

#[test]
fn what_clients_saw_decides() {
    let report = rehearsed();
    assert_eq!(report.objectives[0].rto.deciding().actual, Some(span("29m22s940ms")));
    assert_eq!(report.objectives[0].rpo.deciding().actual, Some(span("1s850ms")));
    assert_eq!(objective(&report, "portal-cache").rto.deciding().verdict, Verdict::Fail);
    assert!(!report.met_targets());
    let mut clients = sample::clients();
    clients.components[1].available_at = Some(at("02:10:00"));
    let report = measured().with_clients(clients);
    assert!(report.met_targets(), "{:?}", report.issues);
    assert!(!report.issues.iter().any(|issue| issue.about == "target"));
}

#[test]
fn a_run_that_stood_down_without_an_outage_misses_nothing() {
    let (run, mut samples, mut entries) = (run(), samples(), ledger());
    samples.retain(|sample| sample.at < at("02:04:00"));
    entries.retain(|entry| &*entry.phase == "OpenRun");
    let closing = muster_report::Closing { outcome: "stoodDown", closed_at: at("02:08:00"), ..closing(&run, &entries, &samples) };
    let report = assemble(&plan(), &closing);
    assert_eq!(report.objectives[0].rto.measured.verdict, Verdict::NotApplicable);
    assert!(report.met_targets(), "{:?}", report.objectives);
    assert_eq!(report.unprotected, Vec::<String>::new());
    assert!(report.to_markdown().contains("There was nothing to hold against a target"));
}

#[test]
fn the_five_parts_are_the_whole_time() {
    let rehearsed = rehearsed();
    let parts = |report: &Report| report.breakdown.parts().iter().map(|(_, part)| part.as_millis()).sum::<u64>();
    assert_eq!(parts(&rehearsed), span("29m22s940ms").as_millis());
    assert_eq!(parts(&measured()), span("28m45s300ms").as_millis());
    let breakdown = &rehearsed.breakdown;
    assert_eq!(breakdown.detection, span("3m46s200ms"));
    // The veto window, and the hold of the phase that the restoration hung on.
    assert_eq!(breakdown.decision, span("15m700ms").saturating_add(span("4m24s700ms")));
    // Its work, and its calls of other phases while they were on their way.
    assert_eq!(breakdown.aws, span("3m54s700ms").saturating_add(span("1s805ms")));
    assert_eq!(breakdown.dns, span("1m55s540ms"));
    assert!(breakdown.exact && !breakdown.critical_path.contains(&"PromoteReplicas".to_owned()));
}

#[test]
fn a_phase_that_asked_aws_and_was_never_done_waited_for_aws() {
    let (run, samples, mut entries) = (run(), samples(), ledger());
    entries.retain(|entry| entry.at < at("02:29:00") && !matches!(&*entry.phase, "ScaleOut" | "HoldScaleOut" | "FailOverCaches"));
    let closing = muster_report::Closing { outcome: "abandoned", closed_at: at("02:26:51"), ..closing(&run, &entries, &samples) };
    let report = assemble(&plan(), &closing);
    assert!(report.breakdown.aws > span("4m"), "{:?}", report.breakdown);
    assert!(report.awaited.iter().any(|wait| wait.phase == "PromoteReplicas" && !wait.finished));
}

#[test]
fn an_intent_without_an_outcome_is_not_taken_for_a_success() {
    let report = with_ledger(|entries| {
        let intent = entries.iter().position(|entry| matches!(&entry.body, Body::Intent { call } if &*call.operation == "rds:PromoteReadReplica")).unwrap();
        entries.truncate(intent + 1);
    });
    let call = report.calls.mutating.iter().find(|call| call.operation == "rds:PromoteReadReplica").unwrap();
    assert!(!call.succeeded && call.latency.is_none() && call.outcome.starts_with("not known"));
}

#[test]
fn a_global_control_plane_on_the_critical_path_is_an_issue_and_one_tried_in_vain_is_not() {
    let moved = |fault: Option<CallFault>| {
        with_ledger(|entries| {
            let mut book = sample::Book::new();
            book.begin("02:30:44", "MoveTraffic", "move-traffic").call(
                "02:30:44.200",
                "route53:ChangeResourceRecordSets",
                ("us-east-1", Plane::Control),
                "basecoat-portal",
                200,
                fault,
            );
            book.end("02:30:44.210", "pending", "moving");
            entries.extend(book.entries.into_iter().map(|mut entry| {
                entry.invocation = "9000".into();
                entry
            }));
        })
    };
    let needed = moved(None);
    assert!(needed.issues.iter().any(|issue| issue.what.starts_with("MoveTraffic hung on")), "{:?}", needed.issues);
    assert!(needed.runbook_updates.iter().any(|update| update.contains("off the critical path")));
    let tried = moved(Some(CallFault::Unreachable));
    assert!(!tried.issues.iter().any(|issue| issue.what.contains("hung on")));
    assert!(tried.to_markdown().contains("Tried in vain"));
}

#[test]
fn what_is_unprotected_and_what_was_accepted_is_said() {
    let report = measured();
    assert!(report.unprotected.iter().any(|gap| gap.contains("no replica stands behind the new primary basecoat-portal-db-read-replica in us-west-2")));
    assert!(report.unprotected.iter().any(|gap| gap.contains("not proven to refuse writes")));
    assert!(report.accepted_risks.iter().all(|risk| risk.standing && risk.by == "VP Engineering"));
    assert!(!report.fencing[0].fenced);
    assert_eq!(report.decisions.iter().map(|decision| decision.by.as_str()).collect::<Vec<_>>(), ["silence", "DBA on call"]);
}

const HOSTILE: &str = "<script>alert(1)</script> | \"'`</title></svg>\n# not a heading";

#[test]
fn a_value_that_looks_like_markup_stays_text() {
    let (mut run, samples) = (run(), samples());
    run.service = HOSTILE.into();
    run.plan.key = HOSTILE.into();
    let mut entries = ledger();
    for entry in &mut entries {
        entry.phase = format!("{}{HOSTILE}", entry.phase).as_str().into();
        match &mut entry.body {
            Body::Ended { detail, .. } => HOSTILE.clone_into(detail),
            Body::Intent { call } | Body::Called { call, .. } => call.resource = HOSTILE.into(),
            Body::Saw { evidence: Evidence::Decided { question, choice, by, reason, .. } } => {
                for text in [question, choice, by, reason] {
                    HOSTILE.clone_into(text);
                }
            }
            Body::Saw { evidence: Evidence::Checked { check, seen, wanted, .. } } => {
                for text in [check, seen, wanted] {
                    HOSTILE.clone_into(text);
                }
            }
            Body::Saw { evidence: Evidence::Unprotected { what } | Evidence::Unfenced { seen: what, .. } } => HOSTILE.clone_into(what),
            _ => {}
        }
    }
    let mut clients = sample::clients();
    clients.faults.push(HOSTILE.to_owned());
    let report = assemble(&plan(), &closing(&run, &entries, &samples)).with_clients(clients);

    let html = report.to_html();
    assert!(html.contains("&lt;script&gt;") && !html.contains("<script") && !html.contains("onerror"));
    assert_eq!(html.matches("</title>").count(), 1 + html.matches("<title ").count() + html.matches("<g><title>").count());
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());

    let markdown = report.to_markdown();
    assert!(!markdown.contains("<script") && !markdown.contains("\n# not"));
    let mut columns = None;
    for line in markdown.lines() {
        if !line.starts_with('|') {
            columns = None;
            continue;
        }
        let bars = line.replace("\\|", "").matches('|').count();
        assert_eq!(*columns.get_or_insert(bars), bars, "{line}");
    }
}

#[test]
fn a_backup_that_is_called_like_markup_stays_text() {
    let (run, samples) = (sample::backup_run(), samples());
    let mut entries = sample::backup_ledger();
    for entry in &mut entries {
        if let Some(Evidence::BackupsVerified { problems, exposures, .. }) = evidence(entry) {
            problems.iter_mut().for_each(|problem| (problem.backup, problem.words) = (Some(HOSTILE.to_owned()), HOSTILE.to_owned()));
            exposures.iter_mut().for_each(|exposure| exposure.from = Some(HOSTILE.to_owned()));
        }
    }
    let report = assemble(&plan(), &closing(&run, &entries, &samples));
    assert!(!report.to_html().contains("<script") && !report.to_markdown().contains("<script") && !report.to_markdown().contains("\n# not"));
}

#[test]
fn a_restore_test_says_how_long_the_restore_took_what_was_asked_and_that_the_clone_is_gone() {
    let report = sample::restore_tested("41230", "succeeded");
    let [restore] = report.restores.as_slice() else { panic!("{:?}", report.restores) };
    assert_eq!((restore.component.as_str(), restore.took, restore.verdict()), ("databases.portal-db", span("28m"), Verdict::Pass));
    assert_eq!(restore.destroyed_at.unwrap().clock_time().to_string(), "03:44:01");
    assert!(report.met_targets() && !report.recovers() && report.objectives.is_empty());
    for text in [report.to_markdown(), report.to_html()] {
        for wanted in [
            "Restore Test Report",
            "Restored and sound: 1 of 1 backups, 1 of 1 questions",
            "compare orders",
            "41230, as in the source",
            "muster-clone-portal-db-1c9d8e7f",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(!text.contains("The backups were not verified"), "{text}");
    }
    let back: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(back.restores, report.restores);
    assert!(!serde_json::to_string(&measured()).unwrap().contains("restores"), "absent where the run was none");
}

#[test]
fn a_dump_says_how_much_of_its_restore_was_the_load_and_both_count_against_the_rto() {
    let report = sample::dump_tested();
    let [restore] = report.restores.as_slice() else { panic!("{:?}", report.restores) };
    assert_eq!((restore.took, restore.load, restore.verdict()), (span("1h30m"), Some(span("1h")), Verdict::Fail));
    for text in [report.to_markdown(), report.to_html()] {
        for wanted in ["1h 30m, 1h of it the load", "daily/dump-20261120", "Restored and sound: 1 of 1 backups, 1 of 1 questions"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }
    let back: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(back.restores, report.restores);
}

#[test]
fn a_restore_whose_data_differs_or_that_was_never_made_has_not_passed() {
    let differs = sample::restore_tested("41231", "failed");
    assert!(!differs.met_targets() && differs.to_markdown().contains("the data is not as wanted: 1 of 1 questions failed"));
    let (run, samples) = (sample::restore_run(), samples());
    let never = assemble(&plan(), &Closing { outcome: "failed", ..closing(&run, &[], &samples) });
    assert!(!never.met_targets() && never.to_markdown().contains("it is not known whether the backups restore"));
}

#[test]
fn the_page_needs_nothing_but_itself() {
    for report in [measured(), rehearsed(), sample::backed_up(), sample::restore_tested("41230", "succeeded")] {
        let html = report.to_html();
        for fetched in ["src=", "href=", "url(", "@import", "<script", "<link"] {
            assert!(!html.contains(fetched), "{fetched}");
        }
        for wanted in ["name=\"viewport\"", "prefers-color-scheme: dark", "@media print", "<desc", "<caption>", "lang=\"en\""] {
            // A run that recovers nothing has no picture to describe.
            assert!(html.contains(wanted) || wanted == "<desc" && !report.recovers(), "{wanted}");
        }
        assert_eq!(html.matches("<div").count(), html.matches("</div>").count());
        assert_eq!(html.matches("<section").count(), html.matches("</section>").count());
    }
}
