use CallFault::{Denied, NotFound, Rejected, Throttled, Unavailable};
use aws_sdk_dynamodb::error::ErrorMetadata;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use muster_core::CallError;
use tokio::time::Instant;

use super::*;
use crate::call::Target;
use crate::testing::settings;
use crate::testing::sockets::{Then, beside, closed, full, server, world_at};

/// Every error that the SDK's models have for the operations that Muster calls. A new operation brings its own here.
const MODELLED: &[(&str, &[(&str, CallFault)])] = &[
    (
        "rds: DescribeDBInstances, ModifyDBInstance, PromoteReadReplica, RebootDBInstance",
        &[
            ("AuthorizationNotFound", NotFound),
            ("BackupPolicyNotFoundFault", NotFound),
            ("CertificateNotFound", NotFound),
            ("DBInstanceAlreadyExists", Rejected),
            ("DBInstanceNotFound", NotFound),
            ("DBInstanceNotFoundFault", NotFound),
            ("DBParameterGroupNotFound", NotFound),
            ("DBSecurityGroupNotFound", NotFound),
            ("DBUpgradeDependencyFailure", Rejected),
            ("DomainNotFoundFault", NotFound),
            ("InsufficientDBInstanceCapacity", Rejected),
            ("InvalidDBClusterStateFault", Rejected),
            ("InvalidDBInstanceState", Rejected),
            ("InvalidDBSecurityGroupState", Rejected),
            ("InvalidVPCNetworkStateFault", Rejected),
            ("KMSKeyNotAccessibleFault", Rejected),
            ("NetworkTypeNotSupported", Rejected),
            ("OptionGroupNotFoundFault", NotFound),
            ("ProvisionedIopsNotAvailableInAZFault", Rejected),
            ("StorageQuotaExceeded", Rejected),
            ("StorageTypeNotSupported", Rejected),
            ("TenantDatabaseQuotaExceeded", Rejected),
            ("VpcEncryptionControlViolationException", Rejected),
        ],
    ),
    (
        "rds: DescribeExportTasks, StartExportTask",
        &[
            ("DBClusterNotFoundFault", NotFound),
            ("DBClusterSnapshotNotFoundFault", NotFound),
            ("DBSnapshotNotFound", NotFound),
            ("ExportTaskAlreadyExists", Rejected),
            ("ExportTaskNotFound", NotFound),
            ("IamRoleMissingPermissions", Rejected),
            ("IamRoleNotFound", Rejected),
            ("InvalidExportOnly", Rejected),
            ("InvalidExportSourceState", Rejected),
            ("InvalidS3BucketFault", Rejected),
            ("KMSKeyNotAccessibleFault", Rejected),
        ],
    ),
    (
        "rds: AddTagsToResource, DeleteDBInstance, RemoveTagsFromResource, RestoreDBInstanceFromDBSnapshot",
        &[
            ("AuthorizationNotFound", NotFound),
            ("BackupPolicyNotFoundFault", NotFound),
            ("BlueGreenDeploymentNotFoundFault", NotFound),
            ("CertificateNotFound", NotFound),
            ("DBClusterNotFoundFault", NotFound),
            ("DBClusterSnapshotNotFoundFault", NotFound),
            ("DBInstanceAlreadyExists", Rejected),
            ("DBInstanceAutomatedBackupQuotaExceeded", Rejected),
            ("DBInstanceNotFound", NotFound),
            ("DBParameterGroupNotFound", NotFound),
            ("DBProxyEndpointNotFoundFault", NotFound),
            ("DBProxyNotFoundFault", NotFound),
            ("DBProxyTargetGroupNotFoundFault", NotFound),
            ("DBSecurityGroupNotFound", NotFound),
            ("DBShardGroupNotFound", NotFound),
            ("DBSnapshotAlreadyExists", Rejected),
            ("DBSnapshotNotFound", NotFound),
            ("DBSnapshotTenantDatabaseNotFoundFault", NotFound),
            ("DBSubnetGroupDoesNotCoverEnoughAZs", Rejected),
            ("DBSubnetGroupNotFoundFault", NotFound),
            ("DomainNotFoundFault", NotFound),
            ("InstanceQuotaExceeded", Rejected),
            ("InsufficientDBInstanceCapacity", Rejected),
            ("IntegrationNotFoundFault", NotFound),
            ("InvalidDBClusterEndpointStateFault", Rejected),
            ("InvalidDBClusterStateFault", Rejected),
            ("InvalidDBInstanceState", Rejected),
            ("InvalidDBSnapshotState", Rejected),
            ("InvalidRestoreFault", Rejected),
            ("InvalidSubnet", Rejected),
            ("InvalidVPCNetworkStateFault", Rejected),
            ("KMSKeyNotAccessibleFault", Rejected),
            ("NetworkTypeNotSupported", Rejected),
            ("OptionGroupNotFoundFault", NotFound),
            ("ProvisionedIopsNotAvailableInAZFault", Rejected),
            ("SnapshotQuotaExceeded", Rejected),
            ("StorageQuotaExceeded", Rejected),
            ("StorageTypeNotSupported", Rejected),
            ("TenantDatabaseNotFound", NotFound),
            ("TenantDatabaseQuotaExceeded", Rejected),
            ("VpcEncryptionControlViolationException", Rejected),
        ],
    ),
    (
        "elasticache: DescribeGlobalReplicationGroups, DescribeReplicationGroups, FailoverGlobalReplicationGroup",
        &[
            ("APICallRateForCustomerExceeded", Throttled),
            ("GlobalReplicationGroupNotFoundFault", NotFound),
            ("InvalidGlobalReplicationGroupState", Rejected),
            ("InvalidParameterCombination", Rejected),
            ("InvalidParameterValue", Rejected),
            ("ReplicationGroupNotFoundFault", NotFound),
        ],
    ),
    (
        "rds: CopyDBClusterSnapshot, CopyDBSnapshot, CreateDBClusterSnapshot, CreateDBSnapshot, DeleteDBClusterSnapshot, DeleteDBSnapshot, DescribeAccountAttributes, DescribeDBClusterAutomatedBackups, DescribeDBClusterSnapshots, DescribeDBClusters, DescribeDBInstanceAutomatedBackups, DescribeDBSnapshots",
        &[
            ("CustomAvailabilityZoneNotFound", NotFound),
            ("DBClusterAutomatedBackupNotFoundFault", NotFound),
            ("DBClusterNotFoundFault", NotFound),
            ("DBClusterSnapshotAlreadyExistsFault", Rejected),
            ("DBClusterSnapshotNotFoundFault", NotFound),
            ("DBInstanceAutomatedBackupNotFound", NotFound),
            ("DBInstanceNotFound", NotFound),
            ("DBSnapshotAlreadyExists", Rejected),
            ("DBSnapshotNotFound", NotFound),
            ("InvalidDBClusterSnapshotStateFault", Rejected),
            ("InvalidDBClusterStateFault", Rejected),
            ("InvalidDBInstanceState", Rejected),
            ("InvalidDBSnapshotState", Rejected),
            ("KMSKeyNotAccessibleFault", Rejected),
            ("SnapshotQuotaExceeded", Rejected),
        ],
    ),
    (
        "elasticache: CopySnapshot, CreateSnapshot, DeleteSnapshot, DescribeSnapshots, ListTagsForResource",
        &[
            ("CacheClusterNotFound", NotFound),
            ("CacheParameterGroupNotFound", NotFound),
            ("CacheSecurityGroupNotFound", NotFound),
            ("CacheSubnetGroupNotFoundFault", NotFound),
            ("InvalidARN", Rejected),
            ("InvalidCacheClusterState", Rejected),
            ("InvalidParameterCombination", Rejected),
            ("InvalidParameterValue", Rejected),
            ("InvalidReplicationGroupState", Rejected),
            ("InvalidServerlessCacheSnapshotStateFault", Rejected),
            ("InvalidServerlessCacheStateFault", Rejected),
            ("InvalidSnapshotState", Rejected),
            ("ReplicationGroupNotFoundFault", NotFound),
            ("ReservedCacheNodeNotFound", NotFound),
            ("ServerlessCacheNotFoundFault", NotFound),
            ("ServerlessCacheSnapshotNotFoundFault", NotFound),
            ("SnapshotAlreadyExistsFault", Rejected),
            ("SnapshotFeatureNotSupportedFault", Rejected),
            ("SnapshotNotFoundFault", NotFound),
            ("SnapshotQuotaExceededFault", Rejected),
            ("TagQuotaPerResourceExceeded", Rejected),
            ("UserGroupNotFound", NotFound),
            ("UserNotFound", NotFound),
        ],
    ),
    (
        "codebuild: StartBuild, BatchGetBuilds",
        &[("AccountLimitExceededException", Rejected), ("InvalidInputException", Rejected), ("ResourceNotFoundException", NotFound)],
    ),
    (
        "kms: DescribeKey",
        &[
            ("DependencyTimeoutException", Unavailable),
            ("InvalidArnException", Rejected),
            ("KMSInternalException", Unavailable),
            ("NotFoundException", NotFound),
        ],
    ),
    (
        "autoscaling: DescribeAutoScalingGroups, DescribeScalingActivities, UpdateAutoScalingGroup",
        &[
            ("InvalidNextToken", Rejected),
            ("ResourceContention", Throttled),
            ("ScalingActivityInProgress", Throttled),
            ("ServiceLinkedRoleFailure", Unavailable),
        ],
    ),
    (
        "route53: ChangeResourceRecordSets",
        &[
            ("InvalidChangeBatch", Rejected),
            ("InvalidInput", Rejected),
            ("NoSuchHealthCheck", NotFound),
            ("NoSuchHostedZone", NotFound),
            ("PriorRequestNotComplete", Throttled),
        ],
    ),
    (
        "dynamodb: BatchGetItem, BatchWriteItem, DeleteItem, GetItem, PutItem, Query, UpdateItem",
        &[
            ("ConditionalCheckFailedException", Rejected),
            ("InternalServerError", Unavailable),
            ("InvalidEndpointException", Rejected),
            ("ItemCollectionSizeLimitExceededException", Rejected),
            ("ProvisionedThroughputExceededException", Throttled),
            ("ReplicatedWriteConflictException", Throttled),
            ("RequestLimitExceeded", Throttled),
            ("ResourceNotFoundException", NotFound),
            ("ThrottlingException", Throttled),
            ("TransactionConflictException", Throttled),
        ],
    ),
    (
        "s3: GetObject, HeadObject, ListObjectsV2, PutObject",
        &[
            ("EncryptionTypeMismatch", Rejected),
            ("InvalidObjectState", Rejected),
            ("InvalidRequest", Rejected),
            ("InvalidWriteOffset", Rejected),
            ("NoSuchBucket", NotFound),
            ("NoSuchKey", NotFound),
            ("NotFound", NotFound),
            ("TooManyParts", Rejected),
        ],
    ),
    (
        "sfn: DescribeExecution, SendTaskSuccess, StartExecution",
        &[
            ("ExecutionAlreadyExists", Rejected),
            ("ExecutionDoesNotExist", NotFound),
            ("ExecutionLimitExceeded", Throttled),
            ("InvalidArn", Rejected),
            ("InvalidExecutionInput", Rejected),
            ("InvalidName", Rejected),
            ("InvalidOutput", Rejected),
            ("InvalidToken", Rejected),
            ("KmsAccessDeniedException", Denied),
            ("KmsInvalidStateException", Rejected),
            ("KmsThrottlingException", Throttled),
            ("StateMachineDeleting", Rejected),
            ("StateMachineDoesNotExist", NotFound),
            ("TaskDoesNotExist", Rejected),
            ("TaskTimedOut", Rejected),
            ("ValidationException", Rejected),
        ],
    ),
    (
        "sns: Publish",
        &[
            ("AuthorizationError", Denied),
            ("EndpointDisabled", Rejected),
            ("InternalError", Unavailable),
            ("InvalidParameter", Rejected),
            ("InvalidSecurity", Denied),
            ("KMSAccessDenied", Denied),
            ("KMSDisabled", Rejected),
            ("KMSInvalidState", Rejected),
            ("KMSNotFound", Rejected),
            ("KMSOptInRequired", Denied),
            ("KMSThrottling", Throttled),
            ("NotFound", NotFound),
            ("ParameterValueInvalid", Rejected),
            ("PlatformApplicationDisabled", Rejected),
            ("ValidationException", Rejected),
        ],
    ),
    (
        "ssm: GetParameters, PutParameter",
        &[
            ("HierarchyLevelLimitExceededException", Rejected),
            ("HierarchyTypeMismatchException", Rejected),
            ("IncompatiblePolicyException", Rejected),
            ("InternalServerError", Unavailable),
            ("InvalidAllowedPatternException", Rejected),
            ("InvalidKeyId", Rejected),
            ("InvalidPolicyAttributeException", Rejected),
            ("InvalidPolicyTypeException", Rejected),
            ("ParameterAlreadyExists", Rejected),
            ("ParameterLimitExceeded", Rejected),
            ("ParameterMaxVersionLimitExceeded", Rejected),
            ("ParameterNotFound", NotFound),
            ("ParameterPatternMismatchException", Rejected),
            ("ParameterVersionNotFound", NotFound),
            ("PoliciesLimitExceededException", Rejected),
            ("TooManyUpdates", Throttled),
            ("UnsupportedParameterType", Rejected),
        ],
    ),
    (
        "cloudwatch: DescribeAlarms, GetMetricData, PutMetricData",
        &[
            ("InternalServiceError", Unavailable),
            ("InternalServiceFault", Unavailable),
            ("InvalidNextToken", Rejected),
            ("InvalidParameterCombination", Rejected),
            ("InvalidParameterCombinationException", Rejected),
            ("InvalidParameterValue", Rejected),
            ("InvalidParameterValueException", Rejected),
            ("MissingParameter", Rejected),
            ("MissingRequiredParameterException", Rejected),
        ],
    ),
    (
        "secretsmanager: GetSecretValue",
        &[
            ("DecryptionFailure", Rejected),
            ("InternalServiceError", Unavailable),
            ("InvalidParameterException", Rejected),
            ("InvalidRequestException", Rejected),
            ("ResourceNotFoundException", NotFound),
        ],
    ),
    (
        "servicequotas: GetServiceQuota",
        &[
            ("AccessDeniedException", Denied),
            ("IllegalArgumentException", Rejected),
            ("NoSuchResourceException", NotFound),
            ("ServiceException", Unavailable),
            ("TooManyRequestsException", Throttled),
        ],
    ),
];

