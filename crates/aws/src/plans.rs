//! The plan bucket: the plans in force, and the plan that a run was opened with.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_s3::types::Object;
use futures::{StreamExt, stream};
use muster_core::ports::{Plans, StartedPlan};
use muster_core::{CallError, CallFault, Hash, PlanPin};
use muster_plan::Plan;

use crate::clients::ATTEMPT;
use crate::{Aws, Failed, Target, classify};

const PREFIX: &str = "plans/";
const SIDE_BY_SIDE: usize = 8;
/// Far above the largest plan: a wrong object must not fill a function's memory.
const LARGEST_PLAN: usize = 4 * 1_024 * 1_024;
/// More plans than that are not kept: a process that has seen so many versions starts afresh.
const KEPT: usize = 256;
/// The version of every object in a bucket without versions. Source: Amazon S3 user guide, "How S3 Versioning works".
const NO_VERSION: &str = "null";

/// Plans that were read by this process.
#[derive(Default)]
pub(crate) struct Shelf {
    /// By digest: the same bytes are the same plan.
    parsed: RefCell<BTreeMap<String, Arc<Plan>>>,
    /// By key: what was read last, and what the object was then.
    in_force: RefCell<BTreeMap<String, (Mark, StartedPlan<Plan>)>>,
}

/// Tells one version of an object from another: entity tag, and second of its last change.
type Mark = (String, i64);

impl Shelf {
    fn known(&self, digest: &str) -> Option<Arc<Plan>> {
        self.parsed.borrow().get(digest).cloned()
    }

    fn parse(&self, digest: &str, bytes: &[u8]) -> Result<Arc<Plan>, String> {
        if let Some(known) = self.known(digest) {
            return Ok(known);
        }
        let plan = Arc::new(Plan::from_canonical_json(bytes).map_err(|error| error.to_string())?);
        let mut parsed = self.parsed.borrow_mut();
        if parsed.len() >= KEPT {
            parsed.clear();
        }
        parsed.insert(digest.to_owned(), plan.clone());
        Ok(plan)
    }

    fn current(&self, key: &str, mark: &Mark) -> Option<StartedPlan<Plan>> {
        self.in_force.borrow().get(key).filter(|(known, _)| known == mark).map(|(_, started)| started.clone())
    }
}

/// An object of the bucket.
struct Fetched {
    bytes: Vec<u8>,
    version: String,
    mark: Option<Mark>,
}

impl<X> Aws<X> {
    fn plan_target(&self, operation: &'static str, what: &str) -> Target {
        Target::data(operation, self.home(), format!("{}/{what}", self.settings().bucket))
    }

    async fn fetch(&self, key: &str, version: Option<&str>) -> Result<Fetched, CallError> {
        let get = self.s3(self.home()).get_object().bucket(&self.settings().bucket).key(key).set_version_id(version.map(str::to_owned));
        let send = async {
            let answer = get.send().await.map_err(classify)?;
            let size = answer.content_length.and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
            if size > LARGEST_PLAN {
                return Err(Failed::new(CallFault::Rejected, format!("the object has {size} bytes, and a plan at most {LARGEST_PLAN}")));
            }
            let mark = answer.e_tag.zip(answer.last_modified.map(|at| at.secs()));
            let version = answer.version_id.unwrap_or_else(|| NO_VERSION.to_owned());
            // The SDK's time-outs end with the answer's head.
            let body = tokio::time::timeout(ATTEMPT, answer.body.collect()).await;
            let body = body.map_err(|_| Failed::new(CallFault::TimedOut, format!("the object did not arrive within {} s", ATTEMPT.as_secs())))?;
            let bytes = body.map_err(|error| Failed::new(CallFault::TimedOut, format!("the object did not arrive whole: {error}")))?.to_vec();
            Ok(Fetched { bytes, version, mark })
        };
        self.books(self.plan_target("s3:GetObject", key), send).await
    }

    async fn list_plans(&self) -> Result<Vec<Object>, CallError> {
        let pages = self.s3(self.home()).list_objects_v2().bucket(&self.settings().bucket).prefix(PREFIX).into_paginator().send();
        let all = async { pages.collect::<Result<Vec<_>, _>>().await.map_err(classify) };
        let pages = self.books(self.plan_target("s3:ListObjectsV2", PREFIX), all).await?;
        Ok(pages.into_iter().flat_map(|page| page.contents.unwrap_or_default()).collect())
    }

