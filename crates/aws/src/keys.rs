//! KMS keys: whether they can be used.

use aws_sdk_kms::types::KeyState;
use muster_core::ports::{EncryptionKey, Keys};
use muster_core::{CallError, CallFault, Region};

use crate::{Aws, Failed, Target, classify};

impl<X> Keys for Aws<X> {
    async fn describe_key(&self, region: &Region, name: &str) -> Result<Option<EncryptionKey>, CallError> {
        let request = self.kms(region).describe_key().key_id(name);
        let send = async {
            let answer = match request.send().await.map_err(classify) {
                Ok(answer) => answer,
                Err(failed) if failed.fault == CallFault::NotFound => return Ok(None),
                Err(failed) => return Err(failed),
            };
            let unsaid = |what: String| Failed::new(CallFault::Rejected, what);
            let key = answer.key_metadata.ok_or_else(|| unsaid("the answer tells nothing of the key".to_owned()))?;
            match &key.key_state {
                // While it is updated, a key encrypts and decrypts. Source: KMS developer guide, "Key states of AWS KMS keys".
                Some(KeyState::Enabled | KeyState::Updating) => {
                    let arn = key.arn.ok_or_else(|| unsaid("the answer does not tell the key's ARN".to_owned()))?;
                    Ok(Some(EncryptionKey::Enabled { arn: arn.into() }))
                }
                Some(
                    KeyState::Creating
                    | KeyState::Disabled
                    | KeyState::PendingDeletion
                    | KeyState::PendingImport
                    | KeyState::PendingReplicaDeletion
                    | KeyState::Unavailable,
                ) => Ok(Some(EncryptionKey::Disabled)),
                other => Err(unsaid(format!("the key's state is `{}`, which is not known", other.as_ref().map_or("", KeyState::as_str)))),
            }
        };
        self.read(Target::control("kms:DescribeKey", region, name), send).await
    }
}

#[cfg(test)]
mod tests;
