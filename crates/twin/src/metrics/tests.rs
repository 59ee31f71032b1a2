//! What CloudWatch shows on good days and on bad ones.

use std::rc::Rc;
use std::sync::Arc;

use muster_core::Region;
use muster_core::ports::{Datapoint, MetricQuery};
use muster_plan::{Plan, RegionRole};
use serde_json::json;

use crate::clients::Side;
use crate::faults::Fault;
use crate::scenario::Scenario;
use crate::testing::{on, pass, plan, plan_with};
use crate::world::Twin;

const BALANCER: &str = "AWS/ApplicationELB";
const NOTHING: [i64; 0] = [];

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

/// The datapoints of the last `minutes` minutes.
fn asked(twin: &Rc<Twin>, place: &str, namespace: &str, name: &str, statistic: &str, minutes: u64) -> Vec<i64> {
    let since = twin.now().before(muster_core::Duration::from_mins(minutes));
    let dimensions = [("CacheClusterId".to_owned(), "sessions-dr-001".to_owned())].into();
    let query = MetricQuery {
        namespace: namespace.into(),
        name: name.into(),
        dimensions,
        statistic: statistic.into(),
        period: muster_core::Duration::from_mins(1),
        since,
    };
    twin.look(|estate| estate.metric(&region(place), &query)).into_iter().map(|Datapoint { milli, .. }| milli).collect()
}

/// The standby serves in full, and every name leads to it.
fn fail_over(twin: &Rc<Twin>) {
    let plan: Arc<Plan> = twin.look(|estate| estate.plan.clone());
    twin.change(|estate| {
        estate.strike(&Fault::RegionDown);
        for group in estate.groups.values_mut().filter(|group| group.id.region == plan.regions.standby) {
            group.healthy = [(1, group.needed)].into();
        }
        let host = estate.instances.values().find(|instance| instance.id.region == plan.regions.standby).unwrap().host.clone();
        for template in estate.templates.values_mut() {
            template.versions = vec![host.clone()];
        }
        for instance in estate.instances.values_mut() {
            instance.source = None;
        }
        for index in 0..estate.records.len() {
            let (now, ttl) = (estate.now(), estate.records[index].answers.ttl());
            estate.records[index].answers.change(now, Side::Standby);
            estate.clients.turn(ttl, Side::Standby);
        }
    });
    twin.look(|estate| assert_eq!(estate.service[1].success, crate::clients::ALL, "it serves in full"));
}

#[test]
fn a_count_of_errors_is_absent_while_there_are_none() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        pass(300).await;
        let count = |name| asked(&twin, "us-east-1", BALANCER, name, "Sum", 2);
        assert_eq!(count("RequestCount"), [2_400_000, 2_400_000], "forty a second");
        assert_eq!(count("HTTPCode_Target_2XX_Count"), [2_400_000, 2_400_000]);
        assert_eq!(count("HTTPCode_Target_5XX_Count"), NOTHING);
        assert_eq!(count("HTTPCode_ELB_5XX_Count"), NOTHING);
    });
}

#[test]
fn requests_that_fail_are_counted_where_they_fail() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        let instances = |count: u32| {
            twin.change(|estate| {
                estate.groups.values_mut().filter(|group| group.serving && !group.healthy.is_empty()).for_each(|group| group.shrink_to(count))
            });
        };
        let count = |name| asked(&twin, "us-east-1", BALANCER, name, "Sum", 1);
        instances(3);
        pass(120).await;
        assert_eq!(count("HTTPCode_Target_5XX_Count"), [600_000], "one of four instances is missing");
        assert_eq!(count("HTTPCode_ELB_5XX_Count"), NOTHING);
        instances(0);
        pass(120).await;
        assert_eq!(count("HTTPCode_ELB_5XX_Count"), [2_400_000], "nobody is there whom the load balancer could ask");
        assert_eq!(count("HTTPCode_Target_5XX_Count"), NOTHING);
        assert_eq!(count("TargetResponseTime"), NOTHING);
        assert_eq!(count("HealthyHostCount"), [0]);
    });
}

#[test]
fn a_load_balancer_that_nobody_uses_reports_nothing() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        pass(300).await;
        for name in ["RequestCount", "HTTPCode_Target_2XX_Count", "HTTPCode_Target_5XX_Count", "TargetResponseTime"] {
            assert_eq!(asked(&twin, "us-west-2", BALANCER, name, "Sum", 5), NOTHING, "{name}");
        }
        assert_eq!(asked(&twin, "us-west-2", "AWS/ElastiCache", "CacheHitRate", "Average", 5), NOTHING);
    });
}

