//! Questions to people: put once, heard before silence counts, answered once.

use std::sync::Arc;

use muster_core::ports::{Answer, Channels, Decisions, Message, Question};
use muster_core::{ActionError, Clock, Context, Duration, Evidence, Progress, canonical_json};
use muster_plan::{Name, Plan};
use serde_json::json;

use crate::tell::tell;

/// A question about to be put.
pub(crate) struct Asking<'a> {
    pub(crate) name: &'a str,
    pub(crate) choices: &'a [&'a str],
    /// What silence answers.
    pub(crate) default: &'a str,
    /// How long people have, from the moment a channel has accepted the message.
    pub(crate) window: Duration,
    pub(crate) token: &'a str,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) channels: Vec<&'a Name>,
}

/// How a question stands.
pub(crate) enum Standing {
    /// Answered: the first answer.
    Answered(Box<Question>, Answer),
    /// Heard, and the time is not over.
    Open { left: Duration },
    /// No channel has accepted the message yet, so that nobody can have heard it.
    Unheard,
}

/// Puts a question, tells people, and opens the window once somebody can have heard it. Called twice, it tells nobody
/// twice who has heard, and moves no deadline; an answer wakes the task that asked last.
pub(crate) async fn ask<W>(world: &W, cx: &Context<'_, Plan>, asking: Asking<'_>) -> Result<Question, ActionError>
where
    W: Clock + Decisions + Channels,
{
    let mut question = world
        .ask(&Question {
            run: cx.run.id.clone(),
            service: cx.run.service.clone(),
            name: asking.name.into(),
            choices: asking.choices.iter().map(|choice| Arc::from(*choice)).collect(),
            default: asking.default.into(),
            asked_at: world.now(),
            deadline: None,
            token: asking.token.into(),
            answer: None,
        })
        .await?;
    // Whoever is asked again by a new task, after a redrive or a function's failure, waits with the new one.
    if !asking.token.is_empty() && *question.token != *asking.token && question.answer.is_none() {
        question = world.renew_token(&cx.run.id, asking.name, asking.token).await?;
    }
    if question.answer.is_some() || question.deadline.is_some() {
        return Ok(question);
    }
    let body = format!("{}\n\n{}", asking.body, how_to_answer(&cx.run.service, asking.name));
    let message = Message { subject: asking.subject, body, key: format!("{}/{}", cx.run.id, asking.name).into() };
    let heard_by = tell(world, cx, &asking.channels, &message).await;
    if heard_by.is_empty() {
        return Ok(question);
    }
    let deadline = world.now().after(asking.window);
    let question = world.open_window(&cx.run.id, asking.name, deadline).await?;
    cx.saw(world.now(), Evidence::Asked { question: asking.name.to_owned(), heard_by, deadline: question.deadline.unwrap_or(deadline) });
    Ok(question)
}

/// What whoever reads the message at three in the morning can paste.
fn how_to_answer(service: &str, question: &str) -> String {
    let answer = json!({ "service": service, "question": question, "choice": "...", "by": "your name", "reason": "..." });
    format!("To answer, invoke Muster's function answer-question with {}", canonical_json(answer))
}

/// Reads how a question stands; at its deadline, gives the answer of silence. The first answer wins: an answer that a
/// person gave in the same instant is what comes back.
pub(crate) async fn settle<W>(world: &W, question: Question) -> Result<Standing, ActionError>
where
    W: Clock + Decisions,
{
    if let Some(answer) = question.answer.clone() {
        return Ok(Standing::Answered(Box::new(question), answer));
    }
    let Some(deadline) = question.deadline else { return Ok(Standing::Unheard) };
    let now = world.now();
    if now < deadline {
        return Ok(Standing::Open { left: deadline.since(now) });
    }
    let silence = Answer {
        choice: question.default.clone(),
        by: "silence".into(),
        reason: format!("nobody answered by {}", deadline.clock_time()),
        at: now,
        overrides: Vec::new(),
    };
    let question = world.answer(&question.run, &question.name, &silence).await?;
    Ok(match question.answer.clone() {
        Some(answer) => Standing::Answered(Box::new(question), answer),
        None => Standing::Unheard,
    })
}

/// Writes an answer down as evidence.
pub(crate) fn note_answer<W: Clock>(world: &W, cx: &Context<'_, Plan>, question: &Question, answer: &Answer) {
    cx.saw(
        world.now(),
        Evidence::Decided {
            question: question.name.to_string(),
            choice: answer.choice.to_string(),
            by: answer.by.to_string(),
            reason: answer.reason.clone(),
            asked_at: question.asked_at,
        },
    );
}

/// Still waiting: asks again when the deadline comes, and at least every fifteen seconds, since an answer can arrive
/// whose wake-up was lost.
pub(crate) fn still_open(left: Duration) -> Progress {
    Progress::pending(format!("waiting for an answer, {} left", left.in_words()), left.min(Duration::from_secs(15)))
}