/// Codes that no model has.
const UNMODELLED: &[(&str, CallFault)] = &[
    ("Throttling", Throttled),
    ("ThrottledException", Throttled),
    ("com.amazonaws.dynamodb.v20120810#ThrottlingException", Throttled),
    ("InternalFailure", Unavailable),
    ("ServiceUnavailable", Unavailable),
    ("AccessDenied", Denied),
    ("ExpiredTokenException", Denied),
    ("RequestExpired", Denied),
    ("ValidationError", Rejected),
    // EC2 models none.
    ("EC2ThrottledException", Throttled),
    ("UnauthorizedOperation", Denied),
    ("Unavailable", Unavailable),
    ("InvalidAMIID.NotFound", NotFound),
    ("InvalidInstanceID.NotFound", NotFound),
    ("InvalidLaunchTemplateId.NotFound", NotFound),
    ("InvalidLaunchTemplateName.NotFoundException", NotFound),
    // S3
    ("SlowDown", Throttled),
    ("ConditionalRequestConflict", Throttled),
    ("OperationAborted", Throttled),
    ("PreconditionFailed", Rejected),
    ("MethodNotAllowed", Rejected),
    ("NoSuchVersion", NotFound),
    ("RequestTimeout", CallFault::TimedOut),
    // KMS's own, as other services pass them on.
    ("DisabledException", Rejected),
    ("KMSInvalidStateException", Rejected),
];