    /// The plan of a key as it is now; `None` where it is gone, or no plan: that is logged, and blinds nobody to the others.
    async fn plan_in_force(&self, key: &str, listed: Option<Mark>) -> Result<Option<StartedPlan<Plan>>, CallError> {
        if let Some(current) = listed.as_ref().and_then(|mark| self.plans.current(key, mark)) {
            return Ok(Some(current));
        }
        let fetched = match self.fetch(key, None).await {
            Ok(fetched) => fetched,
            // Removed since it was listed.
            Err(error) if error.fault == CallFault::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let digest = Hash::of(&fetched.bytes).to_string();
        let plan = match self.plans.parse(&digest, &fetched.bytes) {
            Ok(plan) if key == format!("{PREFIX}{}.json", plan.service) => plan,
            Ok(plan) => {
                tracing::error!(
                    key,
                    version = fetched.version,
                    "NOT IN FORCE: this is the plan of {}: push it with `muster push`, and remove this object",
                    plan.service
                );
                return Ok(None);
            }
            Err(error) => {
                tracing::error!(key, version = fetched.version, error, "NOT IN FORCE: this plan cannot be read: its service is neither probed nor failed over");
                return Ok(None);
            }
        };
        let started = StartedPlan { pin: PlanPin { key: key.into(), version: fetched.version.into(), sha256: digest.into() }, plan };
        // Overwritten since it was listed: the next listing tells.
        if let Some(mark) = fetched.mark.filter(|mark| Some(mark) == listed.as_ref()) {
            self.plans.in_force.borrow_mut().insert(key.to_owned(), (mark, started.clone()));
        }
        Ok(Some(started))
    }
}

impl<X> Plans<Plan> for Aws<X> {
    async fn load_plan(&self, pin: &PlanPin) -> Result<Arc<Plan>, CallError> {
        if let Some(known) = self.plans.known(&pin.sha256) {
            return Ok(known);
        }
        let failed = |message| self.plan_target("s3:GetObject", &pin.key).failed(Failed::new(CallFault::Rejected, message));
        let fetched = self.fetch(&pin.key, Some(&pin.version)).await?;
        let digest = Hash::of(&fetched.bytes).to_string();
        if *digest != *pin.sha256 {
            return Err(failed(format!(
                "version {} has the digest {digest}, and the run was opened with {}: the plan was changed under the run. Close the run, push the plan anew and start again",
                pin.version, pin.sha256
            )));
        }
        self.plans.parse(&digest, &fetched.bytes).map_err(failed)
    }