#[test]
fn a_datapoint_stays_what_it_was() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        pass(300).await;
        let before = asked(&twin, "us-east-1", BALANCER, "RequestCount", "Sum", 2);
        twin.change(|estate| estate.strike(&Fault::RegionDown));
        pass(120).await;
        let after = asked(&twin, "us-east-1", BALANCER, "RequestCount", "Sum", 4);
        assert_eq!(after, before, "and nothing is added while no client reaches the region");
    });
}

#[test]
fn no_value_follows_from_what_a_check_wants_to_see() {
    let checked = |below: &str, above: &str| {
        let check = |name: &str, namespace: &str, metric: &str, word: &str, limit: &str| json!({"kind": "metric", "name": name, "namespace": namespace, "metric": metric, "statistic": "Average", word: limit});
        plan_with(|plan| {
            plan["checks"] =
                json!([check("latency", BALANCER, "TargetResponseTime", "below", below), check("hits", "AWS/ElastiCache", "CacheHitRate", "above", above),]);
        })
    };
    let seen = |plan: &Arc<Plan>| {
        let mut seen = Vec::new();
        on(plan, &Scenario::quiet(1), async |twin: Rc<Twin>| {
            fail_over(&twin);
            pass(1_200).await;
            seen.push(asked(&twin, "us-west-2", BALANCER, "TargetResponseTime", "Average", 10));
            seen.push(asked(&twin, "us-west-2", "AWS/ElastiCache", "CacheHitRate", "Average", 10));
        });
        seen
    };
    let (lenient, strict) = (seen(&checked("2s", "80%")), seen(&checked("1ms", "99%")));
    assert_eq!(lenient, strict);
    assert_eq!(lenient.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10]);
    assert!(lenient[0].iter().all(|milli| (64..=96).contains(milli)), "80 ms, a fifth more or less: {:?}", lenient[0]);
    assert!(lenient[1].iter().all(|milli| *milli <= 100_000), "never more than all: {:?}", lenient[1]);
}

#[test]
fn answers_take_longer_while_instances_are_missing() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        pass(300).await;
        let slowest = |twin: &Rc<Twin>| asked(twin, "us-east-1", BALANCER, "TargetResponseTime", "p99", 3);
        assert!(slowest(&twin).iter().all(|milli| (384..=576).contains(milli)), "{:?}", slowest(&twin));
        twin.change(|estate| estate.groups.values_mut().filter(|group| group.serving).for_each(|group| group.shrink_to(1)));
        pass(300).await;
        assert!(slowest(&twin).iter().all(|milli| *milli >= 4 * 384), "a quarter of what is needed: {:?}", slowest(&twin));
    });
}

#[test]
fn a_cache_that_was_failed_over_is_cold_and_warms_within_minutes() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        pass(300).await;
        let rate = |place| asked(&twin, place, "AWS/ElastiCache", "CacheHitRate", "Average", 1)[0];
        assert_eq!(rate("us-east-1"), 95_000, "clients have used it for long");
        fail_over(&twin);
        pass(120).await;
        assert!(rate("us-west-2") < 60_000, "{}", rate("us-west-2"));
        pass(360).await;
        assert_eq!(rate("us-west-2"), 95_000);
        twin.change(|estate| {
            let (standby, now) = (estate.region(RegionRole::Standby).clone(), estate.now());
            estate.caches.values_mut().for_each(|cache| cache.make_primary(&standby, now));
        });
        pass(120).await;
        assert!(rate("us-west-2") < 60_000, "failed over under its clients: {}", rate("us-west-2"));
    });
}

#[test]
fn a_metric_that_is_not_modelled_has_no_datapoint_and_the_story_says_so_once() {
    on(&plan(), &Scenario::quiet(1), async |twin: Rc<Twin>| {
        pass(300).await;
        for _ in 0..2 {
            assert_eq!(asked(&twin, "us-west-2", "Shop", "Orders", "Sum", 5), NOTHING);
            assert_eq!(asked(&twin, "us-west-2", BALANCER, "ConsumedLCUs", "Sum", 5), NOTHING);
        }
        let told = twin.look(|estate| estate.story.recent().filter(|event| event.line(estate.incident_at).contains("is not modelled")).count());
        assert_eq!(told, 2);
    });
}