#[test]
fn every_error_that_the_models_have_is_classified_by_name() {
    for (service, codes) in MODELLED {
        for (code, fault) in *codes {
            assert_eq!(by_code(code), Some(*fault), "{service}: {code}");
        }
    }
    for (code, fault) in UNMODELLED {
        assert_eq!(by_code(code), Some(*fault), "{code}");
    }
}

#[test]
fn a_refusal_is_never_taken_for_a_call_that_may_have_been_applied() {
    let ambiguous: Vec<&str> = MODELLED.iter().flat_map(|(_, codes)| *codes).filter(|(_, fault)| fault.is_ambiguous()).map(|(code, _)| *code).collect();
    let failures_of_the_service = [
        "DependencyTimeoutException",
        "KMSInternalException",
        "ServiceLinkedRoleFailure",
        "InternalServerError",
        "InternalError",
        "InternalServerError",
        "InternalServiceError",
        "InternalServiceFault",
        "InternalServiceError",
        "ServiceException",
    ];
    assert_eq!(ambiguous, failures_of_the_service);
}

fn answered(status: u16, code: Option<&str>) -> Failed {
    let metadata = code.map_or_else(ErrorMetadata::builder, |code| ErrorMetadata::builder().code(code).message("said so")).build();
    let error = aws_sdk_dynamodb::operation::get_item::GetItemError::generic(metadata);
    classify(SdkError::service_error(error, HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty())))
}

