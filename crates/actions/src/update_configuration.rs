//! Writes the recovered endpoints where workloads read them: SSM parameters and launch templates.
//!
//! Converges: a value that is right already is not written again.
//! Refuses:   nothing; a reference that cannot be resolved is a permanent failure.
//! Leaves behind on failure: values that were written; `stand-down` writes the former ones back.
//! AWS: rds:DescribeDBInstances, elasticache:DescribeGlobalReplicationGroups, elasticache:DescribeReplicationGroups, ssm:GetParameters,
//!      ssm:PutParameter, ec2:DescribeLaunchTemplateVersions, ec2:CreateLaunchTemplateVersion, ec2:ModifyLaunchTemplate,
//!      dynamodb:Query (standby region).

use std::collections::{BTreeMap, BTreeSet};

use muster_core::ports::{Databases, GlobalCaches, LaunchTemplates, Notes, Parameters};
use muster_core::{
    Action, ActionError, CallError, Clock, Conduct, Context, DatabaseId, Duration, Evidence, Finding, Hash, LaunchTemplateId, ParameterId, Progress, Region,
};
use muster_plan::{Cache, CacheStandby, Configuration, Database, Name, Plan, Reference, Template};
use serde::Deserialize;

use crate::batch::{Batch, Pace};
use crate::budget::{BUDGET, Budget, PUT_PARAMETER};
use crate::notes::{self, Book, Settled};

/// The action.
pub const UPDATE_CONFIGURATION: Action = Action { name: "update-configuration", conduct: Conduct::Mutates };

/// `GetParameters` takes so many names. Source: its API reference.
const A_LOOK: usize = 10;
/// So many items are looked at in one invocation.
const AT_ONCE: usize = 100;
const TURN_TO_COME: &str = "waiting for its turn in Parameter Store's call budget";
/// So long into an invocation no further parameter is looked at: the next one goes on with the rest.
const LOOKING: Duration = Duration::from_secs(30);
/// Whoever waits for its turn is asked again this soon: the budget of Parameter Store holds no more than a second's calls.
const TURN: Duration = Duration::from_secs(1);

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
    let mut settled = Settled::read(world, cx, "parameters").await?;
    let (mut batch, mut parameters) = (Batch::default(), BTreeMap::<&Region, Vec<Wanted<'_>>>::new());
    let (done, mut left): (Vec<&Configuration>, Vec<&Configuration>) = items.into_iter().partition(|item| settled.has(item.name().as_str()));
    done.iter().for_each(|item| batch.done(item.name()));
    // No more are looked at than can be written before long: what their values refer to costs calls too.
    let later: Vec<&Configuration> = left.drain(left.len().min(AT_ONCE)..).collect();
    let parts = Parts::read(world, cx.plan, &left).await?;
    for item in left {
        let outcome = match item {
            Configuration::SsmParameter { name, parameter, value, region } => match parts.resolve(cx.plan, value) {
                Ok(value) => {
                    let region = cx.plan.regions.get(*region);
                    parameters.entry(region).or_default().push(Wanted { name, id: ParameterId::new(region, parameter), value });
                    continue;
                }
                Err(finding) => Err(Stuck::Unresolved(finding)),
            },
            Configuration::LaunchTemplate { name, template, user_data } => match parts.resolve(cx.plan, user_data) {
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
            Ok(()) => {
                settled.add(item.name().as_str());
                batch.done(item.name());
            }
            // Known only once the database is there: the later stage writes it.
            Err(Stuck::Unresolved(_)) if request.stage == Stage::Launch => {
                settled.add(item.name().as_str());
                batch.done(item.name());
            }
            Err(Stuck::Unresolved(finding)) => batch.failed(finding),
            Err(Stuck::Call(error)) => batch.call_failed(item.name(), error),
        }
    }
    for (region, wanted) in parameters {
        put_parameters(world, cx, region, wanted, &mut settled, &mut batch).await?;
    }
    for item in later {
        // Where nothing gets on any more, those that stand in the way are reported before it is their turn.
        if settled.has_grown() { batch.queued(item.name(), TURN_TO_COME) } else { batch.pending(item.name(), TURN_TO_COME) }
    }
    settled.keep(world, cx.run).await?;
    let pace = if batch.waiting_for_turn() > 0 { Pace::Turn(TURN) } else { Pace::Soon };
    batch.into_progress(world.now(), cx, pace, "configured")
}

/// A parameter and the value that it must have.
struct Wanted<'p> {
    name: &'p Name,
    id: ParameterId,
    value: String,
}

