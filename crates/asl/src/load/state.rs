//! Loads one state.

use std::rc::Rc;

use super::fields::{Fields, describe};
use super::workflow::{self, Shared};
use super::{Problems, handlers};
use crate::limits::{MAX_MAP_CONCURRENCY, MAX_SECONDS};
use crate::machine::{Assignment, Choice, Kind, Map, Next, Parallel, Resource, Rule, Seconds, State, Task, Wait};
use crate::names::Available;
use crate::template::Template;
use crate::timestamp;
use crate::value::Value;

const COMMON: [&str; 3] = ["Comment", "QueryLanguage", "Type"];

pub(super) fn load(name: &str, fields: &Fields<'_>, shared: &Shared) -> Option<State> {
    if let Some(language) = fields.string("QueryLanguage")
        && &*language != "JSONata"
    {
        fields.problem("QueryLanguage", format!("is {language:?}; this interpreter speaks \"JSONata\" only"));
    }
    fields.string("Comment");
    let state_type = fields.required_string("Type")?;
    let loaded = match &*state_type {
        "Pass" => {
            only(fields, &["Assign", "End", "Next", "Output"]);
            Some(Kind::Pass)
        }
        "Task" => task(fields, shared),
        "Choice" => choice(fields, shared),
        "Wait" => wait(fields, shared),
        "Succeed" => {
            only(fields, &["Output"]);
            Some(Kind::Succeed)
        }
        "Fail" => {
            only(fields, &["Cause", "Error"]);
            let names = shared.names(shared.available());
            Some(Kind::Fail { error: text(fields, "Error", fields.template("Error", &names)), cause: text(fields, "Cause", fields.template("Cause", &names)) })
        }
        "Parallel" => parallel(fields, shared),
        "Map" => map(fields, shared),
        other => {
            fields.problem("Type", format!("is {other:?}; the types are Task, Wait, Pass, Succeed, Fail, Choice, Parallel and Map"));
            None
        }
    };
    let has_result = matches!(&*state_type, "Task" | "Parallel" | "Map");
    let available = Available { result: has_result, ..shared.available() };
    let (assign, output) = match &*state_type {
        "Fail" => (Some(Vec::new()), None),
        "Succeed" => (Some(Vec::new()), fields.template("Output", &shared.names(available))),
        _ => (shared.assign(fields, available), fields.template("Output", &shared.names(available))),
    };
    let next = match &*state_type {
        "Choice" | "Succeed" | "Fail" => Some(Next::End),
        _ => next(fields, shared),
    };
    Some(State { name: name.into(), kind: loaded?, assign: assign?, output, next: next? })
}

fn only(fields: &Fields<'_>, own: &[&str]) {
    let mut known: Vec<&str> = COMMON.into_iter().chain(own.iter().copied()).collect();
    known.sort_unstable();
    fields.only(&known);
}

fn next(fields: &Fields<'_>, shared: &Shared) -> Option<Next> {
    match (fields.get("Next").is_some(), fields.boolean("End")) {
        (true, Some(true)) => {
            fields.problem("End", "is there beside Next; keep one of the two");
            None
        }
        (true, _) => shared.target(fields, "Next").map(Next::State),
        (false, Some(true)) => Some(Next::End),
        (false, _) => {
            fields.problem("Next", "is missing; name the next state or set \"End\": true");
            None
        }
    }
}

/// A constant must be a string already; an expression is checked when it has run.
fn text(fields: &Fields<'_>, field: &str, template: Option<Template>) -> Option<Template> {
    let wrong = match template.as_ref()? {
        Template::Constant(Value::String(_), _) | Template::Expression(_) => None,
        Template::Constant(value, _) => Some(describe(value)),
        _ => Some("an object or an array".to_owned()),
    };
    if let Some(wrong) = wrong {
        fields.problem(field, format!("wants a string or an expression, but is {wrong}"));
        return None;
    }
    template
}