    async fn plans_in_force(&self) -> Result<Vec<StartedPlan<Plan>>, CallError> {
        let listed: Vec<(String, Option<Mark>)> = self
            .list_plans()
            .await?
            .into_iter()
            .filter_map(|object| {
                let mark = object.e_tag.zip(object.last_modified.map(|at| at.secs()));
                object.key.filter(|key| key.ends_with(".json")).map(|key| (key, mark))
            })
            .collect();
        self.plans.in_force.borrow_mut().retain(|key, _| listed.iter().any(|(known, _)| known == key));
        let read = stream::iter(listed).map(async |(key, mark)| self.plan_in_force(&key, mark).await).buffered(SIDE_BY_SIDE).collect::<Vec<_>>().await;
        let read: Vec<Option<StartedPlan<Plan>>> = read.into_iter().collect::<Result<_, _>>()?;
        Ok(read.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::testing::{Answer, Sent, answer, world};

    fn plan(service: &str) -> String {
        include_str!("../../twin/tests/portal.json").replace("\"service\": \"portal\"", &format!("\"service\": \"{service}\""))
    }

    fn listing(objects: &[(&str, &str)], next: Option<&str>) -> Answer {
        let object = |(key, tag): &(&str, &str)| {
            format!("<Contents><Key>{key}</Key><ETag>\"{tag}\"</ETag><LastModified>2026-11-20T02:00:00.000Z</LastModified></Contents>")
        };
        let more = next.map_or("<IsTruncated>false</IsTruncated>".to_owned(), |token| {
            format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")
        });
        answer(200, format!("<ListBucketResult>{more}{}</ListBucketResult>", objects.iter().map(object).collect::<String>()))
    }

    fn object(body: &str, tag: &str, version: &str) -> Answer {
        answer(200, body).with("etag", format!("\"{tag}\"")).with("last-modified", "Fri, 20 Nov 2026 02:00:00 GMT").with("x-amz-version-id", version)
    }

    fn is_listing(sent: &Sent) -> bool {
        sent.uri.contains("list-type=2")
    }

    fn pin(body: &str) -> PlanPin {
        PlanPin { key: "plans/portal.json".into(), version: "v1".into(), sha256: Hash::of(body.as_bytes()).to_string().into() }
    }

    #[tokio::test]
    async fn plans_in_force_are_pinned_by_version_and_digest_and_read_again_only_when_they_change() {
        let version = Arc::new(AtomicU8::new(1));
        let now = version.clone();
        let (world, wire) = world(move |sent| {
            let tag = format!("tag{}", now.load(Ordering::Relaxed));
            Some(match sent.uri.as_str() {
                uri if uri.contains("continuation-token=more") => listing(&[("plans/shop.json", "shop"), ("plans/readme.txt", "x")], None),
                _ if is_listing(sent) => listing(&[("plans/portal.json", &tag)], Some("more")),
                uri if uri.contains("portal.json") => object(&plan("portal"), &tag, &tag.replace("tag", "v")),
                _ => object(&plan("shop"), "shop", "v9"),
            })
        });
        let started = world.plans_in_force().await.unwrap();
        let pins: Vec<(&str, &str)> = started.iter().map(|started| (&*started.pin.key, &*started.pin.version)).collect();
        assert_eq!(pins, [("plans/portal.json", "v1"), ("plans/shop.json", "v9")]);
        assert_eq!(started[0].pin, pin(&plan("portal")));
        assert_eq!(wire.sent().len(), 4);

        world.plans_in_force().await.unwrap();
        assert_eq!(wire.sent().len(), 6, "listed again, and nothing read");
        version.store(2, Ordering::Relaxed);
        assert_eq!(world.plans_in_force().await.unwrap()[0].pin.version.as_ref(), "v2");
        assert_eq!(wire.sent().len(), 9);
        assert_eq!(*world.load_plan(&pin(&plan("portal"))).await.unwrap(), *started[0].plan);
        assert_eq!(wire.sent().len(), 9, "a plan that was parsed is known by its digest");
    }

    #[tokio::test]
    async fn a_plan_that_cannot_be_read_does_not_blind_the_others() {
        let (world, _) = world(|sent| {
            Some(if is_listing(sent) {
                listing(&[("plans/broken.json", "a"), ("plans/gone.json", "b"), ("plans/other.json", "c"), ("plans/portal.json", "d")], None)
            } else if sent.uri.contains("broken") {
                object("{}", "a", "v1")
            } else if sent.uri.contains("gone") {
                answer(404, "<Error><Code>NoSuchKey</Code></Error>")
            } else {
                object(&plan("portal"), "d", "v1")
            })
        });
        let started = world.plans_in_force().await.unwrap();
        let keys: Vec<&str> = started.iter().map(|started| &*started.pin.key).collect();
        assert_eq!(keys, ["plans/portal.json"], "plans/other.json holds another service's plan");
    }

    #[tokio::test]
    async fn a_bucket_that_denies_is_an_error_and_not_an_empty_one() {
        let (world, _) = world(|sent| {
            Some(if is_listing(sent) { listing(&[("plans/portal.json", "a")], None) } else { answer(403, "<Error><Code>AccessDenied</Code></Error>") })
        });
        assert_eq!(world.plans_in_force().await.unwrap_err().fault, CallFault::Denied);
    }

    #[tokio::test]
    async fn a_pinned_plan_is_read_by_its_version_and_held_against_its_digest() {
        let (good, wire) = world(|_| Some(object(&plan("portal"), "a", "v1")));
        assert_eq!(good.load_plan(&pin(&plan("portal"))).await.unwrap().service.as_str(), "portal");
        let asked = wire.only().uri;
        assert!(asked.contains("/plans/portal.json?") && asked.contains("versionId=v1"), "{asked}");

        let (changed, _) = world(|_| Some(object(&plan("other"), "a", "v1")));
        let error = changed.load_plan(&pin(&plan("portal"))).await.unwrap_err();
        assert!(error.fault == CallFault::Rejected && error.message.contains("was changed under the run"), "{error}");

        let (broken, _) = world(|_| Some(object("{}", "a", "v1")));
        let error = broken.load_plan(&pin("{}")).await.unwrap_err();
        assert!(error.fault == CallFault::Rejected && error.message.contains("muster push"), "{error}");
    }
}
