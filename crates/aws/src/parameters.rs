//! Parameters of Systems Manager.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::{Parameter, ParameterType};
use futures::{StreamExt, TryStreamExt, stream};
use muster_core::ports::{Control, Ledger, Parameters};
use muster_core::{CallError, ParameterId, Region};

use crate::call::{PAGES_SIDE_BY_SIDE, joined};
use crate::{Aws, Target, classify};

/// `GetParameters` takes no more names.
const BATCH: usize = 10;

impl<X> Parameters for Aws<X>
where
    Self: Control + Ledger,
{
    async fn get_parameters(&self, region: &Region, ids: &[ParameterId]) -> Result<BTreeMap<ParameterId, String>, CallError> {
        let known = self.parameters(region, ids).await?;
        Ok(known.into_iter().filter_map(|(id, parameter)| Some((id, parameter.value?))).collect())
    }

    async fn put_parameter(&self, id: &ParameterId, value: &str) -> Result<(), CallError> {
        // A parameter keeps its type, and a new one must be given one. One that is encrypted is encrypted with the account's
        // default key from here on: only `DescribeParameters` tells which key it had.
        let known = self.parameters(&id.region, std::slice::from_ref(id)).await?.remove(id);
        let kind = known.and_then(|parameter| parameter.r#type).unwrap_or(ParameterType::String);
        let request = self.ssm(&id.region).put_parameter().name(&*id.name).value(value).r#type(kind).overwrite(true);
        let target = Target::data("ssm:PutParameter", &id.region, &*id.name);
        self.mutate(target, async { request.send().await.map(drop).map_err(classify) }).await
    }
}

impl<X> Aws<X> {
    /// Those that do not exist come back as `InvalidParameters`, and are absent here.
    async fn parameters(&self, region: &Region, ids: &[ParameterId]) -> Result<BTreeMap<ParameterId, Parameter>, CallError> {
        let batches = stream::iter(ids.chunks(BATCH)).map(|asked| self.some_parameters(region, asked)).buffered(PAGES_SIDE_BY_SIDE);
        batches
            .try_fold(BTreeMap::new(), async |mut all, mut some| {
                all.append(&mut some);
                Ok(all)
            })
            .await
    }

    /// As many as a call takes.
    async fn some_parameters(&self, region: &Region, asked: &[ParameterId]) -> Result<BTreeMap<ParameterId, Parameter>, CallError> {
        let names = asked.iter().map(|id| id.name.to_string()).collect();
        let request = self.ssm(region).get_parameters().set_names(Some(names)).with_decryption(true);
        let target = Target::data("ssm:GetParameters", region, joined(asked));
        let answer = self.read(target, async { request.send().await.map_err(classify) }).await?;
        let mut known = BTreeMap::new();
        for parameter in answer.parameters.unwrap_or_default() {
            // Asked for by ARN, as another account's are, a parameter answers with its ARN as well.
            let is_asked = |id: &&ParameterId| parameter.name() == Some(&id.name) || parameter.arn() == Some(&id.name);
            if let Some(id) = asked.iter().find(is_asked) {
                known.insert(id.clone(), parameter);
            }
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests;
