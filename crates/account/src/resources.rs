//! The resources of a plan that Muster changes, and those that hold what it must read: all of them carry the service's tag.

use std::collections::BTreeSet;

use muster_core::Region;
use muster_plan::{BackgroundWorkload, CacheStandby, Compute, Configuration, Delivery, Fence, Plan};

/// The kind of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An RDS instance.
    Database,
    /// An ElastiCache replication group.
    ReplicationGroup,
    /// An EC2 Auto Scaling group.
    ScalingGroup,
    /// An EC2 launch template.
    LaunchTemplate,
    /// An SSM parameter.
    Parameter,
    /// A Secrets Manager secret.
    Secret,
    /// An SNS topic, by its ARN.
    Topic,
    /// A CodeBuild project.
    Project,
}

impl Kind {
    /// As an operator says it.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Database => "RDS instance",
            Kind::ReplicationGroup => "replication group",
            Kind::ScalingGroup => "Auto Scaling group",
            Kind::LaunchTemplate => "launch template",
            Kind::Parameter => "SSM parameter",
            Kind::Secret => "secret",
            Kind::Topic => "SNS topic",
            Kind::Project => "CodeBuild project",
        }
    }
}

/// A resource of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub region: Region,
    /// Its name, identifier or ARN, as the plan has it.
    pub name: String,
}

/// Every resource of a plan that the installation's policies let Muster touch only by its tag.
pub fn resources(plan: &Plan) -> BTreeSet<Resource> {
    let mut found = Found { plan, resources: BTreeSet::new() };
    databases(&mut found);
    for dump in plan.databases.iter().filter_map(|database| database.restore_test.as_ref()?.dump.as_ref()) {
        found.standby(Kind::Project, &dump.project);
    }
    for cache in &plan.caches {
        if let CacheStandby::GlobalDatastore { id, .. } = &cache.standby {
            found.standby(Kind::ReplicationGroup, id);
        }
    }
    for compute in &plan.compute {
        match compute {
            Compute::AutoScalingGroup(group) => found.standby(Kind::ScalingGroup, &group.standby.group),
            Compute::Background(background) => {
                if let BackgroundWorkload::AutoScalingGroup { primary, standby, .. } = &background.workload {
                    found.primary(Kind::ScalingGroup, primary);
                    found.standby(Kind::ScalingGroup, standby);
                }
            }
            _ => {}
        }
    }
    for item in &plan.configuration {
        match item {
            Configuration::LaunchTemplate { template, .. } => found.standby(Kind::LaunchTemplate, template),
            Configuration::SsmParameter { parameter, .. } => found.standby(Kind::Parameter, parameter),
            _ => {}
        }
    }
    for channel in &plan.people.channels {
        match &channel.via {
            Delivery::Sns { topic } => found.standby(Kind::Topic, topic),
            Delivery::Webhook { address } => found.standby(Kind::Secret, &address.secret),
            Delivery::Person { .. } => {}
        }
    }
    found.resources
}

fn databases(found: &mut Found<'_>) {
    let plan = found.plan;
    for (database, id) in plan.replica_databases() {
        found.standby(Kind::Database, id);
        if let Some(Fence::Quarantine { .. }) = database.fence {
            found.primary(Kind::Database, &database.primary);
        }
        if let Some(credentials) = &database.credentials {
            found.standby(Kind::Secret, &credentials.secret);
        }
    }
}

struct Found<'a> {
    plan: &'a Plan,
    resources: BTreeSet<Resource>,
}

impl Found<'_> {
    fn primary(&mut self, kind: Kind, name: &str) {
        self.resources.insert(Resource { kind, region: self.plan.regions.primary.clone(), name: name.to_owned() });
    }

    fn standby(&mut self, kind: Kind, name: &str) {
        self.resources.insert(Resource { kind, region: self.plan.regions.standby.clone(), name: name.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_that_basecoats_failover_touches_is_listed_with_its_region() {
        let text = include_bytes!("../../../plans/basecoat.yaml");
        let plan = muster_plan::load("basecoat.yaml", text).plan.unwrap();
        let listed: Vec<String> = resources(&plan).iter().map(|known| format!("{} {} {}", known.kind.words(), known.name, known.region)).collect();
        assert_eq!(
            listed,
            [
                "RDS instance basecoat-portal-db us-east-1",
                "RDS instance basecoat-portal-db-read-replica us-west-2",
                "replication group basecoat-portal-cache-dr us-west-2",
                "Auto Scaling group basecoat-batch-asg us-east-1",
                "Auto Scaling group basecoat-notifications-asg us-east-1",
                "Auto Scaling group basecoat-workers-asg us-east-1",
                "Auto Scaling group basecoat-batch-asg-dr us-west-2",
                "Auto Scaling group basecoat-notifications-asg-dr us-west-2",
                "Auto Scaling group basecoat-portal-asg-dr us-west-2",
                "Auto Scaling group basecoat-workers-asg-dr us-west-2",
                "launch template basecoat-lt us-west-2",
                "SSM parameter /basecoat/portal/db-host us-west-2",
                "secret basecoat/portal-db us-west-2",
                "secret basecoat/slack-webhook us-west-2",
                "secret basecoat/status-page us-west-2",
                "SNS topic arn:aws:sns:us-west-2:123456789012:basecoat-engineering us-west-2",
                "SNS topic arn:aws:sns:us-west-2:123456789012:basecoat-executives us-west-2",
                "SNS topic arn:aws:sns:us-west-2:123456789012:basecoat-on-call us-west-2",
                "SNS topic arn:aws:sns:us-west-2:123456789012:basecoat-on-call-dba us-west-2",
                "SNS topic arn:aws:sns:us-west-2:123456789012:basecoat-support us-west-2",
            ]
        );
    }

    #[test]
    fn the_project_that_loads_a_dump_is_one_of_them() {
        let plan = muster_plan::load("kaireon.yaml", include_bytes!("../../../plans/kaireon.yaml")).plan.unwrap();
        let project = Resource { kind: Kind::Project, region: plan.regions.standby.clone(), name: "kaireon-pg-restore".into() };
        assert!(resources(&plan).contains(&project));
    }
}
