//! Every name is given once, and every name that is used is given.

use std::collections::BTreeMap;

use super::{Findings, each};
use crate::authoring::structure::nearest;
use crate::caches::WarmUp;
use crate::checks::SqlCheck;
use crate::databases::{DatabaseStandby, Fence, WhenLagUnknown, WhenUnreachable};
use crate::drills::PreCheck;
use crate::objectives::PartReference;
use crate::people::Delivery;
use crate::plan::Plan;
use crate::triggers::Decision;

pub(super) fn check(plan: &Plan, findings: &mut Findings<'_>) {
    duplicates(plan, findings);
    told_apart(plan, findings);
    parts(plan, findings);
    steps(plan, findings);
    checks(plan, findings);
    channels(plan, findings);
    roles(plan, findings);
    others(plan, findings);
}

fn duplicates(plan: &Plan, findings: &mut Findings<'_>) {
    once(findings, "/databases", plan.databases.iter().map(|part| part.name.as_str()), "name");
    once(findings, "/caches", plan.caches.iter().map(|part| part.name.as_str()), "name");
    once(findings, "/compute", plan.compute.iter().map(|part| part.name().as_str()), "name");
    once(findings, "/queues", plan.queues.iter().map(|part| part.name.as_str()), "name");
    once(findings, "/configuration", plan.configuration.iter().map(|part| part.name().as_str()), "name");
    once(findings, "/custom", plan.custom.iter().map(|part| part.name.as_str()), "name");
    once(findings, "/checks", plan.checks.iter().map(|part| part.name().as_str()), "name");
    once(findings, "/components", plan.components.iter().map(|part| part.name.as_str()), "name");
    once(findings, "/scenarios", plan.scenarios.iter().map(|part| part.name.as_str()), "name");
    once(findings, "/backups", plan.backups.iter().map(|part| part.name.as_str()), "name");
    once(findings, "/drills", plan.drills.iter().map(|part| part.name.as_str()), "name");
    once(findings, "/traffic", plan.traffic.iter().map(|part| part.record.as_str()), "record");
    once(findings, "/triggers/confirm/of", plan.triggers.confirm.of.iter().map(|part| part.name().as_str()), "name");
    once(findings, "/people/channels", plan.people.channels.iter().map(|part| part.name.as_str()), "name");
    once(findings, "/people/roles", plan.people.roles.iter().map(|part| part.role.as_str()), "role");
    for (at, database) in each("/databases", &plan.databases) {
        let named = |checks: &[SqlCheck]| checks.iter().map(|check| check.name.as_ref().map_or("", |name| name.as_str()).to_owned()).collect::<Vec<_>>();
        once(findings, &format!("{at}/checks"), named(&database.checks).iter().map(String::as_str), "name");
        once(findings, &format!("{at}/reconciliation"), named(&database.reconciliation).iter().map(String::as_str), "name");
        let compared = database.restore_test.iter().flat_map(|test| &test.compare);
        once(findings, &format!("{at}/restoreTest/compare"), compared.map(|comparison| comparison.name.as_str()), "name");
    }
}

/// The report calls a part and a component by their names alone.
fn told_apart(plan: &Plan, findings: &mut Findings<'_>) {
    let sections = ["databases", "caches", "compute", "queues", "components"];
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for section in sections {
        for (index, name) in plan.names_in(section).unwrap_or_default().into_iter().enumerate() {
            let at = format!("/{section}/{index}/name");
            match seen.get(name) {
                Some(first) if !first.starts_with(&format!("/{section}/")) => {
                    findings.error(
                        "duplicate-name",
                        &at,
                        format!("`{name}` is the name of a part in another section too"),
                        "give one of them another name: the report could mean either",
                    );
                    findings.label("the second one");
                    findings.also(first, "the first one");
                }
                Some(_) => {}
                None => {
                    seen.insert(name.to_owned(), at);
                }
            }
        }
    }
}

fn once<'a>(findings: &mut Findings<'_>, section: &str, names: impl Iterator<Item = &'a str>, key: &str) {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (index, name) in names.enumerate().filter(|(_, name)| !name.is_empty()) {
        let at = format!("{section}/{index}/{key}");
        if let Some(first) = seen.get(name) {
            findings.error(
                "duplicate-name",
                &at,
                format!("two of {} are called `{name}`", spoken(section)),
                "give one of them another name: references to it could mean either",
            );
            findings.label("the second one");
            findings.also(first, "the first one");
        } else {
            seen.insert(name, at);
        }
    }
}