fn task(fields: &Fields<'_>, shared: &Shared) -> Option<Kind> {
    only(fields, &["Arguments", "Assign", "Catch", "End", "HeartbeatSeconds", "Next", "Output", "Resource", "Retry", "TimeoutSeconds"]);
    let handlers = handlers::load(fields, shared);
    let arn = fields.required_string("Resource")?;
    let Some(resource) = Resource::ALL.into_iter().find(|known| known.arn() == &*arn) else {
        fields.problem("Resource", format!("is {arn:?}; the resources are {}", Resource::ALL.map(Resource::arn).join(", ")));
        return None;
    };
    let names = shared.names(Available { token: resource.waits_for_token(), ..shared.available() });
    let timeout = fields.timeout("TimeoutSeconds", &names);
    let heartbeat = fields.timeout("HeartbeatSeconds", &names);
    if heartbeat.is_some() && !resource.waits_for_token() {
        fields.problem("HeartbeatSeconds", "has no effect here: only a task with .waitForTaskToken can send heartbeats; use TimeoutSeconds");
    }
    if let (Some(Seconds::Literal(heartbeat)), Some(Seconds::Literal(timeout))) = (&heartbeat, &timeout)
        && heartbeat >= timeout
    {
        fields.problem("HeartbeatSeconds", format!("is {heartbeat}, but must be smaller than TimeoutSeconds, which is {timeout}"));
    }
    let arguments = fields.template("Arguments", &names);
    check_arguments(fields, resource);
    Some(Kind::Task(Box::new(Task { resource, arguments, timeout, heartbeat, handlers: handlers? })))
}

/// Checks the names of the arguments where the definition spells them out.
fn check_arguments(fields: &Fields<'_>, resource: Resource) {
    let known = resource.arguments();
    match fields.required("Arguments") {
        None | Some(Value::String(_)) => {}
        Some(value @ Value::Object(_)) => {
            let arguments = Fields::new(fields.problems, fields.at("Arguments"), value);
            arguments.only(known);
            arguments.required(known[0]);
            let payload = arguments.get("Payload").map(crate::value::to_text);
            if resource.waits_for_token() && payload.is_some_and(|text| !text.contains("{%")) {
                arguments.problem("Payload", "does not pass on the task token, so nobody could answer; add {% $states.context.Task.Token %}");
            }
        }
        Some(other) => fields.problem("Arguments", format!("wants an object or an expression, but is {}", describe(other))),
    }
}

fn choice(fields: &Fields<'_>, shared: &Shared) -> Option<Kind> {
    only(fields, &["Assign", "Choices", "Default", "Output"]);
    let default = shared.target(fields, "Default");
    fields.required("Choices");
    let choices = fields.array("Choices")?;
    if choices.is_empty() {
        fields.problem("Choices", "is empty; a Choice has at least one rule");
    }
    let available = shared.available();
    let names = shared.names(available);
    let mut rules = Vec::with_capacity(choices.len());
    for (index, value) in choices.iter().enumerate() {
        let path = format!("{}[{index}]", fields.at("Choices"));
        let rule = Fields::new(fields.problems, path, value);
        rule.only(&["Assign", "Comment", "Condition", "Next", "Output"]);
        rule.required_string("Next");
        let condition = rule.condition(&names);
        let assign: Option<Vec<Assignment>> = shared.assign(&rule, available);
        let output = rule.template("Output", &names);
        let next = shared.target(&rule, "Next");
        rules.push((|| Some(Rule { condition: condition?, assign: assign?, output, next: next? }))());
    }
    Some(Kind::Choice(Choice { rules: rules.into_iter().collect::<Option<_>>()?, default }))
}

