//! Configuration: what workloads are told about the recovered parts, and where it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::template::Template;
use crate::traffic::RegionRole;

/// A configuration value, and where it is written so that workloads find the recovered parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Configuration {
    /// A parameter of Systems Manager Parameter Store.
    SsmParameter {
        /// The name that the rest of the plan uses.
        name: Name,
        /// The parameter's name, such as `/basecoat/portal/db-host`.
        parameter: String,
        /// Its value.
        value: Template,
        /// The region that it is written in.
        #[serde(default = "standby")]
        region: RegionRole,
    },
    /// A new version of an EC2 launch template, made the default.
    LaunchTemplate {
        /// The name that the rest of the plan uses.
        name: Name,
        /// The launch template's name in the standby region.
        template: String,
        /// The user data in clear; Muster encodes it. Everything else comes from the current default version.
        user_data: Template,
    },
    /// Keys of a replicated Secrets Manager secret, which becomes writable in the standby region.
    Secret {
        /// The name that the rest of the plan uses.
        name: Name,
        /// The secret's name.
        secret: String,
        /// The keys that are changed, such as `host`. No passwords: the others stay as they are.
        #[serde(default)]
        keys: BTreeMap<String, Template>,
    },
    /// Environment variables of Kubernetes deployments in the standby cluster.
    KubernetesEnv {
        /// The name that the rest of the plan uses.
        name: Name,
        /// The EKS cluster in the standby region.
        cluster: String,
        /// The namespace.
        namespace: String,
        /// The deployments.
        deployments: Vec<String>,
        /// The variables. `$(DB_PASSWORD)` is left for Kubernetes to expand from a secret.
        env: BTreeMap<String, Template>,
    },
    /// A rolling restart of Kubernetes deployments, for those that read their configuration only once.
    KubernetesRestart {
        /// The name that the rest of the plan uses.
        name: Name,
        /// The EKS cluster in the standby region.
        cluster: String,
        /// The namespace.
        namespace: String,
        /// The label selector, such as `tier=api`.
        selector: String,
    },
}

impl Configuration {
    /// Its name in the plan.
    pub fn name(&self) -> &Name {
        match self {
            Configuration::SsmParameter { name, .. }
            | Configuration::LaunchTemplate { name, .. }
            | Configuration::Secret { name, .. }
            | Configuration::KubernetesEnv { name, .. }
            | Configuration::KubernetesRestart { name, .. } => name,
        }
    }

    /// Its values, each with its key in the plan (`value`, `userData`, `keys.host`, `env.DATABASE_URL`).
    pub fn values(&self) -> Vec<(String, &Template)> {
        match self {
            Configuration::SsmParameter { value, .. } => vec![("value".to_owned(), value)],
            Configuration::LaunchTemplate { user_data, .. } => vec![("userData".to_owned(), user_data)],
            Configuration::Secret { keys, .. } => keys.iter().map(|(key, value)| (format!("keys.{key}"), value)).collect(),
            Configuration::KubernetesEnv { env, .. } => env.iter().map(|(key, value)| (format!("env.{key}"), value)).collect(),
            Configuration::KubernetesRestart { .. } => Vec::new(),
        }
    }
}

fn standby() -> RegionRole {
    RegionRole::Standby
}
