//! What an error of the SDK means: one table for all services, by the service's own error code first, then by the HTTP status.
//!
//! The question that counts is whether the call may have been applied: an action reads before it acts again.

use std::error::Error;
use std::fmt::Write as _;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use muster_core::CallFault;

/// How a call failed, before it is known on what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The kind.
    pub fault: CallFault,
    /// The service's own code, such as `InvalidDBInstanceState`; empty where nothing answered.
    pub code: String,
    /// The service's own words, or ours where nothing answered.
    pub message: String,
}

impl Failed {
    /// A failure that no service reported: an answer that cannot be read, a wrong value in the plan.
    pub fn new(fault: CallFault, message: impl Into<String>) -> Self {
        Failed { fault, code: String::new(), message: message.into() }
    }
}

/// What an error of the SDK means.
pub fn classify<E>(error: SdkError<E, HttpResponse>) -> Failed
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match &error {
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().unwrap_or_default().to_owned();
            let status = answer.raw().status().as_u16();
            let fault = by_code(&code).unwrap_or_else(|| by_status(status));
            let message = match answer.err().message() {
                _ if (200..300).contains(&status) => format!("the answer cannot be read: {}", chain(answer.err())),
                Some(message) if !code.is_empty() => format!("{code}: {message}"),
                Some(message) => message.to_owned(),
                None if code.is_empty() => format!("status {status}"),
                None => code.clone(),
            };
            Failed { fault, code, message }
        }
        // An answer began to arrive, or the connection broke after the request was sent: what became of it, nobody knows.
        SdkError::ResponseError(_) => Failed::new(CallFault::TimedOut, format!("the answer cannot be read: {}", chain(&error))),
        // Connecting has a shorter limit of its own, so the request was on its way.
        SdkError::TimeoutError(_) => Failed::new(CallFault::TimedOut, format!("no answer in time: {}", chain(&error))),
        SdkError::DispatchFailure(failure) => {
            let text = chain(&error);
            let fault = if never_connected(&text) {
                CallFault::Unreachable
            } else if failure.is_user() {
                // An address or a header that HTTP does not allow: nothing was sent.
                CallFault::Rejected
            } else if !failure.is_io() && !failure.is_timeout() && text.contains("credential") {
                // Nobody could sign the request: nothing was sent.
                CallFault::Denied
            } else {
                // Whatever else goes wrong, a connection was made: what became of the request, nobody knows.
                CallFault::TimedOut
            };
            Failed::new(fault, text)
        }
        // Refused by our own observer, or a request that cannot be built: nothing was sent.
        _ => Failed::new(CallFault::Rejected, chain(&error)),
    }
}

