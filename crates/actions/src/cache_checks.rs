//! What the plan wants to be true of the standby's caches, looked at by `verify-data`.

use std::sync::Arc;

use muster_core::ports::{CacheEndpoint, Caches};
use muster_core::{CallError, Clock, Context, Evidence, Finding};
use muster_plan::{Cache, CacheCheck, Plan};

use crate::batch::Batch;
use crate::notes::Settled;
use crate::verify_data::PATIENCE;

/// A cache that the plan wants a `PING` of, and its replication group in the standby region.
fn pinged(plan: &Plan) -> impl Iterator<Item = (&Cache, Arc<str>)> {
    let wanted = plan.caches.iter().filter(|cache| cache.checks.contains(&CacheCheck::Ping));
    wanted.filter_map(|cache| Some((cache, cache.standby_group()?.into())))
}

/// Whether the plan wants anything to be looked at here.
pub(crate) fn has_cache_checks(plan: &Plan) -> bool {
    pinged(plan).next().is_some()
}

/// Asks every cache once that has not answered yet in this attempt.
pub(crate) async fn check_caches<W>(world: &W, cx: &Context<'_, Plan>, settled: &mut Settled, batch: &mut Batch)
where
    W: Clock + Caches,
{
    let standby = &cx.plan.regions.standby;
    let (answered, open): (Vec<_>, Vec<_>) = pinged(cx.plan).partition(|(cache, _)| settled.has(&ping(cache)));
    answered.iter().for_each(|(cache, _)| batch.done(&cache.name));
    if open.is_empty() {
        return;
    }
    let groups: Vec<Arc<str>> = open.iter().map(|(_, group)| group.clone()).collect();
    let endpoints = match world.describe_caches(standby, &groups).await {
        Ok(endpoints) => endpoints,
        Err(error) => return open.iter().for_each(|(cache, _)| batch.call_failed(&cache.name, error.clone())),
    };
    for (cache, group) in open {
        let credentials = cache.credentials.as_ref().map(|reference| reference.secret.as_str());
        let answer = match endpoints.get(&group) {
            Some(endpoint) => Some(world.ping_cache(standby, endpoint, credentials).await),
            None => None,
        };
        match judge(&group, endpoints.get(&group), answer, cx.elapsed() <= PATIENCE) {
            Verdict::Answers => {
                settled.add(ping(cache));
                cx.saw(world.now(), checked(cache));
                batch.done(&cache.name);
            }
            Verdict::Wait => batch.pending(&cache.name, "no answer to PING yet"),
            Verdict::Fails(error) => batch.call_failed(&cache.name, error),
            Verdict::IsMissing(seen) => batch.refused(Finding::new(
                &cache.name,
                seen,
                "a cache that answers PING",
                "create it or correct the plan, then answer `retry`; or answer `skip` to serve without it",
            )),
        }
    }
}

enum Verdict {
    Answers,
    Wait,
    IsMissing(String),
    Fails(CallError),
}

/// A cache that was just failed over may need a moment; one that wants other credentials, or does not exist, will not change by itself.
fn judge(group: &str, endpoint: Option<&CacheEndpoint>, answer: Option<Result<(), CallError>>, is_early: bool) -> Verdict {
    match (endpoint, answer) {
        (Some(_), Some(Ok(()))) => Verdict::Answers,
        (Some(_), Some(Err(error))) if error.fault.is_transient() && is_early => Verdict::Wait,
        (Some(_), Some(Err(error))) => Verdict::Fails(error),
        _ if is_early => Verdict::Wait,
        _ => Verdict::IsMissing(format!("the replication group {group} serves nowhere, or does not exist")),
    }
}

fn ping(cache: &Cache) -> String {
    format!("{}/ping", cache.name)
}

fn checked(cache: &Cache) -> Evidence {
    Evidence::Checked { check: "ping".into(), component: cache.name.to_string(), seen: "PONG".into(), wanted: "an answer to PING".into(), passed: true }
}

#[cfg(test)]
mod tests {
    use muster_core::CallFault;

    use super::*;

    fn answer(fault: CallFault) -> Option<Result<(), CallError>> {
        Some(Err(CallError { operation: "cache:Ping".into(), resource: "cache-dr".into(), fault, message: String::new() }))
    }

    #[test]
    fn only_an_answer_is_an_answer_and_only_what_may_change_by_itself_is_waited_for() {
        let endpoint = CacheEndpoint { host: "cache-dr".into(), port: 6379, encrypted: true };
        let judged = |is_there: bool, answer, is_early| judge("cache-dr", is_there.then_some(&endpoint), answer, is_early);
        assert!(matches!(judged(true, Some(Ok(())), false), Verdict::Answers));
        assert!(matches!(judged(true, answer(CallFault::Unreachable), true), Verdict::Wait));
        assert!(matches!(judged(true, answer(CallFault::Unreachable), false), Verdict::Fails(_)));
        assert!(matches!(judged(true, answer(CallFault::Denied), true), Verdict::Fails(_)), "no wait gives it another token");
        assert!(matches!(judged(false, None, true), Verdict::Wait), "it may be about to come");
        assert!(matches!(judged(false, None, false), Verdict::IsMissing(_)));
    }
}
