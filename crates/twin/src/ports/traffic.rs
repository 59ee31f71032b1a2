//! Metrics, HTTP, DNS.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::ports::{
    AlarmState, Alarms, AliasRecord, Datapoint, Dns, Http, HttpAnswer, METRICS_A_CALL, MetricQuery, MetricValue, MetricWriter, Metrics, Resolver, Vantage,
};
use muster_core::{CallError, Duration, Region};
use muster_plan::{RegionRole, Source};

use crate::clients::{ALL, Side};
use crate::durations::{DATA_CALL, INSYNC, PAGE, TAKEOVER};
use crate::estate::Estate;
use crate::network::From;
use crate::ports::{control, data, missing, rejected};
use crate::schedules::PERIODS;
use crate::traffic::host_of;
use crate::world::{CONNECT, Refusal, World};

/// Where Route 53's control plane is. Source: "AWS Fault Isolation Boundaries", on global services.
const ROUTE_53: &str = "us-east-1";

/// A request takes so many changes, and an UPSERT is two. Source: the Route 53 developer guide, "Quotas", on ChangeResourceRecordSets.
const CHANGES: usize = 1_000;
/// GetMetricData takes so many queries. Source: its API reference.
const QUERIES: usize = 500;

/// What a call about many things is about.
fn of_many(whole: &str, first: Option<&str>, count: usize) -> String {
    match (first, count) {
        (Some(first), 1) => format!("{whole} {first}"),
        (Some(first), more) => format!("{whole} {first} and {} more", more - 1),
        (None, _) => whole.to_owned(),
    }
}

impl Metrics for World {
    async fn read_metrics(&self, region: &Region, queries: &[MetricQuery]) -> Result<Vec<Vec<Datapoint>>, CallError> {
        let mut series = Vec::with_capacity(queries.len());
        for queries in queries.chunks(QUERIES) {
            let named = queries.first().map_or_else(String::new, |query| format!("{} {}", query.namespace, query.name));
            let read = |estate: &mut Estate, _| Ok::<Vec<_>, Refusal>(queries.iter().map(|query| estate.metric(region, query)).collect());
            series.extend(self.read(data("cloudwatch:GetMetricData", region, named, &DATA_CALL), read).await?);
        }
        Ok(series)
    }
}

impl MetricWriter for World {
    async fn put_metrics(&self, region: &Region, namespace: &str, values: &[MetricValue], moves_traffic: bool) -> Result<(), CallError> {
        let run = self.journal_run();
        let calling = data("cloudwatch:PutMetricData", region, of_many(namespace, values.first().map(|value| &*value.name), values.len()), &DATA_CALL);
        let effect = |estate: &mut Estate| {
            if values.len() > METRICS_A_CALL {
                return Err(rejected(format!("InvalidParameterValue: {} values are more than a call takes", values.len())));
            }
            estate.touches(&[]);
            values.iter().for_each(|value| estate.publish(region, namespace, value, run.as_deref()));
            Ok(())
        };
        if moves_traffic {
            return self.mutate(calling.changing(), effect).await;
        }
        // A value that is published changes nothing that clients get: what follows from it comes later, as a change of its own. Clients
        // are integrated up to it all the same: a curve that is cut elsewhere is rounded elsewhere, by a millisecond.
        let publish = |estate: &mut Estate, _| {
            estate.integrate();
            effect(estate)
        };
        self.read(calling, publish).await
    }
}

impl Alarms for World {
    async fn alarm_states(&self, region: &Region, names: &[String]) -> Result<BTreeMap<String, AlarmState>, CallError> {
        self.read(data("cloudwatch:DescribeAlarms", region, names.join(", "), &DATA_CALL), |estate, _| {
            Ok(names.iter().filter_map(|name| Some((name.clone(), estate.alarm(region, name)?))).collect())
        })
        .await
    }
}

impl Http for World {
    async fn get(&self, from: &Vantage, url: &str) -> Result<HttpAnswer, CallError> {
        let (here, region) = {
            let twin = self.twin();
            let role = twin.look(|estate| estate.role_of(&from.0)).unwrap_or(self.here());
            (role, from.0.clone())
        };
        let began = muster_core::Clock::now(self);
        // The call is one of the prober's own region: what it finds out there is its result, never its failure.
        let answer = self.read(data("http:Get", &region, url, &PAGE), |estate, _| Ok(estate.page(here, url))).await?;
        Ok(match answer {
            Some(status) => HttpAnswer::Status { status, took: muster_core::Clock::now(self).since(began) },
            None => {
                self.wait(CONNECT).await;
                HttpAnswer::Nothing { why: format!("no connection to {} within {CONNECT}", host_of(url)) }
            }
        })
    }
}

impl Resolver for World {
    async fn resolve(&self, name: &str) -> Result<BTreeSet<String>, CallError> {
        let region = self.region(self.here());
        self.read(data("dns:Resolve", &region, name, &DATA_CALL), |estate, _| Ok(estate.resolve(name))).await
    }
}

