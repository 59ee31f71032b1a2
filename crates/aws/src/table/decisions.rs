//! Questions and their answers. The first write of each of question, deadline and answer wins; whoever comes later gets what stands.
//!
//! So a write that timed out and was made all the same is found by its own repetition.

use futures::{StreamExt, stream};
use muster_core::ports::{Answer, Decisions, Question, RunRegistry};
use muster_core::{CallError, CallFault, RunId, Timestamp};

use super::{Conditional, Item, Key, Update, Wanted, json, read_json, read_text, read_value, text, unreadable};
use crate::{Aws, Failed, Target};

const RUNS_SIDE_BY_SIDE: usize = 8;

fn partition(run: &RunId) -> String {
    format!("run/{run}")
}

fn key(run: &RunId, name: &str) -> Key {
    Key::new(partition(run), format!("question/{name}"))
}

/// Deadline and answer are attributes of their own, since conditions look at them; and so is a token that came later.
fn write(key: &Key, question: &Question) -> Result<Item, Failed> {
    let mut item = key.item();
    item.insert("value".to_owned(), json(&Question { deadline: None, answer: None, ..question.clone() })?);
    if let Some(deadline) = question.deadline {
        item.insert("deadline".to_owned(), text(deadline.to_string()));
    }
    if let Some(answer) = &question.answer {
        item.insert("answer".to_owned(), json(answer)?);
    }
    Ok(item)
}

fn read(item: &Item) -> Result<Question, Failed> {
    let deadline = read_text(item, "deadline").map(|text| text.parse::<Timestamp>().map_err(|error| unreadable("deadline", &error.to_string()))).transpose()?;
    let question: Question = read_value(item, "value")?;
    let token = read_text(item, "token").map_or(question.token, Into::into);
    Ok(Question { deadline, token, answer: read_json(item, "answer")?, ..question })
}

impl<X> Aws<X> {
    /// Sets an attribute of a question, if it is not set, and returns the question as it is then.
    async fn settle(&self, run: &RunId, name: &str, update: Update<'_>) -> Result<Question, CallError> {
        let key = key(run, name);
        let stands = match self.update(&key, update).await? {
            Conditional::Made(item) => Some(item),
            Conditional::Stands(item) => item,
        };
        let read = stands.as_ref().map_or_else(|| Err(Failed::new(CallFault::NotFound, "the question was never put")), read);
        read.map_err(|failed| self.at("dynamodb:UpdateItem", &key).failed(failed))
    }
}

impl<X> Decisions for Aws<X> {
    async fn ask(&self, question: &Question) -> Result<Question, CallError> {
        let key = key(&question.run, &question.name);
        let failed = |failed| self.at("dynamodb:PutItem", &key).failed(failed);
        match self.put_new(&key, write(&key, question).map_err(failed)?).await? {
            None => Ok(question.clone()),
            Some(stands) => read(&stands).map_err(failed),
        }
    }

    async fn renew_token(&self, run: &RunId, name: &str, token: &str) -> Result<Question, CallError> {
        let update = Update {
            change: "SET #token = :token",
            condition: "attribute_exists(pk) AND attribute_not_exists(#answer)",
            names: &["token", "answer"],
            values: vec![("token", text(token))],
        };
        self.settle(run, name, update).await
    }

    async fn open_window(&self, run: &RunId, name: &str, deadline: Timestamp) -> Result<Question, CallError> {
        let update = Update {
            change: "SET #deadline = :deadline",
            condition: "attribute_exists(pk) AND attribute_not_exists(#deadline)",
            names: &["deadline"],
            values: vec![("deadline", text(deadline.to_string()))],
        };
        self.settle(run, name, update).await
    }

    async fn answer(&self, run: &RunId, name: &str, answer: &Answer) -> Result<Question, CallError> {
        let stored = json(answer).map_err(|failed| self.at("dynamodb:UpdateItem", &key(run, name)).failed(failed))?;
        let update = Update {
            change: "SET #answer = :answer",
            condition: "attribute_exists(pk) AND attribute_not_exists(#answer)",
            names: &["answer"],
            values: vec![("answer", stored)],
        };
        self.settle(run, name, update).await
    }

    async fn read_question(&self, run: &RunId, name: &str) -> Result<Option<Question>, CallError> {
        let key = key(run, name);
        let item = self.get(&key).await?;
        item.as_ref().map(read).transpose().map_err(|failed| self.at("dynamodb:GetItem", &key).failed(failed))
    }

    async fn questions(&self) -> Result<Vec<Question>, CallError> {
        let open = self.open_runs().await?;
        let asked = async |run: &RunId| {
            let partition = partition(run);
            let items = self.query(&partition, Wanted::Beginning("question/")).await?;
            let questions: Result<Vec<Question>, Failed> = items.iter().map(read).collect();
            questions.map_err(|failed| Target::data("dynamodb:Query", self.home(), partition).failed(failed))
        };
        let of_runs = stream::iter(&open).map(|open| asked(&open.run.id)).buffered(RUNS_SIDE_BY_SIDE).collect::<Vec<_>>().await;
        let of_runs: Vec<Vec<Question>> = of_runs.into_iter().collect::<Result<_, _>>()?;
        Ok(of_runs.concat())
    }
}
