//! The one way to AWS: admission, circuit breaker, one attempt, classification, journal.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{Control, Ledger};
use muster_core::{Call, CallError, CallFault, Clock, Duration, Id, Journaled, Outcome, Plane, Region, Timestamp, admit};

use crate::failure::Failed;
use crate::{Aws, observer};

/// A region that did not answer is not asked again for so long: whoever waits for it next fails at once.
const OPEN_FOR: Duration = Duration::from_secs(20);

/// The regions that did not answer a moment ago. Never the region of Muster's own table: without that nothing goes on anyway.
#[derive(Debug, Default)]
pub(crate) struct Breaker(RefCell<BTreeMap<Region, Timestamp>>);

impl Breaker {
    fn is_open(&self, region: &Region, now: Timestamp) -> bool {
        self.0.borrow().get(region).is_some_and(|at| now.since(*at) < OPEN_FOR)
    }

    fn learn(&self, region: &Region, now: Timestamp, fault: Option<CallFault>) {
        match fault {
            // Only a connection that nobody answers tells that the region is dark: one slow call does not.
            Some(CallFault::Unreachable) => drop(self.0.borrow_mut().insert(region.clone(), now)),
            _ => drop(self.0.borrow_mut().remove(region)),
        }
    }
}

/// What a call is about.
#[derive(Clone, Debug)]
pub struct Target {
    /// The API's name, such as `rds:PromoteReadReplica`.
    pub operation: &'static str,
    /// The region whose endpoint is called.
    pub region: Region,
    /// Control plane or data plane.
    pub plane: Plane,
    /// The resource, for people.
    pub resource: Arc<str>,
}

impl Target {
    /// A call of a control plane.
    pub fn control(operation: &'static str, region: &Region, resource: impl Into<Arc<str>>) -> Self {
        Target { operation, region: region.clone(), plane: Plane::Control, resource: resource.into() }
    }

    /// A call of a data plane.
    pub fn data(operation: &'static str, region: &Region, resource: impl Into<Arc<str>>) -> Self {
        Target { operation, region: region.clone(), plane: Plane::Data, resource: resource.into() }
    }

    fn as_call(&self, mutates: bool) -> Call {
        Call { operation: self.operation.into(), region: self.region.clone(), plane: self.plane, mutates, resource: self.resource.clone() }
    }

    /// An error of this call.
    pub fn failed(&self, failed: Failed) -> CallError {
        CallError {
            operation: self.operation.to_owned(),
            resource: format!("{} ({})", self.resource, self.region),
            fault: failed.fault,
            message: failed.message,
        }
    }
}

/// The names of what a call is about, for people.
pub(crate) fn joined<K>(ids: &[Id<K>]) -> Arc<str> {
    let named = ids.iter().take(NAMED).map(|id| &*id.name).collect::<Vec<_>>().join(", ");
    if ids.len() > NAMED { format!("{named} and {} more", ids.len() - NAMED).into() } else { named.into() }
}

/// So many are named one by one: the ledger keeps what was called, and a page of a hundred names each time would fill it.
const NAMED: usize = 5;
/// Pages of one read that are under way at any time.
pub(crate) const PAGES_SIDE_BY_SIDE: usize = 5;

impl<X> Aws<X> {
    /// A read of the service's estate.
    ///
    /// # Errors
    /// How the call failed.
    pub async fn read<T>(&self, target: Target, send: impl Future<Output = Result<T, Failed>>) -> Result<T, CallError> {
        self.attempt(&target, false, send).await.map_err(|failed| target.failed(failed))
    }

    /// A change of the service's estate: begins only if kill switch and epoch permit it, and its intent is written first.
    ///
    /// # Errors
    /// How the call failed. [`CallFault::is_ambiguous`] says whether it may have been applied.
    pub async fn mutate<T>(&self, target: Target, send: impl Future<Output = Result<T, Failed>>) -> Result<T, CallError>
    where
        Self: Control + Ledger,
    {
        admit(self, &target.as_call(true)).await?;
        self.attempt(&target, true, send).await.map_err(|failed| target.failed(failed))
    }

    /// A call to Muster's own table, bucket, topics or executions: not journaled.
    ///
    /// # Errors
    /// How the call failed.
    pub async fn books<T>(&self, target: Target, send: impl Future<Output = Result<T, Failed>>) -> Result<T, CallError> {
        let (result, _) = observer::watch(target.operation, send).await;
        result.map_err(|failed| target.failed(failed))
    }

    async fn attempt<T>(&self, target: &Target, mutates: bool, send: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let began = self.now();
        // A server behind a security group says nothing about its region: to neither side.
        let guarded = target.region != self.settings().home && !target.operation.starts_with("sql:");
        let (result, request_id) = if guarded && self.breaker.is_open(&target.region, began) {
            (Err(Failed::new(CallFault::Unreachable, format!("{} did not answer a moment ago", target.region))), None)
        } else {
            let answered = observer::watch(target.operation, send).await;
            if guarded {
                self.breaker.learn(&target.region, self.now(), answered.0.as_ref().err().map(|failed| failed.fault));
            }
            answered
        };
        let now = self.now();
        if self.journal().head().is_some() {
            let (fault, message) = result.as_ref().err().map_or((None, String::new()), |failed| (Some(failed.fault), failed.message.clone()));
            self.journal().called(now, target.as_call(mutates), Outcome { fault, message, latency: now.since(began), request_id });
        }
        result
    }
}

#[cfg(test)]
mod tests;