impl Dns for World {
    async fn upsert_aliases(&self, zone: &str, aliases: &[AliasRecord<'_>]) -> Result<(), CallError> {
        let region: Region = ROUTE_53.parse().unwrap_or_else(|_| self.region(self.here()));
        let run = self.journal_run();
        let named = of_many(zone, aliases.first().map(|alias| alias.name), aliases.len());
        self.mutate(control("route53:ChangeResourceRecordSets", &region, named).changing(), |estate| {
            // All or none, so they are looked at first.
            if aliases.len() * 2 > CHANGES {
                return Err(rejected(format!("InvalidChangeBatch: {} changes, each counted twice, are more than {CHANGES}", aliases.len())));
            }
            let mut sides = Vec::with_capacity(aliases.len());
            for AliasRecord { name, target, .. } in aliases {
                let found = estate.record_of.get(*name).copied().filter(|index| *estate.records[*index].zone == *zone);
                let index = found.ok_or_else(|| missing(format!("{name} in {zone}")))?;
                let side = estate.records[index].side_of(target);
                sides.push((index, side.ok_or_else(|| rejected(format!("InvalidChangeBatch: {target} is no target that this estate has")))?));
            }
            estate.touches(&[]);
            for (index, side) in sides {
                if estate.records[index].wanted != side {
                    estate.check_move(index, side, run.as_deref());
                }
                estate.move_record(index, side, &INSYNC);
            }
            Ok::<(), Refusal>(())
        })
        .await
    }
}

impl Estate {
    /// Two kinds of alarms are modelled: the plan's first, on the probe's metric, and those that are sources of the outage,
    /// which see what the probe of their region sees.
    fn alarm(&self, region: &Region, name: &str) -> Option<AlarmState> {
        let plan = &self.plan;
        if plan.triggers.alarms.first().is_some_and(|known| known == name) && *region == plan.regions.standby {
            return Some(self.alarm_since.map_or(AlarmState::Ok, |since| AlarmState::Alarm { since }));
        }
        let sources = &plan.triggers.confirm.of;
        let named = |source: &&Source| matches!(source, Source::Alarm { alarm, region: at, .. } if alarm == name && plan.regions.get(*at) == region);
        let at = sources.iter().find(named)?.vantage()?;
        let looks = sources.iter().filter(|source| matches!(source, Source::Http { .. }) && source.vantage() == Some(at));
        let since = looks.filter_map(|source| self.memory.failing_since(source.name().as_str(), PERIODS)).min();
        Some(since.map_or(AlarmState::Ok, |since| AlarmState::Alarm { since }))
    }

    /// Muster publishes a value; health checks that follow it move their records.
    fn publish(&mut self, region: &Region, namespace: &str, value: &MetricValue, run: Option<&muster_core::Run>) {
        let at = self.now;
        let MetricValue { name, dimensions, milli } = value;
        let milli = *milli;
        match self.published.iter_mut().find(|((at, space, metric), _)| at == region && **space == *namespace && *metric == *name) {
            Some((_, points)) => points.push(Datapoint { at, milli }),
            None => {
                self.published.insert((region.clone(), namespace.into(), name.clone()), vec![Datapoint { at, milli }]);
            }
        }
        if self.role_of(region) != Some(RegionRole::Standby) {
            return;
        }
        // A metric with a record's name in a dimension is that record's; one without is every record's.
        let named: Vec<usize> = dimensions.values().filter_map(|value| self.record_of.get(value.as_str()).copied()).collect();
        let records = if named.is_empty() { (0..self.records.len()).collect() } else { named };
        for index in records {
            let record = &self.records[index];
            let follows = record.takeover.as_ref().is_some_and(|(space, metric)| **space == *namespace && *metric == *name);
            if !follows {
                continue;
            }
            let side = if milli >= 500 { Side::Standby } else { Side::Primary };
            if record.wanted != side {
                self.check_move(index, side, run);
            }
            self.move_record(index, side, &TAKEOVER);
        }
    }

    /// The targets that a name resolves to.
    fn resolve(&self, name: &str) -> BTreeSet<String> {
        let by_name = self.record_of.get(name).map(|index| &self.records[*index]).map(|record| record.target(record.answers.current()));
        let by_host = || self.host_of.get(name).map(|index| &self.records[*index]).and_then(|record| Some(record.target(record.side_of(name)?)));
        by_name.or_else(by_host).map(|target| target.to_string()).into_iter().collect()
    }

    /// The region that serves an address.
    fn region_behind(&self, url: &str) -> RegionRole {
        let host = host_of(url);
        let role = |side| if side == Side::Standby { RegionRole::Standby } else { RegionRole::Primary };
        if let Some(index) = self.record_of.get(host) {
            return role(self.records[*index].answers.current());
        }
        if let Some(side) = self.host_of.get(host).and_then(|index| self.records[*index].side_of(host)) {
            return role(side);
        }
        let named = |role: &RegionRole| host.contains(self.region(*role).as_str());
        let is_standby_check = || {
            self.plan.checks.iter().any(|check| matches!(check, muster_plan::Check::Http(check) if check.url == url && check.via == muster_plan::Via::Standby))
        };
        match [RegionRole::Primary, RegionRole::Standby].into_iter().find(named) {
            Some(role) => role,
            None if is_standby_check() => RegionRole::Standby,
            None => RegionRole::Primary,
        }
    }

    /// The status of a page, as seen from a region; `None` where nobody answers.
    fn page(&self, from: RegionRole, url: &str) -> Option<u16> {
        let role = self.region_behind(url);
        if !self.network.reaches(From::Region(from), role) {
            return None;
        }
        // A region that clients cannot reach serves nobody, and its machines may still answer Muster.
        let service = &self.service[usize::from(role == RegionRole::Standby)];
        Some(if service.success >= ALL / 2 { 200 } else { 503 })
    }
}

impl World {
    async fn wait(&self, span: Duration) {
        self.twin().sleep(span).await;
    }
}
