//! Writes the recovered endpoints where workloads read them: SSM parameters and launch templates.
//!
//! Converges: a value that is right already is not written again.
//! Refuses:   nothing; a reference that cannot be resolved is a permanent failure.
//! Leaves behind on failure: values that were written; `stand-down` writes the former ones back.
//! AWS: rds:DescribeDBInstances, elasticache:DescribeGlobalReplicationGroups, elasticache:DescribeReplicationGroups, ssm:GetParameters,
//!      ssm:PutParameter, ec2:DescribeLaunchTemplateVersions, ec2:CreateLaunchTemplateVersion, ec2:ModifyLaunchTemplate (standby region).

use std::collections::BTreeMap;

use muster_core::ports::{Databases, GlobalCaches, LaunchTemplates, Notes, Parameters};
use muster_core::{Action, ActionError, CallError, Clock, Conduct, Context, DatabaseId, Evidence, Finding, Hash, LaunchTemplateId, ParameterId, Progress};
use muster_plan::{CacheStandby, Configuration, Name, Plan, Reference, Template};
use serde::Deserialize;

use crate::batch::{Batch, Pace};
use crate::notes;

/// The action.
pub const UPDATE_CONFIGURATION: Action = Action { name: "update-configuration", conduct: Conduct::Mutates };

/// How much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// What new instances read when they start, as far as it is known already.
    Launch,
    /// Everything.
    #[default]
    All,
}

/// How much of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// Launch templates only, or everything.
    pub stage: Stage,
}

/// What the standby's parts are called now: `databases.portal-db.endpoint` → host.
pub(crate) type Endpoints = BTreeMap<(String, String), String>;

/// Writes what is not as it should be. Called twice, it writes nothing twice.
///
/// # Errors
/// `Permanent` for a reference that nothing in the standby region answers to.
pub async fn update_configuration<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Databases + GlobalCaches + Parameters + LaunchTemplates + Notes,
{
    let items: Vec<&Configuration> =
        cx.plan.configuration.iter().filter(|item| request.stage == Stage::All || matches!(item, Configuration::LaunchTemplate { .. })).collect();
    if items.is_empty() {
        return Ok(Progress::done("the plan configures nothing here"));
    }
    let endpoints = read_endpoints(world, cx.plan).await?;
    let mut batch = Batch::default();
    for item in items {
        let outcome = match item {
            Configuration::SsmParameter { name, parameter, value, region } => match resolve(cx.plan, value, &endpoints) {
                Ok(value) => put_parameter(world, cx, name, &ParameterId::new(cx.plan.regions.get(*region), parameter), &value).await,
                Err(finding) => Err(Stuck::Unresolved(finding)),
            },
            Configuration::LaunchTemplate { name, template, user_data } => match resolve(cx.plan, user_data, &endpoints) {
                Ok(user_data) => put_template(world, cx, name, &LaunchTemplateId::new(&cx.plan.regions.standby, template), &user_data).await,
                Err(finding) => Err(Stuck::Unresolved(finding)),
            },
            // `muster check` and `open-run` say so before anything is touched.
            other => Err(Stuck::Unresolved(Finding::new(
                other.name(),
                "this kind of configuration is not built yet",
                "an SSM parameter or a launch template",
                "write it by hand, then answer `skip`",
            ))),
        };
        match outcome {
            Ok(()) => batch.done(item.name()),
            // Known only once the database is there: the later stage writes it.
            Err(Stuck::Unresolved(_)) if request.stage == Stage::Launch => batch.done(item.name()),
            Err(Stuck::Unresolved(finding)) => batch.failed(finding),
            Err(Stuck::Call(error)) => batch.call_failed(item.name(), error),
        }
    }
    batch.into_progress(world.now(), cx, Pace::Soon, "configured")
}

enum Stuck {
    Unresolved(Finding),
    Call(CallError),
}

impl From<CallError> for Stuck {
    fn from(error: CallError) -> Self {
        Stuck::Call(error)
    }
}