fn spoken(section: &str) -> String {
    format!("`{}`", crate::authoring::diagnostic::dotted(section))
}

/// Refuses a name that is not among those given, and suggests the one that was probably meant.
fn known(findings: &mut Findings<'_>, at: &str, wanted: &str, section: &str, names: &[&str]) {
    if names.contains(&wanted) {
        return;
    }
    let help = match names {
        [] => format!("`{section}` is empty: add it there"),
        names => format!("`{section}` has {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    findings.error("dangling-reference", at, format!("`{section}` has no `{wanted}`"), help);
    match nearest(wanted, names.iter().copied()) {
        Some(name) => findings.label(format!("did you mean `{name}`?")),
        None => findings.label("nothing is called so"),
    }
}

fn part(plan: &Plan, findings: &mut Findings<'_>, at: &str, reference: &PartReference) {
    const SECTIONS: [&str; 8] = ["databases", "caches", "compute", "queues", "configuration", "custom", "backups", "components"];
    let Some((section, name)) = reference.parts() else { return };
    match plan.names_in(section) {
        Some(names) => known(findings, at, name, section, &names),
        None => {
            let help = format!("write section.name, with one of the sections {}", SECTIONS.map(|section| format!("`{section}`")).join(", "));
            findings.error("dangling-reference", at, format!("a plan has no section `{section}` that could be referred to"), help);
            if let Some(section) = nearest(section, SECTIONS) {
                findings.label(format!("did you mean `{section}.{name}`?"));
            }
        }
    }
}

fn parts(plan: &Plan, findings: &mut Findings<'_>) {
    for (at, component) in each("/components", &plan.components) {
        for (at, reference) in each(&format!("{at}/recoveredBy"), &component.recovered_by) {
            part(plan, findings, &at, reference);
        }
    }
    for (at, scenario) in each("/scenarios", &plan.scenarios) {
        for (at, reference) in each(&format!("{at}/parts"), &scenario.parts) {
            part(plan, findings, &at, reference);
        }
    }
    for (at, drill) in each("/drills", &plan.drills) {
        for (at, reference) in each(&format!("{at}/parts"), &drill.parts) {
            part(plan, findings, &at, reference);
        }
    }
    for (at, backup) in each("/backups", &plan.backups) {
        if let Some(reference) = &backup.of {
            part(plan, findings, &format!("{at}/of"), reference);
        }
    }
}

fn steps(plan: &Plan, findings: &mut Findings<'_>) {
    let steps: Vec<&str> = plan.custom.iter().map(|step| step.name.as_str()).collect();
    for (at, database) in each("/databases", &plan.databases) {
        let fallbacks = each("", &database.fallback).map(|(index, fallback)| (format!("{at}/fallback{index}"), fallback)).collect::<Vec<_>>();
        for (at, standby) in std::iter::once((format!("{at}/standby"), &database.standby)).chain(fallbacks) {
            if let DatabaseStandby::External { step: Some(step), .. } = standby {
                known(findings, &format!("{at}/step"), step.as_str(), "custom", &steps);
            }
        }
    }
    for (at, cache) in each("/caches", &plan.caches) {
        if let Some(WarmUp::Step { step }) = &cache.warm_up {
            known(findings, &format!("{at}/warmUp/step"), step.as_str(), "custom", &steps);
        }
    }
}

fn checks(plan: &Plan, findings: &mut Findings<'_>) {
    let checks: Vec<&str> = plan.checks.iter().map(|check| check.name().as_str()).collect();
    for (at, scenario) in each("/scenarios", &plan.scenarios) {
        for (at, name) in each(&format!("{at}/verify"), &scenario.verify) {
            known(findings, &at, name.as_str(), "checks", &checks);
        }
    }
    for (at, drill) in each("/drills", &plan.drills) {
        for (at, name) in each(&format!("{at}/pass/checks"), &drill.pass.checks) {
            known(findings, &at, name.as_str(), "checks", &checks);
        }
    }
    for (at, item) in each("/followUp", &plan.follow_up) {
        if let Some(name) = &item.check {
            known(findings, &format!("{at}/check"), name.as_str(), "checks", &checks);
        }
    }
}

fn channels(plan: &Plan, findings: &mut Findings<'_>) {
    let channels: Vec<&str> = plan.people.channels.iter().map(|channel| channel.name.as_str()).collect();
    let roles = each("/people/roles", &plan.people.roles).map(|(at, role)| (at, &role.channels));
    let told = each("/people/told", &plan.people.told).map(|(at, audience)| (at, &audience.channels));
    let milestones = each("/people/milestones", &plan.people.milestones).map(|(at, milestone)| (at, &milestone.channels));
    let announced =
        each("/drills", &plan.drills).filter_map(|(at, drill)| drill.announce.as_ref().map(|announce| (format!("{at}/announce"), &announce.channels)));
    for (at, names) in roles.chain(told).chain(milestones).chain(announced) {
        for (at, name) in each(&format!("{at}/channels"), names) {
            known(findings, &at, name.as_str(), "people.channels", &channels);
        }
    }
}

/// Every place that names a role, with the role.
fn named_roles(plan: &Plan) -> Vec<(String, &str)> {
    let mut named: Vec<(String, &str)> = Vec::new();
    named.extend(each("/people/decide", &plan.people.decide).map(|(at, role)| (at, role.as_str())));
    for (at, escalation) in each("/people/escalation", &plan.people.escalation) {
        for (at, rung) in each(&format!("{at}/ladder"), &escalation.ladder) {
            named.extend(each(&format!("{at}/roles"), &rung.roles).map(|(at, role)| (at, role.as_str())));
        }
    }
    for (at, channel) in each("/people/channels", &plan.people.channels) {
        if let Delivery::Person { role } = &channel.via {
            named.push((format!("{at}/via/role"), role));
        }
    }
    for (at, drill) in each("/drills", &plan.drills) {
        named.extend(each(&format!("{at}/participants"), &drill.participants).map(|(at, participant)| (format!("{at}/role"), participant.role.as_str())));
    }
    for (at, scenario) in each("/scenarios", &plan.scenarios) {
        named.extend(each(&format!("{at}/runBy"), &scenario.run_by).map(|(at, role)| (at, role.as_str())));
        if let Some(Decision::Approval { by, .. }) = &scenario.decision {
            named.push((format!("{at}/decision/by"), by));
        }
    }
    if let Decision::Approval { by, .. } = &plan.triggers.decision {
        named.push(("/triggers/decision/by".to_owned(), by));
    }
    if let Some(failback) = &plan.failback {
        named.push(("/failback/approvedBy".to_owned(), &failback.approved_by));
    }
    for (at, database) in each("/databases", &plan.databases) {
        if let Some(WhenLagUnknown::LastKnown { by, .. }) = database.lag.as_ref().map(|lag| &lag.when_unknown) {
            named.push((format!("{at}/lag/whenUnknown/by"), by));
        }
        if let Some(Fence::Quarantine { when_unreachable: WhenUnreachable::Accept { by, .. }, .. }) = &database.fence {
            named.push((format!("{at}/fence/whenUnreachable/by"), by));
        }
    }
    for (at, backup) in each("/backups", &plan.backups) {
        if let Some(hold) = &backup.legal_hold {
            named.push((format!("{at}/legalHold/by"), &hold.by));
        }
    }
    named
}

fn roles(plan: &Plan, findings: &mut Findings<'_>) {
    let roles: Vec<&str> = plan.people.roles.iter().map(|role| role.role.as_str()).collect();
    for (at, role) in named_roles(plan) {
        known(findings, &at, role, "people.roles", &roles);
    }
}

fn others(plan: &Plan, findings: &mut Findings<'_>) {
    let backups: Vec<&str> = plan.backups.iter().map(|backup| backup.name.as_str()).collect();
    for (at, drill) in each("/drills", &plan.drills) {
        for (at, check) in each(&format!("{at}/preChecks"), &drill.pre_checks) {
            if let PreCheck::FreshBackup { backup } = check {
                known(findings, &format!("{at}/backup"), backup.as_str(), "backups", &backups);
            }
        }
    }
    let databases: Vec<&str> = plan.databases.iter().map(|database| database.name.as_str()).collect();
    if let Some(failback) = &plan.failback {
        for (at, database) in each("/failback/databases", &failback.databases) {
            known(findings, &format!("{at}/database"), database.database.as_str(), "databases", &databases);
        }
    }
    let severities: Vec<&str> = plan.people.escalation.iter().map(|escalation| escalation.severity.as_str()).collect();
    for (at, scenario) in each("/scenarios", &plan.scenarios) {
        if let Some(severity) = &scenario.severity {
            known(findings, &format!("{at}/severity"), severity, "people.escalation", &severities);
        }
    }
}
