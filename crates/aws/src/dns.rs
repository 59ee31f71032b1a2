//! Route 53's control plane, which is in us-east-1 whatever region a record is for.

use aws_sdk_route53::types::{AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecordSet, RrType};
use aws_smithy_types::error::operation::BuildError;
use muster_core::ports::{AliasRecord, Control, Dns, Ledger};
use muster_core::{CallError, CallFault, Region};

use crate::Aws;
use crate::call::Target;
use crate::failure::{Failed, classify};

/// Source: the Route 53 developer guide, "Disaster recovery in Amazon Route 53".
const CONTROL_PLANE: &str = "us-east-1";

impl<X> Dns for Aws<X>
where
    Aws<X>: Control + Ledger,
{
    async fn upsert_aliases(&self, zone: &str, aliases: &[AliasRecord<'_>]) -> Result<(), CallError> {
        let Some(first) = aliases.first() else { return Ok(()) };
        let region: Region = CONTROL_PLANE.parse().unwrap_or_else(|_| self.home().clone());
        let more = if aliases.len() > 1 { format!(" and {} more", aliases.len() - 1) } else { String::new() };
        let target = Target::control("route53:ChangeResourceRecordSets", &region, format!("{}{more} in {zone}", first.name));
        let changes: Result<Vec<Change>, BuildError> = aliases.iter().map(change).collect();
        let batch = changes.and_then(|changes| ChangeBatch::builder().set_changes(Some(changes)).build());
        let batch = batch.map_err(|error| target.failed(Failed::new(CallFault::Rejected, error.to_string())))?;
        let request = self.route53(&region).change_resource_record_sets().hosted_zone_id(zone).change_batch(batch);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }
}

fn change(alias: &AliasRecord<'_>) -> Result<Change, BuildError> {
    let points_to =
        AliasTarget::builder().hosted_zone_id(alias.target_zone).dns_name(alias.target).evaluate_target_health(alias.evaluate_target_health).build()?;
    let record = ResourceRecordSet::builder().name(alias.name).r#type(RrType::from(alias.record_type)).alias_target(points_to).build()?;
    Change::builder().action(ChangeAction::Upsert).resource_record_set(record).build()
}

#[cfg(test)]
mod tests;
