//! Takes a person's answer to a question of a run: [`muster_actions::answer_question()`].

use muster_actions::{ANSWER_QUESTION, answer_question};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run_alone(ANSWER_QUESTION, muster_lambda::world().await?, answer_question).await
}
