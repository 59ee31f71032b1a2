//! Whether a plan's resources carry the tag by which Muster's policies let it touch them.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};

use crate::resources::{Kind, Resource};
use crate::{Account, Failed, failed};

/// The tag. Its value is the service, or whatever the installation's parameter `ServiceTag` asks for.
pub const SERVICE_TAG: &str = "muster:service";

/// So many resources are asked about at a time: the budget of RDS's API is 12 calls a second.
const SIDE_BY_SIDE: usize = 8;

/// A resource that Muster would not be allowed to touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untagged {
    /// The resource.
    pub resource: Resource,
    /// What was seen: no such resource, no tag, another value.
    pub seen: String,
}

/// What an installation for drills wants besides: what has it may be destroyed.
const DRILL_TAG: (&str, &str) = ("muster:drill", "true");

/// The resources among `resources` that do not carry the tag with a value that `wanted` (a pattern of IAM's `StringLike`) lets through; for an
/// installation for drills, also those that are not tagged as such.
///
/// # Errors
/// A service cannot be asked. A resource that does not exist is no error: it is listed.
pub async fn untagged(account: &Account, resources: &BTreeSet<Resource>, wanted: &str, drill: bool) -> Result<Vec<Untagged>, Failed> {
    let judged: Vec<Option<Untagged>> = stream::iter(resources)
        .map(|resource| async move {
            let tags = tags(account, resource).await?;
            Ok::<_, Failed>(judge(tags.as_ref(), wanted, drill).map(|seen| Untagged { resource: resource.clone(), seen }))
        })
        .buffered(SIDE_BY_SIDE)
        .try_collect()
        .await?;
    Ok(judged.into_iter().flatten().collect())
}

/// What is wrong with a resource's tags; `None` where nothing is.
fn judge(tags: Option<&Tags>, wanted: &str, drill: bool) -> Option<String> {
    let Some(tags) = tags else { return Some("it does not exist".into()) };
    match tags.get(SERVICE_TAG) {
        None => Some(format!("it has no tag {SERVICE_TAG}")),
        Some(value) if !is_like(wanted, value) => Some(format!("its tag {SERVICE_TAG} is `{value}`, and the installation wants `{wanted}`")),
        Some(_) if drill && tags.get(DRILL_TAG.0).is_none_or(|value| value != DRILL_TAG.1) => {
            Some(format!("it has no tag {} with the value `{}`, and the installation is for drills", DRILL_TAG.0, DRILL_TAG.1))
        }
        Some(_) => None,
    }
}

/// `StringLike` of IAM policies: `*` is any text, `?` any character. Source: the IAM user guide, "String condition operators".
fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| is_like(rest, &text[at..]))
        }
        Some(wanted) => {
            let mut found = text.chars();
            found.next().is_some_and(|seen| wanted == '?' || wanted == seen) && is_like(&pattern[wanted.len_utf8()..], found.as_str())
        }
    }
}

type Tags = BTreeMap<String, String>;

/// Collects the tags of any of the SDKs, whose types differ and whose methods do not.
macro_rules! collected {
    ($tags:expr) => {
        $tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned()))).collect::<Tags>()
    };
}