/// What a service's own code means, whatever its HTTP status. Every error that the SDK's models have for an operation that Muster
/// calls is here by name (the tests list them by service), and so are the codes that no model has: those of all services, and EC2's.
///
/// Sources: the `errors` of the operations in the SDK's models; the API references' pages "Common Errors"; for EC2 and S3, which model
/// few or none, the lists of error codes in their API references.
fn by_code(code: &str) -> Option<CallFault> {
    // Services that speak JSON prefix a namespace; some append `Fault` or `Exception` to their names and others do not.
    let name = code.rsplit('#').next().unwrap_or(code);
    let name = name.strip_suffix("Exception").or_else(|| name.strip_suffix("Fault")).unwrap_or(name);
    Some(match name {
        "Throttling"
        | "Throttled"
        | "ThrottledRequest"
        | "RequestThrottled"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "ProvisionedThroughputExceeded"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "EC2Throttled"
        | "KMSThrottling"
        | "KmsThrottling"
        | "APICallRateForCustomerExceeded"
        | "ExecutionLimitExceeded"
        // Another change of the same thing is under way: refused, and the same call can succeed a little later.
        | "PriorRequestNotComplete"
        | "TransactionInProgress"
        | "TransactionConflict"
        | "ReplicatedWriteConflict"
        | "ResourceContention"
        | "ScalingActivityInProgress"
        | "TooManyUpdates"
        | "OperationAborted"
        | "ConditionalRequestConflict" => CallFault::Throttled,
        "InternalError" | "InternalFailure" | "InternalServer" | "InternalServerError" | "InternalService" | "InternalServiceError" | "Service"
        | "ServiceUnavailable" | "Unavailable" | "ServiceLinkedRoleFailure" | "KMSInternal" | "DependencyTimeout" => CallFault::Unavailable,
        "RequestTimeout" => CallFault::TimedOut,
        "AccessDenied" | "AuthorizationError" | "AuthFailure" | "UnauthorizedOperation" | "UnrecognizedClient" | "InvalidClientTokenId" | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch" | "InvalidSignature" | "InvalidSecurity" | "MissingAuthenticationToken" | "IncompleteSignature" | "ExpiredToken"
        | "RequestExpired" | "RequestTimeTooSkewed" | "OptInRequired" | "NotAuthorized" | "KMSAccessDenied" | "KmsAccessDenied" | "KMSOptInRequired"
        | "AccountDisabled" | "AllAccessDisabled" => CallFault::Denied,
        "DBInstanceNotFound"
        | "DBParameterGroupNotFound"
        | "DBSecurityGroupNotFound"
        | "OptionGroupNotFound"
        | "CertificateNotFound"
        | "DomainNotFound"
        | "BackupPolicyNotFound"
        | "CacheClusterNotFound"
        | "CacheParameterGroupNotFound"
        | "CacheSecurityGroupNotFound"
        | "CacheSubnetGroupNotFound"
        | "CustomAvailabilityZoneNotFound"
        | "DBClusterAutomatedBackupNotFound"
        | "DBClusterNotFound"
        | "DBClusterSnapshotNotFound"
        | "DBInstanceAutomatedBackupNotFound"
        | "DBProxyEndpointNotFound"
        | "DBProxyNotFound"
        | "DBProxyTargetGroupNotFound"
        | "DBShardGroupNotFound"
        | "DBSnapshotNotFound"
        | "DBSnapshotTenantDatabaseNotFound"
        | "DBSubnetGroupNotFound"
        | "ExportTaskNotFound"
        | "BlueGreenDeploymentNotFound"
        | "IntegrationNotFound"
        | "TenantDatabaseNotFound"
        | "ReservedCacheNodeNotFound"
        | "ServerlessCacheNotFound"
        | "ServerlessCacheSnapshotNotFound"
        | "SnapshotNotFound"
        | "UserGroupNotFound"
        | "UserNotFound"
        | "AuthorizationNotFound"
        | "GlobalReplicationGroupNotFound"
        | "ReplicationGroupNotFound"
        | "ParameterNotFound"
        | "ParameterVersionNotFound"
        | "ResourceNotFound"
        | "NotFound"
        | "NoSuchKey"
        | "NoSuchBucket"
        | "NoSuchVersion"
        | "NoSuchHostedZone"
        | "NoSuchHealthCheck"
        | "NoSuchResource"
        | "ExecutionDoesNotExist"
        | "StateMachineDoesNotExist" => CallFault::NotFound,
        _ if name.ends_with(".NotFound") => CallFault::NotFound,
        _ if REJECTED.contains(&name) => CallFault::Rejected,
        _ => return None,
    })
}

