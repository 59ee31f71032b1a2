//! Metrics, HTTP, DNS.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::ports::{AlarmState, Alarms, AliasRecord, Datapoint, Dns, Http, HttpAnswer, MetricQuery, MetricWriter, Metrics, Resolver, Vantage};
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

/// Where Route 53's control plane is (FACTS: AWS, "Placement").
const ROUTE_53: &str = "us-east-1";

impl Metrics for World {
    async fn read_metrics(&self, region: &Region, queries: &[MetricQuery]) -> Result<Vec<Vec<Datapoint>>, CallError> {
        let named = queries.first().map_or_else(String::new, |query| format!("{} {}", query.namespace, query.name));
        self.read(data("cloudwatch:GetMetricData", region, named, &DATA_CALL), |estate, _| {
            Ok(queries.iter().map(|query| estate.metric(region, query)).collect())
        })
        .await
    }
}

impl MetricWriter for World {
    async fn put_metric(
        &self,
        region: &Region,
        namespace: &str,
        name: &str,
        dimensions: &BTreeMap<String, String>,
        milli: i64,
        moves_traffic: bool,
    ) -> Result<(), CallError> {
        let run = self.journal_run();
        let calling = data("cloudwatch:PutMetricData", region, format!("{namespace} {name}"), &DATA_CALL);
        let effect = |estate: &mut Estate| {
            estate.publish(region, namespace, name, dimensions, milli, run.as_deref());
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
    async fn upsert_alias(&self, alias: AliasRecord<'_>) -> Result<(), CallError> {
        let AliasRecord { name: record, zone, target, .. } = alias;
        let region: Region = ROUTE_53.parse().unwrap_or_else(|_| self.region(self.here()));
        let run = self.journal_run();
        self.mutate(control("route53:ChangeResourceRecordSets", &region, record).changing(), |estate| {
            let found = estate.records.iter().position(|known| *known.name == *record && *known.zone == *zone);
            let index = found.ok_or_else(|| missing(format!("{record} in {zone}")))?;
            let side =
                estate.records[index].side_of(target).ok_or_else(|| rejected(format!("InvalidChangeBatch: {target} is no target that this estate has")))?;
            if estate.records[index].wanted != side {
                estate.check_move(index, side, run.as_deref());
            }
            estate.move_record(index, side, &INSYNC);
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
    fn publish(&mut self, region: &Region, namespace: &str, name: &str, dimensions: &BTreeMap<String, String>, milli: i64, run: Option<&muster_core::Run>) {
        let at = self.now;
        match self.published.iter_mut().find(|((at, space, metric), _)| at == region && **space == *namespace && **metric == *name) {
            Some((_, points)) => points.push(Datapoint { at, milli }),
            None => {
                self.published.insert((region.clone(), namespace.into(), name.into()), vec![Datapoint { at, milli }]);
            }
        }
        if self.role_of(region) != Some(RegionRole::Standby) {
            return;
        }
        // A metric with a record's name in a dimension is that record's; one without is every record's.
        let named = |record: &str| dimensions.values().any(|value| value == record);
        let any_named = self.records.iter().any(|record| named(&record.name));
        for index in 0..self.records.len() {
            let record = &self.records[index];
            let follows = record.takeover.as_ref().is_some_and(|(space, metric)| **space == *namespace && **metric == *name);
            if !follows || (any_named && !named(&record.name)) {
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
        let by_name = self.records.iter().find(|record| *record.name == *name).map(|record| record.target(record.answers.current()));
        let by_host = || self.records.iter().find_map(|record| record.side_of(name).map(|side| record.target(side)));
        by_name.or_else(by_host).map(|target| target.to_string()).into_iter().collect()
    }

    /// The region that serves an address.
    fn region_behind(&self, url: &str) -> RegionRole {
        let host = host_of(url);
        let role = |side| if side == Side::Standby { RegionRole::Standby } else { RegionRole::Primary };
        if let Some(record) = self.records.iter().find(|record| *record.name == *host) {
            return role(record.answers.current());
        }
        if let Some(side) = self.records.iter().find_map(|record| record.side_of(host)) {
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