#[test]
fn a_code_that_nobody_knows_goes_by_its_status() {
    for (status, fault) in
        [(400, Rejected), (403, Denied), (404, NotFound), (408, CallFault::TimedOut), (429, Throttled), (500, Unavailable), (503, Unavailable)]
    {
        let failed = answered(status, Some("SomethingNew"));
        assert_eq!((failed.fault, failed.code.as_str(), failed.message.as_str()), (fault, "SomethingNew", "SomethingNew: said so"));
        let failed = answered(status, None);
        assert_eq!((failed.fault, failed.message), (fault, format!("status {status}")));
    }
    assert_eq!(answered(403, Some("InvalidObjectState")).fault, Rejected, "a code tells more than its status");
    assert_eq!(answered(500, Some("ResourceContention")).fault, Throttled, "a code tells more than its status");
}

/// One call of the SDK to whatever is at an address, in a region that is not home.
async fn call(endpoint: &str) -> CallError {
    let world = world_at(endpoint, settings());
    let region = "us-east-1".parse().unwrap();
    let request = world.ssm(&region).put_parameter().name("n").value("v");
    let target = Target::control("ssm:PutParameter", &region, "n");
    world.read(target, async { request.send().await.map_err(classify) }).await.unwrap_err()
}

#[tokio::test]
async fn where_nobody_takes_the_connection_nothing_was_sent() {
    beside(async {
        let error = call(&format!("http://{}", closed().await)).await;
        assert_eq!(error.fault, CallFault::Unreachable, "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_not_answered_within_a_second_is_none() {
    beside(async {
        let (at, _listener, _waiting) = full().await;
        let began = Instant::now();
        let error = call(&format!("http://{at}")).await;
        assert_eq!(error.fault, CallFault::Unreachable, "{error}");
        assert!((900..1_900).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_tls_handshake_that_never_ends_is_no_connection_and_nothing_was_sent() {
    beside(async {
        let server = server(Then::Wait).await;
        let error = call(&format!("https://{}", server.at)).await;
        assert_eq!((error.fault, server.connections()), (CallFault::Unreachable, 1), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_no_connection() {
    let error = call("http://nowhere.invalid").await;
    assert_eq!(error.fault, CallFault::Unreachable, "{error}");
}

#[tokio::test]
async fn a_server_that_read_the_request_and_says_nothing_may_have_applied_it() {
    beside(async {
        let server = server(Then::Wait).await;
        let began = Instant::now();
        let error = call(&server.url()).await;
        assert_eq!(error.fault, CallFault::TimedOut, "{error}");
        assert!(error.fault.is_ambiguous() && server.read.borrow().starts_with("POST / HTTP/1.1"));
        assert!((2_900..4_500).contains(&began.elapsed().as_millis()), "one attempt and no second: {:?}", began.elapsed());
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_was_read_leaves_it_open_whether_it_was_applied() {
    beside(async {
        let server = server(Then::Close).await;
        let error = call(&server.url()).await;
        assert_eq!((error.fault, server.connections()), (CallFault::TimedOut, 1), "{error}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_it_open_whether_it_was_applied() {
    beside(async {
        for garbage in [
            "this is no HTTP\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnot json!",
            "HTTP/1.1 200 OK\r\ncontent-length: 900\r\nconnection: close\r\n\r\n{\"Version\"",
        ] {
            let server = server(Then::Write(garbage)).await;
            let error = call(&server.url()).await;
            assert_eq!(error.fault, CallFault::TimedOut, "{garbage}: {error}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_a_proxy_in_between_goes_by_its_status() {
    beside(async {
        let server = server(Then::Write("HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>")).await;
        let error = call(&server.url()).await;
        assert_eq!(error.fault, Unavailable, "{error}");
    })
    .await;
}

#[tokio::test]
async fn without_credentials_nothing_was_sent_and_permission_is_what_is_missing() {
    #[derive(Debug)]
    struct Nobody;
    impl aws_sdk_dynamodb::config::ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            aws_credential_types::provider::future::ProvideCredentials::ready(Err(aws_credential_types::provider::error::CredentialsError::not_loaded(
                "nobody is here",
            )))
        }
    }
    beside(async {
        let server = server(Then::Wait).await;
        let sdk = aws_types::SdkConfig::builder()
            .http_client(crate::https())
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .endpoint_url(server.url())
            .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(Nobody))
            .build();
        let world = crate::Aws::new(settings(), &sdk);
        let request = world.ssm(world.home()).put_parameter().name("n").value("v");
        let target = Target::control("ssm:PutParameter", world.home(), "n");
        let error = world.read(target, async { request.send().await.map_err(classify) }).await.unwrap_err();
        assert_eq!((error.fault, server.connections()), (Denied, 0), "{error}");
    })
    .await;
}