/// Writes the parameters of a region that are not as wanted: as many as Parameter Store's rate allows now. Those that are right are settled, and not
/// looked at again by the next call.
async fn put_parameters<W>(
    world: &W,
    cx: &Context<'_, Plan>,
    region: &Region,
    wanted: Vec<Wanted<'_>>,
    settled: &mut Settled,
    batch: &mut Batch,
) -> Result<(), ActionError>
where
    W: Clock + Parameters + Notes,
{
    let book = Book::of_run(world, cx.run, BUDGET).await?;
    let mut budget = Budget::of(&book, PUT_PARAMETER, region, wanted.len(), cx.now)?;
    for some in wanted.chunks(A_LOOK) {
        if budget.left(world.now()) == 0 || world.now().since(cx.now) > LOOKING {
            some.iter().for_each(|one| batch.queued(one.name, TURN_TO_COME));
            continue;
        }
        let ids: Vec<ParameterId> = some.iter().map(|one| one.id.clone()).collect();
        let before = world.get_parameters(region, &ids).await?;
        for one in some {
            let before = before.get(&one.id);
            if before == Some(&one.value) {
                settled.add(one.name.as_str());
                batch.done(one.name);
                continue;
            }
            if budget.left(world.now()) == 0 {
                batch.queued(one.name, TURN_TO_COME);
                continue;
            }
            budget.spend(world.now(), 1);
            budget.keep(world, cx.run).await?;
            match put_parameter(world, cx, one, before.map(String::as_str)).await {
                Ok(()) => {
                    settled.add(one.name.as_str());
                    batch.done(one.name);
                }
                Err(error) => batch.call_failed(one.name, error),
            }
        }
    }
    Ok(())
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

/// What the standby region's parts are called now.
struct Parts<'p> {
    endpoints: Endpoints,
    databases: BTreeMap<&'p str, &'p Database>,
    caches: BTreeMap<&'p str, &'p Cache>,
}

impl<'p> Parts<'p> {
    /// Those that the values of these items refer to.
    async fn read<W>(world: &W, plan: &'p Plan, items: &[&Configuration]) -> Result<Self, ActionError>
    where
        W: Databases + GlobalCaches,
    {
        let values = items.iter().flat_map(|item| item.values());
        let referred: BTreeSet<String> = values.flat_map(|(_, value)| value.references().into_iter().flatten()).map(|reference| reference.name).collect();
        Ok(Parts {
            endpoints: read_endpoints(world, plan, &referred).await?,
            databases: plan.databases.iter().map(|database| (database.name.as_str(), database)).collect(),
            caches: plan.caches.iter().map(|cache| (cache.name.as_str(), cache)).collect(),
        })
    }

    /// The value with every reference replaced by what the standby region's parts are called.
    fn resolve(&self, plan: &Plan, value: &Template) -> Result<String, Finding> {
        value
            .substitute(|reference: &Reference| match (reference.section.as_str(), reference.attribute.as_deref()) {
                ("regions", None) => match reference.name.as_str() {
                    "primary" => Some(plan.regions.primary.to_string()),
                    "standby" => Some(plan.regions.standby.to_string()),
                    "witness" => Some(plan.regions.witness.to_string()),
                    _ => None,
                },
                (section, Some("endpoint")) => self.endpoints.get(&(section.to_owned(), reference.name.clone())).cloned(),
                ("databases", Some("port")) => self.databases.get(reference.name.as_str()).map(|database| database.port().to_string()),
                ("databases", Some("database")) => self.databases.get(reference.name.as_str()).and_then(|database| database.database.clone()),
                ("caches", Some("port")) => self.caches.get(reference.name.as_str()).map(|cache| cache.port().to_string()),
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
}

async fn read_endpoints<W>(world: &W, plan: &Plan, referred: &BTreeSet<String>) -> Result<Endpoints, ActionError>
where
    W: Databases + GlobalCaches,
{
    let standby = &plan.regions.standby;
    let mut endpoints = Endpoints::new();
    let replicas: Vec<(&Name, DatabaseId)> = plan
        .replica_databases()
        .filter(|(database, _)| referred.contains(database.name.as_str()))
        .map(|(database, id)| (&database.name, DatabaseId::new(standby, id)))
        .collect();
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
        .filter(|cache| referred.contains(cache.name.as_str()))
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

async fn put_parameter<W>(world: &W, cx: &Context<'_, Plan>, wanted: &Wanted<'_>, before: Option<&str>) -> Result<(), CallError>
where
    W: Clock + Parameters + Notes,
{
    notes::remember_value(world, cx.run, wanted.name, before).await?;
    world.put_parameter(&wanted.id, &wanted.value).await?;
    cx.saw(world.now(), Evidence::Configured { item: wanted.id.to_string(), before: before.unwrap_or_default().to_owned(), after: wanted.value.clone() });
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