/// A resource's tags; `None` where it does not exist.
async fn tags(account: &Account, resource: &Resource) -> Result<Option<Tags>, Failed> {
    let sdk = account.in_region(&resource.region);
    let found = match resource.kind {
        Kind::Database => {
            let client = aws_sdk_rds::Client::new(&sdk);
            let answer = client.describe_db_instances().db_instance_identifier(&resource.name).send().await.map_err(failed("rds:DescribeDBInstances"));
            answer.map(|answer| answer.db_instances().first().map(|instance| collected!(instance.tag_list())))
        }
        Kind::ReplicationGroup => replication_group(&aws_sdk_elasticache::Client::new(&sdk), &resource.name).await,
        Kind::ScalingGroup => {
            let client = aws_sdk_autoscaling::Client::new(&sdk);
            let answer = client
                .describe_auto_scaling_groups()
                .auto_scaling_group_names(&resource.name)
                .send()
                .await
                .map_err(failed("autoscaling:DescribeAutoScalingGroups"));
            answer.map(|answer| answer.auto_scaling_groups().first().map(|group| collected!(group.tags())))
        }
        Kind::LaunchTemplate => {
            let client = aws_sdk_ec2::Client::new(&sdk);
            let answer = client.describe_launch_templates().launch_template_names(&resource.name).send().await.map_err(failed("ec2:DescribeLaunchTemplates"));
            answer.map(|answer| answer.launch_templates().first().map(|template| collected!(template.tags())))
        }
        Kind::Parameter => {
            let client = aws_sdk_ssm::Client::new(&sdk);
            let request = client.list_tags_for_resource().resource_type(aws_sdk_ssm::types::ResourceTypeForTagging::Parameter).resource_id(&resource.name);
            let answer = request.send().await.map_err(failed("ssm:ListTagsForResource"));
            answer.map(|answer| Some(answer.tag_list().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()))
        }
        Kind::Secret => {
            let client = aws_sdk_secretsmanager::Client::new(&sdk);
            let answer = client.describe_secret().secret_id(&resource.name).send().await.map_err(failed("secretsmanager:DescribeSecret"));
            answer.map(|answer| Some(collected!(answer.tags())))
        }
        Kind::Project => {
            let client = aws_sdk_codebuild::Client::new(&sdk);
            let answer = client.batch_get_projects().names(&resource.name).send().await.map_err(failed("codebuild:BatchGetProjects"));
            answer.map(|answer| answer.projects().first().map(|project| collected!(project.tags())))
        }
        Kind::Topic => {
            let client = aws_sdk_sns::Client::new(&sdk);
            let answer = client.list_tags_for_resource().resource_arn(&resource.name).send().await.map_err(failed("sns:ListTagsForResource"));
            answer.map(|answer| Some(answer.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()))
        }
    };
    match found {
        Err(error) if is_missing(&error.code) => Ok(None),
        other => other,
    }
}

/// A group's ARN is not made up here: it is read, since partitions and accounts differ.
async fn replication_group(client: &aws_sdk_elasticache::Client, id: &str) -> Result<Option<Tags>, Failed> {
    let answer = client.describe_replication_groups().replication_group_id(id).send().await.map_err(failed("elasticache:DescribeReplicationGroups"))?;
    let Some(arn) = answer.replication_groups().first().and_then(|group| group.arn()) else { return Ok(None) };
    let tags = client.list_tags_for_resource().resource_name(arn).send().await.map_err(failed("elasticache:ListTagsForResource"))?;
    Ok(Some(collected!(tags.tag_list())))
}

fn is_missing(code: &str) -> bool {
    let code = code.trim_end_matches("Exception").trim_end_matches("Fault");
    matches!(
        code,
        "DBInstanceNotFound" | "ReplicationGroupNotFound" | "InvalidResourceId" | "ResourceNotFound" | "NotFound" | "InvalidLaunchTemplateName.NotFound"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_without_the_tag_or_with_another_services_is_named() {
        let tagged = |value: &str| Tags::from([(SERVICE_TAG.to_owned(), value.to_owned())]);
        assert_eq!(judge(Some(&tagged("basecoat-portal")), "basecoat-*", false), None);
        assert_eq!(judge(Some(&tagged("anything")), "*", false), None);
        assert!(judge(Some(&tagged("anything")), "*", true).unwrap().contains("muster:drill"));
        assert_eq!(judge(Some(&Tags::new()), "*", false).unwrap(), "it has no tag muster:service");
        assert_eq!(judge(None, "*", false).unwrap(), "it does not exist");
        assert!(judge(Some(&tagged("kredete")), "basecoat-*", false).unwrap().contains("`kredete`"));
    }

    #[test]
    fn patterns_are_those_of_iam() {
        for (pattern, text, like) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("abc", "abcd", false),
            ("*-dr", "x-dr-dr", true),
            ("é?", "éa", true),
        ] {
            assert_eq!(is_like(pattern, text), like, "{pattern} {text}");
        }
    }

    #[test]
    fn a_service_that_says_not_found_in_its_own_words_is_understood() {
        for code in [
            "DBInstanceNotFoundFault",
            "DBInstanceNotFound",
            "ReplicationGroupNotFoundFault",
            "InvalidResourceId",
            "ResourceNotFoundException",
            "NotFound",
            "NotFoundException",
            "InvalidLaunchTemplateName.NotFoundException",
        ] {
            assert!(is_missing(code), "{code}");
        }
        assert!(!is_missing("AccessDenied"));
    }
}