/// Codes of services that understood and refused.
const REJECTED: &[&str] = &[
    // RDS
    "DBClusterSnapshotAlreadyExists",
    "DBInstanceAlreadyExists",
    "DBInstanceAutomatedBackupQuotaExceeded",
    "DBSnapshotAlreadyExists",
    "DBSubnetGroupDoesNotCoverEnoughAZs",
    "DBUpgradeDependencyFailure",
    "ExportTaskAlreadyExists",
    "IamRoleMissingPermissions",
    // The role that the call names, and not what the call is about.
    "IamRoleNotFound",
    "InstanceQuotaExceeded",
    "InsufficientDBInstanceCapacity",
    "InvalidDBClusterEndpointState",
    "InvalidDBClusterSnapshotState",
    "InvalidDBClusterState",
    "InvalidDBInstanceState",
    "InvalidDBSecurityGroupState",
    "InvalidDBSnapshotState",
    "InvalidExportOnly",
    "InvalidExportSourceState",
    "InvalidRestore",
    "InvalidS3Bucket",
    "InvalidSubnet",
    "InvalidVPCNetworkState",
    "KMSKeyNotAccessible",
    "NetworkTypeNotSupported",
    "ProvisionedIopsNotAvailableInAZ",
    // Also the copies that are in flight, and ElastiCache's snapshots.
    "SnapshotQuotaExceeded",
    "StorageQuotaExceeded",
    "StorageTypeNotSupported",
    "TenantDatabaseQuotaExceeded",
    "VpcEncryptionControlViolation",
    // ElastiCache, CloudWatch, Auto Scaling
    "InvalidARN",
    "InvalidCacheClusterState",
    "InvalidGlobalReplicationGroupState",
    "InvalidReplicationGroupState",
    "InvalidServerlessCacheSnapshotState",
    "InvalidServerlessCacheState",
    "InvalidSnapshotState",
    "SnapshotAlreadyExists",
    "SnapshotFeatureNotSupported",
    "TagQuotaPerResourceExceeded",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidNextToken",
    "MissingParameter",
    "MissingRequiredParameter",
    // Route 53
    "InvalidChangeBatch",
    "InvalidInput",
    // DynamoDB
    "ConditionalCheckFailed",
    "InvalidEndpoint",
    "ItemCollectionSizeLimitExceeded",
    "TransactionCanceled",
    // S3; an archived object is refused with status 403.
    "EncryptionTypeMismatch",
    "InvalidObjectState",
    "InvalidRequest",
    "InvalidWriteOffset",
    "MethodNotAllowed",
    "PreconditionFailed",
    "TooManyParts",
    // Step Functions
    "ExecutionAlreadyExists",
    "InvalidArn",
    "InvalidExecutionInput",
    "InvalidName",
    "InvalidOutput",
    "InvalidToken",
    "KmsInvalidState",
    "StateMachineDeleting",
    "TaskDoesNotExist",
    "TaskTimedOut",
    "Validation",
    "ValidationError",
    // CodeBuild: no further build, also none in the queue.
    "AccountLimitExceeded",
    // KMS, whose other codes SNS and Step Functions pass on; SNS
    "Disabled",
    "EndpointDisabled",
    "InvalidParameter",
    "KMSDisabled",
    "KMSInvalidState",
    "KMSNotFound",
    "ParameterValueInvalid",
    "PlatformApplicationDisabled",
    // Systems Manager, Secrets Manager, Service Quotas
    "DecryptionFailure",
    "HierarchyLevelLimitExceeded",
    "HierarchyTypeMismatch",
    "IllegalArgument",
    "IncompatiblePolicy",
    "InvalidAllowedPattern",
    "InvalidKeyId",
    "InvalidPolicyAttribute",
    "InvalidPolicyType",
    "ParameterAlreadyExists",
    "ParameterLimitExceeded",
    "ParameterMaxVersionLimitExceeded",
    "ParameterPatternMismatch",
    "PoliciesLimitExceeded",
    "UnsupportedParameterType",
];

/// What is left to go by where nobody knows the code.
fn by_status(status: u16) -> CallFault {
    match status {
        // The service has done something, and its answer cannot be read.
        200..=299 => CallFault::TimedOut,
        429 => CallFault::Throttled,
        401 | 403 => CallFault::Denied,
        404 => CallFault::NotFound,
        408 => CallFault::TimedOut,
        500..=599 => CallFault::Unavailable,
        _ => CallFault::Rejected,
    }
}

/// Whether the connection was never made: then nothing was sent. TCP and TLS both belong to it. Tests with real sockets hold these
/// words against the SDK's HTTP stack, which says it in no other way.
pub(crate) fn never_connected(text: &str) -> bool {
    ["client error (Connect)", "HTTP connect timeout"].iter().any(|sign| text.contains(sign))
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
