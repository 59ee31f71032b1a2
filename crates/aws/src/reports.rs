//! The report bucket: each report is written once, in three forms.

use futures::{StreamExt, stream};
use muster_core::ports::Reports;
use muster_core::{CallError, CallFault, Region, RunId};
use muster_report::Report;

use crate::{Aws, Failed, Target, classify};

/// The page of an object in the console of S3.
fn link(region: &Region, bucket: &str, key: &str) -> String {
    // Each partition has a console of its own. Source: AWS General Reference, "AWS Management Console endpoints".
    let domain = match region.as_str() {
        code if code.starts_with("cn-") => "amazonaws.cn",
        code if code.starts_with("us-gov-") => "amazonaws-us-gov.com",
        _ => "aws.amazon.com",
    };
    format!("https://{region}.console.{domain}/s3/object/{bucket}?region={region}&prefix={key}")
}

impl<X> Aws<X> {
    /// Writes an object, unless it was written: then it stays as it is.
    async fn seal(&self, key: &str, content_type: &str, body: String) -> Result<(), CallError> {
        let bucket = &self.settings().bucket;
        let put = self.s3(self.home()).put_object().bucket(bucket).key(key).content_type(content_type).if_none_match("*").body(body.into_bytes().into());
        let send = async {
            match put.send().await.map_err(classify) {
                Ok(_) => Ok(()),
                Err(failed) if failed.code == "PreconditionFailed" => Ok(()),
                // Somebody writes the same key at this moment. Source: Amazon S3 user guide, "Conditional writes".
                Err(failed) if failed.code == "ConditionalRequestConflict" => Err(Failed { fault: CallFault::Throttled, ..failed }),
                Err(failed) => Err(failed),
            }
        };
        self.books(Target::data("s3:PutObject", self.home(), format!("{bucket}/{key}")), send).await
    }
}

impl<X> Reports<Report> for Aws<X> {
    async fn publish_report(&self, run: &RunId, report: &Report) -> Result<String, CallError> {
        let folder = format!("reports/{}/{run}", report.summary.service);
        let page = format!("{folder}/report.html");
        let forms = [
            (format!("{folder}/report.json"), "application/json", report.to_json()),
            (format!("{folder}/report.md"), "text/markdown; charset=utf-8", report.to_markdown()),
            (page.clone(), "text/html; charset=utf-8", report.to_html()),
        ];
        let sealed = stream::iter(forms).map(async |(key, content_type, body)| self.seal(&key, content_type, body).await).buffered(3).collect::<Vec<_>>().await;
        sealed.into_iter().collect::<Result<(), CallError>>()?;
        Ok(link(self.home(), &self.settings().bucket, &page))
    }
}

#[cfg(test)]
mod tests {
    use muster_core::{Duration, Lane, PlanPin, Run, Timestamp, Waits};
    use muster_plan::Plan;
    use muster_report::{Closing, assemble};

    use super::*;
    use crate::testing::{answer, world};

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_123);

    fn run() -> RunId {
        RunId("portal.region-failover.8".into())
    }

    fn report() -> Report {
        let plan = Plan::from_canonical_json(include_bytes!("../../twin/tests/portal.json")).unwrap();
        let run = Run {
            id: run(),
            service: "portal".into(),
            flow: "region-failover".into(),
            epoch: 8,
            lane: Lane::Recover,
            opened_at: NOW,
            deadline: NOW.after(Duration::from_hours(8)),
            plan: PlanPin { key: "plans/portal.json".into(), version: "v1".into(), sha256: "0".repeat(64).into() },
            overrides: Vec::new(),
            waits: Waits { decision_seconds: 900, hold_seconds: 3_600 },
        };
        assemble(&plan, &Closing { run: &run, outcome: "succeeded", started_by: "Ada", drill: false, closed_at: NOW, entries: &[], samples: &[] })
    }

    #[tokio::test]
    async fn a_report_is_written_once_in_three_forms() {
        let (world, wire) = world(|_| Some(answer(200, "")));
        let link = world.publish_report(&run(), &report()).await.unwrap();
        assert_eq!(
            link,
            "https://us-west-2.console.aws.amazon.com/s3/object/bucket?region=us-west-2&prefix=reports/portal/portal.region-failover.8/report.html"
        );
        let mut sent = wire.sent();
        sent.sort_by(|one, other| one.uri.cmp(&other.uri));
        assert!(sent.iter().all(|sent| sent.method == "PUT" && sent.header("if-none-match") == Some("*")));
        let forms: Vec<Option<&str>> = sent.iter().map(|sent| sent.header("content-type")).collect();
        assert_eq!(forms, [Some("text/html; charset=utf-8"), Some("application/json"), Some("text/markdown; charset=utf-8")]);
        assert!(sent[1].body.contains(&report().to_json()), "{}", &sent[1].body[..80]);
    }

    #[tokio::test]
    async fn a_report_that_was_sealed_keeps_its_link_and_one_that_cannot_be_written_is_an_error() {
        let refusing = |status: u16, code: &'static str| world(move |_| Some(answer(status, format!("<Error><Code>{code}</Code></Error>")))).0;
        assert!(refusing(412, "PreconditionFailed").publish_report(&run(), &report()).await.unwrap().ends_with("report.html"));
        let conflict = refusing(409, "ConditionalRequestConflict").publish_report(&run(), &report()).await.unwrap_err();
        assert!(conflict.fault.is_transient(), "{conflict}");
        assert_eq!(refusing(403, "AccessDenied").publish_report(&run(), &report()).await.unwrap_err().fault, CallFault::Denied);
    }

    #[test]
    fn each_partition_has_its_console() {
        for (region, console) in [("us-west-2", "aws.amazon.com"), ("us-gov-west-1", "amazonaws-us-gov.com"), ("cn-north-1", "amazonaws.cn")] {
            assert!(link(&region.parse().unwrap(), "b", "k").starts_with(&format!("https://{region}.console.{console}/s3/object/b?")));
        }
    }
}
