use aws_smithy_types::base64;
use muster_core::ports::LaunchTemplates;
use muster_core::{CallFault, LaunchTemplateId, Region};

use crate::testing::{Answer, REFUSALS, error, world, xml};

fn standby() -> Region {
    "us-west-2".parse().unwrap()
}

fn id(name: &str) -> LaunchTemplateId {
    LaunchTemplateId::new(&standby(), name)
}

fn described(version: u64, user_data: Option<&str>) -> Answer {
    let data = user_data.map(|text| format!("<userData>{}</userData>", base64::encode(text))).unwrap_or_default();
    let item = format!("<item><versionNumber>{version}</versionNumber><launchTemplateData>{data}</launchTemplateData></item>");
    xml("DescribeLaunchTemplateVersions", &format!("<launchTemplateVersionSet>{item}</launchTemplateVersionSet>"))
}

fn created(version: u64) -> Answer {
    xml("CreateLaunchTemplateVersion", &format!("<launchTemplateVersion><versionNumber>{version}</versionNumber></launchTemplateVersion>"))
}

fn modified() -> Answer {
    xml("ModifyLaunchTemplate", "<launchTemplate/>")
}

#[tokio::test]
async fn the_newest_version_is_described_with_its_user_data_decoded() {
    let (aws, wire) = world([described(4, Some("#!/bin/sh\nDB=portal-db")), error(400, "InvalidLaunchTemplateName.NotFoundException"), described(1, None)]);
    let states = aws.describe_templates(&standby(), &[id("web"), id("gone"), id("bare")]).await.unwrap();
    assert_eq!(states.len(), 2, "what does not exist is absent");
    assert_eq!((states[&id("web")].latest_version, states[&id("web")].user_data.as_str()), (4, "#!/bin/sh\nDB=portal-db"));
    assert_eq!((states[&id("bare")].latest_version, states[&id("bare")].user_data.as_str()), (1, ""));
    let sent = &wire.calls()[0];
    assert_eq!(sent.operation, "DescribeLaunchTemplateVersions");
    assert_eq!((sent.form["LaunchTemplateName"].as_str(), sent.form["LaunchTemplateVersion.1"].as_str()), ("web", "$Latest"));
    assert!(sent.uri.starts_with("https://ec2.us-west-2.amazonaws.com"));
}

#[tokio::test]
async fn a_version_is_made_and_then_made_the_default_each_announced_by_itself() {
    let (aws, wire) = world([created(5), modified()]);
    assert_eq!(aws.create_template_version(&id("web"), "DB=replica", "token-1").await.unwrap(), 5);
    let order: Vec<String> = wire.all().into_iter().map(|sent| sent.operation).collect();
    // Kill switch and epoch hold for a second: the second call need not look again.
    assert_eq!(order, ["BatchGetItem", "BatchWriteItem", "CreateLaunchTemplateVersion", "BatchWriteItem", "ModifyLaunchTemplate"]);
    assert!(wire.all()[1].body.contains("ec2:CreateLaunchTemplateVersion") && wire.all()[3].body.contains("ec2:ModifyLaunchTemplate"));
    let [create, modify] = wire.calls().try_into().unwrap();
    assert_eq!((create.form["LaunchTemplateName"].as_str(), create.form["SourceVersion"].as_str()), ("web", "$Latest"));
    assert_eq!(create.form["ClientToken"], "token-1");
    assert_eq!(create.form["LaunchTemplateData.UserData"], base64::encode("DB=replica"));
    assert_eq!((modify.form["LaunchTemplateName"].as_str(), modify.form["SetDefaultVersion"].as_str()), ("web", "5"));
}

#[tokio::test]
async fn whoever_repeats_a_call_whose_answer_was_lost_gets_the_same_version_and_makes_it_the_default() {
    let (aws, wire) = world([None, created(5), modified()]);
    let lost = aws.create_template_version(&id("web"), "DB=replica", "token-1").await.unwrap_err();
    assert!(lost.fault.is_ambiguous());
    assert_eq!(wire.calls().len(), 1, "without a number, nothing is made the default");
    assert_eq!(aws.create_template_version(&id("web"), "DB=replica", "token-1").await.unwrap(), 5);
    let tokens: Vec<String> = wire.calls()[..2].iter().map(|sent| sent.form["ClientToken"].clone()).collect();
    assert_eq!(tokens, ["token-1", "token-1"]);
    assert_eq!(wire.calls()[2].form["SetDefaultVersion"], "5");
}

#[tokio::test]
async fn a_version_that_could_not_be_made_the_default_is_a_failure_of_that_call() {
    let (aws, _) = world([created(5), error(403, "UnauthorizedOperation")]);
    let failed = aws.create_template_version(&id("web"), "DB=replica", "token-1").await.unwrap_err();
    assert_eq!((failed.fault, failed.operation.as_str()), (CallFault::Denied, "ec2:ModifyLaunchTemplate"));
}

#[tokio::test]
async fn every_refusal_of_ec2_is_told_apart() {
    let special = [(400, "IdempotentParameterMismatch", CallFault::Rejected), (400, "InvalidLaunchTemplateName.NotFoundException", CallFault::NotFound)];
    for (status, code, fault) in REFUSALS.into_iter().chain(special) {
        let (aws, _) = world([error(status, code)]);
        assert_eq!(aws.create_template_version(&id("web"), "x", "t").await.unwrap_err().fault, fault, "{code}");
    }
    for (status, code, fault) in REFUSALS {
        let (aws, _) = world([error(status, code)]);
        assert_eq!(aws.describe_templates(&standby(), &[id("web")]).await.unwrap_err().fault, fault, "{code}");
    }
}

#[tokio::test]
async fn user_data_that_is_no_text_is_not_taken_for_none() {
    let item = "<item><versionNumber>1</versionNumber><launchTemplateData><userData>/////w==</userData></launchTemplateData></item>";
    let (aws, _) = world([xml("DescribeLaunchTemplateVersions", &format!("<launchTemplateVersionSet>{item}</launchTemplateVersionSet>"))]);
    assert_eq!(aws.describe_templates(&standby(), &[id("web")]).await.unwrap_err().fault, CallFault::Rejected);
}