fn wait(fields: &Fields<'_>, shared: &Shared) -> Option<Kind> {
    only(fields, &["Assign", "End", "Next", "Output", "Seconds", "Timestamp"]);
    let names = shared.names(shared.available());
    let seconds = fields.seconds("Seconds", 0, MAX_SECONDS, &names);
    let until = match fields.template("Timestamp", &names) {
        None => None,
        Some(Template::Expression(expression)) => Some(Wait::UntilExpression(expression)),
        Some(template) => {
            let moment = template.constant().and_then(Value::as_str).and_then(timestamp::parse);
            if moment.is_none() {
                fields.problem("Timestamp", "wants an RFC 3339 timestamp such as 2026-11-20T16:00:00Z, or an expression");
            }
            moment.map(Wait::Until)
        }
    };
    match (fields.get("Seconds"), fields.get("Timestamp")) {
        (Some(_), None) => seconds.map(Wait::Seconds).map(Kind::Wait),
        (None, Some(_)) => until.map(Kind::Wait),
        (None, None) => {
            fields.problem("Seconds", "is missing; a Wait has Seconds or Timestamp");
            None
        }
        (Some(_), Some(_)) => {
            fields.problem("Timestamp", "is there beside Seconds; keep one of the two");
            None
        }
    }
}

fn parallel(fields: &Fields<'_>, shared: &Shared) -> Option<Kind> {
    only(fields, &["Arguments", "Assign", "Branches", "Catch", "End", "Next", "Output", "Retry"]);
    let handlers = handlers::load(fields, shared);
    let arguments = fields.template("Arguments", &shared.names(shared.available()));
    fields.required("Branches");
    let values = fields.array("Branches")?;
    if values.is_empty() {
        fields.problem("Branches", "is empty; a Parallel has at least one branch");
    }
    let place = shared.place.inner(&shared.scope, false);
    let mut branches = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let path = format!("{}[{index}]", fields.at("Branches"));
        let branch = Fields::new(fields.problems, path, value);
        branch.only(&["Comment", "QueryLanguage", "StartAt", "States"]);
        branches.push(workflow::load(&branch, &place));
    }
    Some(Kind::Parallel(Box::new(Parallel { arguments, branches: branches.into_iter().collect::<Option<_>>()?, handlers: handlers? })))
}

fn map(fields: &Fields<'_>, shared: &Shared) -> Option<Kind> {
    only(fields, &["Assign", "Catch", "End", "ItemProcessor", "ItemSelector", "Items", "MaxConcurrency", "Next", "Output", "Retry"]);
    let handlers = handlers::load(fields, shared);
    let names = shared.names(shared.available());
    let items = fields.template("Items", &names);
    if let Some(Template::Constant(value, _)) = &items
        && !value.is_array()
    {
        fields.problem("Items", format!("wants an array or an expression, but is {}", describe(value)));
    }
    if matches!(items, Some(Template::Object(..))) {
        fields.problem("Items", "wants an array or an expression, but is an object");
    }
    let in_item = Available { map_item: true, ..shared.available() };
    let item_selector = fields.template("ItemSelector", &shared.names(in_item));
    let max_concurrency = fields.seconds("MaxConcurrency", 0, MAX_SECONDS, &names);
    let value = fields.required("ItemProcessor")?;
    let processor = Fields::new(fields.problems, fields.at("ItemProcessor"), value);
    processor.only(&["Comment", "ProcessorConfig", "QueryLanguage", "StartAt", "States"]);
    inline(fields.problems, &processor);
    let place = shared.place.inner(&shared.scope, true);
    let processor = workflow::load(&processor, &place);
    Some(Kind::Map(Box::new(Map { items, item_selector, max_concurrency, processor: processor?, handlers: handlers? })))
}

/// Only the inline mode exists here.
fn inline(problems: &Problems, processor: &Fields<'_>) {
    let Some(config) = processor.get("ProcessorConfig") else {
        return;
    };
    let config = Fields::new(problems, processor.at("ProcessorConfig"), config);
    config.only(&["Mode"]);
    let mode: Option<Rc<str>> = config.string("Mode");
    if mode.as_deref().is_some_and(|mode| mode != "INLINE") {
        config.problem("Mode", format!("is not supported; only \"INLINE\" is, which runs {MAX_MAP_CONCURRENCY} iterations at a time"));
    }
}
