//! Clients, one per service and region, with the time-outs of all of them in one place.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region as SdkRegion;
use muster_core::Region;

use crate::Aws;
use crate::observer;

/// Nobody answers a connection within this.
pub(crate) const CONNECT: Duration = Duration::from_secs(1);
/// One attempt, from the first byte sent to the last received.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(3);
/// One call with everything around it.
pub(crate) const OPERATION: Duration = Duration::from_secs(8);

/// The clients of a process.
pub(crate) struct Clients {
    sdk: SdkConfig,
    pub(crate) rds: PerRegion<aws_sdk_rds::Client>,
    pub(crate) elasticache: PerRegion<aws_sdk_elasticache::Client>,
    pub(crate) autoscaling: PerRegion<aws_sdk_autoscaling::Client>,
    pub(crate) route53: PerRegion<aws_sdk_route53::Client>,
    pub(crate) dynamodb: PerRegion<aws_sdk_dynamodb::Client>,
    pub(crate) s3: PerRegion<aws_sdk_s3::Client>,
    pub(crate) sfn: PerRegion<aws_sdk_sfn::Client>,
    pub(crate) sns: PerRegion<aws_sdk_sns::Client>,
    pub(crate) ssm: PerRegion<aws_sdk_ssm::Client>,
    pub(crate) cloudwatch: PerRegion<aws_sdk_cloudwatch::Client>,
    pub(crate) secretsmanager: PerRegion<aws_sdk_secretsmanager::Client>,
    pub(crate) servicequotas: PerRegion<aws_sdk_servicequotas::Client>,
    pub(crate) kms: PerRegion<aws_sdk_kms::Client>,
    pub(crate) codebuild: PerRegion<aws_sdk_codebuild::Client>,
}

/// A service's clients: none before one is asked for.
pub(crate) struct PerRegion<C>(RefCell<BTreeMap<Region, C>>);

impl<C> Default for PerRegion<C> {
    fn default() -> Self {
        PerRegion(RefCell::default())
    }
}

impl<C: Clone> PerRegion<C> {
    fn get(&self, region: &Region, make: impl FnOnce() -> C) -> C {
        if let Some(known) = self.0.borrow().get(region) {
            return known.clone();
        }
        let made = make();
        self.0.borrow_mut().insert(region.clone(), made.clone());
        made
    }
}

impl Clients {
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
        Clients {
            sdk: sdk.clone(),
            rds: PerRegion::default(),
            elasticache: PerRegion::default(),
            autoscaling: PerRegion::default(),
            route53: PerRegion::default(),
            dynamodb: PerRegion::default(),
            s3: PerRegion::default(),
            sfn: PerRegion::default(),
            sns: PerRegion::default(),
            ssm: PerRegion::default(),
            cloudwatch: PerRegion::default(),
            secretsmanager: PerRegion::default(),
            servicequotas: PerRegion::default(),
            kms: PerRegion::default(),
            codebuild: PerRegion::default(),
        }
    }

    /// One attempt a call: retries belong to the state machine.
    pub(crate) fn sdk(&self, region: &Region) -> SdkConfig {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).operation_timeout(OPERATION).build();
        self.sdk.to_builder().region(SdkRegion::new(region.as_str().to_owned())).timeout_config(timeouts).retry_config(RetryConfig::disabled()).build()
    }
}

/// Makes a service's client where it is first asked for.
macro_rules! clients {
    ($($service:ident $sdk:ident $what:literal,)*) => {
        impl<X> Aws<X> {
            $(
                #[doc = concat!("The client of ", $what, " in a region.")]
                pub(crate) fn $service(&self, region: &Region) -> $sdk::Client {
                    self.clients.$service.get(region, || {
                        let config = $sdk::config::Builder::from(&self.clients.sdk(region)).interceptor(observer::shared()).build();
                        $sdk::Client::from_conf(config)
                    })
                }
            )*
        }
    };
}

clients! {
    rds aws_sdk_rds "RDS",
    elasticache aws_sdk_elasticache "ElastiCache",
    autoscaling aws_sdk_autoscaling "EC2 Auto Scaling",
    route53 aws_sdk_route53 "Route 53",
    dynamodb aws_sdk_dynamodb "DynamoDB",
    s3 aws_sdk_s3 "S3",
    sfn aws_sdk_sfn "Step Functions",
    sns aws_sdk_sns "SNS",
    ssm aws_sdk_ssm "Systems Manager",
    cloudwatch aws_sdk_cloudwatch "CloudWatch",
    secretsmanager aws_sdk_secretsmanager "Secrets Manager",
    servicequotas aws_sdk_servicequotas "Service Quotas",
    kms aws_sdk_kms "KMS",
    codebuild aws_sdk_codebuild "CodeBuild",
}