async fn read_endpoints<W>(world: &W, plan: &Plan) -> Result<Endpoints, ActionError>
where
    W: Databases + GlobalCaches,
{
    let standby = &plan.regions.standby;
    let mut endpoints = Endpoints::new();
    let replicas: Vec<(&Name, DatabaseId)> = plan.replica_databases().map(|(database, id)| (&database.name, DatabaseId::new(standby, id))).collect();
    if !replicas.is_empty() {
        let ids: Vec<DatabaseId> = replicas.iter().map(|(_, id)| id.clone()).collect();
        let states = world.describe_databases(standby, &ids).await?;
        for (name, id) in &replicas {
            if let Some(endpoint) = states.get(id).and_then(|state| state.endpoint.as_deref()) {
                endpoints.insert(("databases".into(), name.to_string()), host(endpoint));
            }
        }
    }
    let datastores: Vec<_> = plan
        .caches
        .iter()
        .filter_map(|cache| match &cache.standby {
            CacheStandby::GlobalDatastore { global_id, id } => Some((&cache.name, std::sync::Arc::from(global_id.as_str()), id)),
            _ => None,
        })
        .collect();
    if !datastores.is_empty() {
        let ids: Vec<_> = datastores.iter().map(|(_, global, _)| std::sync::Arc::clone(global)).collect();
        let states = world.describe_global_caches(standby, &ids).await?;
        for (name, global, group) in &datastores {
            let member = states.get(global).and_then(|state| state.members.iter().find(|member| *member.group == ***group));
            if let Some(endpoint) = member.and_then(|member| member.endpoint.as_deref()) {
                endpoints.insert(("caches".into(), name.to_string()), host(endpoint));
            }
        }
    }
    Ok(endpoints)
}

fn host(endpoint: &str) -> String {
    endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host).to_owned()
}

/// The value with every reference replaced by what the standby region's parts are called.
fn resolve(plan: &Plan, value: &Template, endpoints: &Endpoints) -> Result<String, Finding> {
    value
        .substitute(|reference: &Reference| match (reference.section.as_str(), reference.attribute.as_deref()) {
            ("regions", None) => match reference.name.as_str() {
                "primary" => Some(plan.regions.primary.to_string()),
                "standby" => Some(plan.regions.standby.to_string()),
                "witness" => Some(plan.regions.witness.to_string()),
                _ => None,
            },
            (section, Some("endpoint")) => endpoints.get(&(section.to_owned(), reference.name.clone())).cloned(),
            ("databases", Some("port")) => plan.database(&reference.name).map(|database| database.port().to_string()),
            ("databases", Some("database")) => plan.database(&reference.name).and_then(|database| database.database.clone()),
            ("caches", Some("port")) => plan.cache(&reference.name).map(|cache| cache.port().to_string()),
            _ => None,
        })
        .map_err(|error| {
            Finding::new(
                "configuration",
                error.to_string(),
                "a reference that the standby region answers to",
                "recover that part by hand or correct the plan, then answer `retry`",
            )
        })
}

async fn put_parameter<W>(world: &W, cx: &Context<'_, Plan>, name: &Name, id: &ParameterId, value: &str) -> Result<(), Stuck>
where
    W: Clock + Parameters + Notes,
{
    let before = world.get_parameters(&id.region, std::slice::from_ref(id)).await?.remove(id);
    if before.as_deref() == Some(value) {
        return Ok(());
    }
    notes::remember_value(world, cx.run, name, before.as_deref()).await?;
    world.put_parameter(id, value).await?;
    cx.saw(world.now(), Evidence::Configured { item: id.to_string(), before: before.unwrap_or_default(), after: value.to_owned() });
    Ok(())
}

async fn put_template<W>(world: &W, cx: &Context<'_, Plan>, name: &Name, id: &LaunchTemplateId, user_data: &str) -> Result<(), Stuck>
where
    W: Clock + LaunchTemplates + Notes,
{
    let Some(before) = world.describe_templates(&id.region, std::slice::from_ref(id)).await?.remove(id) else {
        return Err(Stuck::Unresolved(Finding::new(
            id,
            "it does not exist",
            "the launch template that the plan names",
            "create it or correct the plan, then answer `retry`",
        )));
    };
    if before.user_data == user_data {
        return Ok(());
    }
    notes::remember_value(world, cx.run, name, Some(&before.user_data)).await?;
    let version = world.create_template_version(id, user_data, &client_token(&cx.run.id.0, &id.name, user_data)).await?;
    cx.saw(
        world.now(),
        Evidence::Configured { item: id.to_string(), before: format!("version {}", before.latest_version), after: format!("version {version}") },
    );
    Ok(())
}

/// EC2 answers the same token with the same version. At most 64 ASCII characters.
pub(crate) fn client_token(run: &str, template: &str, user_data: &str) -> String {
    Hash::of(format!("{run}\n{template}\n{user_data}").as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_known_by_its_host() {
        assert_eq!(host("replica.abc.us-west-2.rds.amazonaws.com:5432"), "replica.abc.us-west-2.rds.amazonaws.com");
        assert_eq!(host("replica"), "replica");
    }

    #[test]
    fn the_same_version_is_asked_for_by_the_same_token() {
        assert_eq!(client_token("r", "t", "u"), client_token("r", "t", "u"));
        assert_ne!(client_token("r", "t", "u"), client_token("r", "t", "v"));
        assert_eq!(client_token("r", "t", "u").len(), 64);
    }
}
