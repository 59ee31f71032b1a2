//! References inside values: they resolve, they do not run in circles, and they carry no passwords.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use crate::authoring::structure::nearest;
use crate::authoring::yaml::escape;
use crate::configuration::Configuration;
use crate::custom::CustomRun;
use crate::plan::Plan;
use crate::template::{Reference, Template};

/// What can be asked of the parts of a section.
const ATTRIBUTES: [(&str, &[&str]); 5] = [
    ("databases", &["endpoint", "port", "id", "database"]),
    ("caches", &["endpoint", "port", "id"]),
    ("compute", &["group"]),
    ("queues", &["url", "name"]),
    ("configuration", &["value", "version"]),
];
const REGIONS: [&str; 3] = ["primary", "standby", "witness"];

pub(super) fn check(plan: &Plan, findings: &mut Findings<'_>) {
    for (at, template) in values(plan) {
        for reference in template.references() {
            match reference {
                Ok(reference) => resolves(plan, findings, &at, &reference),
                Err(error) => {
                    findings.error(
                        "dangling-reference",
                        &at,
                        format!("`{}` is not a whole reference", error.text),
                        "write {section.name.attribute}, such as {databases.portal-db.endpoint}",
                    );
                }
            }
        }
        if holds_a_password(&template.0) {
            findings.error(
                "secret-in-plan",
                &at,
                "this value holds a password",
                "a plan is read by many: keep the password in a secret, and let the workload read it (in Kubernetes, $(DB_PASSWORD) from a secret)",
            );
        }
    }
    circles(plan, findings);
}

fn values(plan: &Plan) -> Vec<(String, &Template)> {
    let mut values = Vec::new();
    let of_map = |at: String, map: &BTreeMap<String, Template>| -> Vec<String> { map.keys().map(|key| format!("{at}/{}", escape(key))).collect() };
    for (index, configuration) in plan.configuration.iter().enumerate() {
        let at = format!("/configuration/{index}");
        match configuration {
            Configuration::SsmParameter { value, .. } => values.push((format!("{at}/value"), value)),
            Configuration::LaunchTemplate { user_data, .. } => values.push((format!("{at}/userData"), user_data)),
            Configuration::Secret { keys, .. } => values.extend(of_map(format!("{at}/keys"), keys).into_iter().zip(keys.values())),
            Configuration::KubernetesEnv { env, .. } => values.extend(of_map(format!("{at}/env"), env).into_iter().zip(env.values())),
            Configuration::KubernetesRestart { .. } => {}
        }
    }
    for (index, step) in plan.custom.iter().enumerate() {
        let at = format!("/custom/{index}/run");
        match &step.run {
            CustomRun::Lambda { input, .. } => values.extend(of_map(format!("{at}/input"), input).into_iter().zip(input.values())),
            CustomRun::CodeBuild { env, .. } => values.extend(of_map(format!("{at}/env"), env).into_iter().zip(env.values())),
            CustomRun::KubernetesJob { .. } => {}
        }
    }
    values
}

fn resolves(plan: &Plan, findings: &mut Findings<'_>, at: &str, reference: &Reference) {
    let quoted = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let mut refuse = |wanted: &str, what: String, known: &[&str]| {
        findings.error("dangling-reference", at, format!("`{reference}` leads nowhere: {what}"), format!("there is {}", quoted(known)));
        if let Some(word) = nearest(wanted, known.iter().copied()) {
            findings.label(format!("did you mean `{}`?", reference.to_string().replacen(wanted, word, 1)));
        }
    };
    if reference.section == "regions" {
        if !REGIONS.contains(&reference.name.as_str()) {
            refuse(&reference.name, format!("no region is called `{}`", reference.name), &REGIONS);
        }
        return;
    }
    let Some((_, attributes)) = ATTRIBUTES.iter().find(|(section, _)| *section == reference.section) else {
        let sections: Vec<&str> = ATTRIBUTES.iter().map(|(section, _)| *section).chain(["regions"]).collect();
        return refuse(&reference.section, format!("nothing can be asked of `{}`", reference.section), &sections);
    };
    let names = plan.names_in(&reference.section).unwrap_or_default();
    if !names.contains(&reference.name.as_str()) {
        return refuse(&reference.name, format!("`{}` has no `{}`", reference.section, reference.name), &names);
    }
    let attribute = reference.attribute.as_deref().unwrap_or("");
    if !attributes.contains(&attribute) {
        refuse(attribute, format!("`{}` have no `{attribute}`", reference.section), attributes);
    }
}

/// True of an address with a user and a password in clear, such as `postgresql://app:hunter2@host/db`.
fn holds_a_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let authority = text[at + 3..].split(['/', ' ', '\n']).next().unwrap_or("");
        let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map_or("", |(_, password)| password);
        // `$(DB_PASSWORD)`, `${DB_PASSWORD}` and `$DB_PASSWORD` stand for one that is kept elsewhere.
        !password.is_empty() && !password.starts_with('$')
    })
}

/// Configuration that is made of configuration must not be made of itself.
fn circles(plan: &Plan, findings: &mut Findings<'_>) {
    let mut uses: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for configuration in &plan.configuration {
        let used = configuration.values().into_iter().flat_map(|(_, template)| template.references()).flatten();
        uses.entry(configuration.name().as_str())
            .or_default()
            .extend(used.filter(|reference| reference.section == "configuration").map(|reference| reference.name));
    }
    let mut reported: BTreeSet<String> = BTreeSet::new();
    for (index, configuration) in plan.configuration.iter().enumerate() {
        let name = configuration.name().as_str();
        if let Some(path) = path_back(&uses, name).filter(|path| path.iter().all(|name| !reported.contains(name))) {
            reported.extend(path.iter().cloned());
            let round = path.join(" → ");
            findings.error(
                "cyclic-reference",
                &format!("/configuration/{index}/name"),
                format!("`{name}` is made of itself: {round} → {name}"),
                "write one of these values without referring to the next",
            );
        }
    }
}

/// The way from a name back to itself; breadth first, so that the shortest is shown.
fn path_back(uses: &BTreeMap<&str, BTreeSet<String>>, start: &str) -> Option<Vec<String>> {
    let mut ways = std::collections::VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let last = way.last()?;
        for next in uses.get(last.as_str()).into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                ways.push_back(way.iter().cloned().chain([next.clone()]).collect());
            }
        }
    }
    None
}
