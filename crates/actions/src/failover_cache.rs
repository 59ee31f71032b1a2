//! Makes the standby region's clusters of global datastores take writes.
//!
//! Converges: a cluster that is primary already is left alone; one that is changing is waited for.
//! Refuses:   a datastore that has no cluster in the standby region.
//! Leaves behind on failure: datastores that were failed over (they can be failed back).
//! AWS: elasticache:DescribeGlobalReplicationGroups, elasticache:DescribeReplicationGroups, elasticache:FailoverGlobalReplicationGroup
//!      (standby region).

use std::sync::Arc;

use muster_core::ports::{GlobalCacheState, GlobalCaches, Notes};
use muster_core::{Action, ActionError, CallFault, Clock, Conduct, Context, Duration, Evidence, Finding, Progress};
use muster_plan::{Cache, CacheStandby, Plan};
use serde::Deserialize;

use crate::batch::{Batch, Pace};
use crate::notes::{self, CacheAsked, Finished};

/// The action.
pub const FAILOVER_CACHE: Action = Action { name: "failover-cache", conduct: Conduct::Mutates };

/// Nothing to ask for: the plan says which.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// A failover of a global datastore takes about a minute (AWS: "typically under a minute"); then a person should look.
const PATIENCE: Duration = Duration::from_mins(15);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    FailOver,
    Await,
    Done,
    Fail(Finding),
}

/// After a failover was asked for, the datastore can still look settled for a while.
const STATUS_LAG: Duration = Duration::from_secs(60);
/// A rejection right after the call was asked for is most often an answer to its own repetition.
const REJECTIONS: Duration = Duration::from_mins(5);

fn decide(cache: &Cache, state: Option<&GlobalCacheState>, standby: &str, asked_ago: Option<Duration>) -> Step {
    let member = state.and_then(|state| state.members.iter().find(|member| *member.group == *standby));
    match (state, member) {
        (Some(_), Some(member)) if member.primary && member.available => Step::Done,
        (Some(_), Some(member)) if member.primary => Step::Await,
        (Some(state), Some(_)) if !state.settled => Step::Await,
        (Some(_), Some(_)) if asked_ago.is_some_and(|ago| ago < STATUS_LAG) => Step::Await,
        (Some(_), Some(_)) => Step::FailOver,
        (seen, _) => Step::Fail(Finding::new(
            &cache.name,
            if seen.is_some() { format!("its global datastore has no cluster {standby}") } else { "its global datastore does not exist".to_owned() },
            "a secondary cluster in the standby region",
            "add the secondary or correct the plan, then answer `retry`; or answer `skip` to start with a cold cache",
        )),
    }
}

/// Brings every global datastore of the plan to its standby cluster. Called twice, it asks nothing twice.
///
/// # Errors
/// `Permanent` names every cache that cannot go on.
pub async fn failover_cache<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + GlobalCaches + Notes,
{
    let caches: Vec<(&Cache, Arc<str>, &str)> = cx
        .plan
        .caches
        .iter()
        .filter_map(|cache| match &cache.standby {
            CacheStandby::GlobalDatastore { global_id, id } => Some((cache, Arc::from(global_id.as_str()), id.as_str())),
            _ => None,
        })
        .collect();
    if caches.is_empty() {
        return Ok(Progress::done("the plan fails no cache over"));
    }
    let standby = &cx.plan.regions.standby;
    let ids: Vec<Arc<str>> = caches.iter().map(|(_, global, _)| global.clone()).collect();
    let states = world.describe_global_caches(standby, &ids).await?;
    let mut batch = Batch::default();
    let mut finished = Finished::read(world, cx.run, cx.phase).await?;
    for (cache, global, group) in caches {
        let asked = notes::cache_asked(world, cx.run, &cache.name).await?;
        match decide(cache, states.get(&global), group, asked.as_ref().map(|asked| cx.now.since(asked.at))) {
            Step::Done => {
                batch.saw(Evidence::Awaited {
                    component: cache.name.to_string(),
                    what: "cache failover".into(),
                    from: cx.since,
                    until: finished.first_seen(cache.name.as_str(), world.now()),
                });
                batch.done(&cache.name);
            }
            Step::Await if cx.elapsed() > PATIENCE => batch.failed(Finding::new(
                &cache.name,
                format!("failing over for {}", cx.elapsed().in_words()),
                format!("a failover within {PATIENCE}"),
                "look at the global datastore's events; answer `retry` to go on waiting, or `skip` to start with a cold cache",
            )),
            Step::Await => batch.pending(&cache.name, "failing over"),
            Step::Fail(finding) => batch.failed(finding),
            Step::FailOver => {
                // The note comes first: a call whose answer is lost must not be made again at once, and `stand-down` must know.
                let former = states.get(&global).and_then(|state| state.members.iter().find(|member| member.primary)).map(|member| member.group.to_string());
                let former = asked.and_then(|asked| asked.former).or(former);
                notes::note_cache_asked(world, cx.run, &cache.name, &CacheAsked { at: world.now(), former }).await?;
                match world.failover_global_cache(standby, &global, group).await {
                    Err(error) if error.fault == CallFault::Rejected && cx.elapsed() < REJECTIONS => {
                        batch.pending(&cache.name, "ElastiCache takes no failover yet")
                    }
                    Err(error) if !error.fault.is_ambiguous() => batch.call_failed(&cache.name, error),
                    _ => batch.pending(&cache.name, "failing over"),
                }
            }
        }
    }
    finished.keep(world, cx.run).await?;
    batch.into_progress(world.now(), cx, Pace::Minutes, "failed over")
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::ports::GlobalMember;
    use muster_plan::{CacheKind, Objectives};

    fn cache() -> Cache {
        Cache {
            name: "sessions".parse().unwrap(),
            kind: CacheKind::ReplicationGroup,
            primary: "cache".into(),
            standby: CacheStandby::GlobalDatastore { global_id: "ldgnf-cache".into(), id: "cache-dr".into() },
            objectives: Objectives { rto: Duration::from_mins(10), rpo: Duration::from_mins(5), scope: muster_plan::OutageScope::Region },
            node_groups: Vec::new(),
            restore: None,
            port: None,
            credentials: None,
            warm_up: None,
            persistence: None,
            checks: Vec::new(),
        }
    }

    fn state(settled: bool, primary: bool, available: bool) -> GlobalCacheState {
        let member = GlobalMember { region: "us-west-2".parse().unwrap(), group: "cache-dr".into(), primary, available, endpoint: None };
        GlobalCacheState { settled, members: vec![member] }
    }

    #[test]
    fn a_cache_is_failed_over_once_and_then_waited_for() {
        let decided = |state: Option<GlobalCacheState>| decide(&cache(), state.as_ref(), "cache-dr", None);
        assert_eq!(decided(Some(state(true, false, true))), Step::FailOver);
        let settled = state(true, false, true);
        assert_eq!(decide(&cache(), Some(&settled), "cache-dr", Some(Duration::from_secs(59))), Step::Await, "the status lags behind the call");
        assert_eq!(decide(&cache(), Some(&settled), "cache-dr", Some(Duration::from_secs(60))), Step::FailOver);
        assert_eq!(decided(Some(state(false, false, true))), Step::Await);
        assert_eq!(decided(Some(state(true, true, false))), Step::Await);
        assert_eq!(decided(Some(state(true, true, true))), Step::Done);
        assert!(matches!(decided(None), Step::Fail(_)));
        assert!(matches!(decided(Some(GlobalCacheState { settled: true, members: Vec::new() })), Step::Fail(_)));
    }
}
