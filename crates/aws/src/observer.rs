//! One interceptor in every client: no call of the SDK goes past [`Aws::read`](crate::Aws::read) and its siblings, none is another
//! than was announced to the ledger, and each leaves its request id.
//!
//! An interceptor cannot wait, so it cannot write the intent to the ledger itself. It sees to it that somebody did.

use std::cell::RefCell;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextRef};
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

tokio::task_local! {
    static ANNOUNCED: RefCell<Announced>;
}

/// The call that is under way in this task.
#[derive(Debug)]
struct Announced {
    /// The API's name without its service, such as `PromoteReadReplica`.
    operation: String,
    request_id: Option<String>,
}

/// Lets `send` make the one call that `operation` (`service:Operation`) names; returns its request id as well.
pub(crate) async fn watch<T>(operation: &str, send: impl Future<Output = T>) -> (T, Option<String>) {
    let name = operation.split_once(':').map_or(operation, |(_, name)| name);
    let announced = RefCell::new(Announced { operation: name.to_owned(), request_id: None });
    ANNOUNCED
        .scope(announced, async {
            let result = send.await;
            (result, ANNOUNCED.with(|announced| announced.borrow_mut().request_id.take()))
        })
        .await
}

/// The interceptor.
pub(crate) fn shared() -> SharedInterceptor {
    SharedInterceptor::new(Observer)
}

#[derive(Debug)]
struct Observer;

impl Intercept for Observer {
    fn name(&self) -> &'static str {
        "MusterObserver"
    }

    // Not before: a client's interceptors begin before the operation's own configuration, its name among it, is there.
    fn read_before_serialization(&self, _: &BeforeSerializationInterceptorContextRef<'_>, _: &RuntimeComponents, bag: &mut ConfigBag) -> Result<(), BoxError> {
        let made = bag.load::<Metadata>().map(|metadata| metadata.name().to_owned()).unwrap_or_default();
        match ANNOUNCED.try_with(|announced| announced.borrow().operation == made) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("{made} is called where another call was announced to the ledger").into()),
            Err(_) => Err(format!("{made} is called and was not announced to the ledger").into()),
        }
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let id = ["x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id"].iter().find_map(|name| headers.get(*name));
        let _ = ANNOUNCED.try_with(|announced| announced.borrow_mut().request_id = id.map(str::to_owned));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, world};

    #[tokio::test]
    async fn a_call_that_was_not_announced_is_not_sent() {
        let (world, wire) = world(|_| Some(answer(200, "{}")));
        let get = || world.dynamodb(world.home()).get_item().table_name("table").key("pk", aws_sdk_dynamodb::types::AttributeValue::S("x".to_owned())).send();
        assert!(get().await.is_err());
        assert!(watch("dynamodb:PutItem", get()).await.0.is_err());
        assert!(wire.sent().is_empty());
        assert!(watch("dynamodb:GetItem", get()).await.0.is_ok());
        assert_eq!(wire.sent().len(), 1);
    }

    #[tokio::test]
    async fn a_call_leaves_its_request_id() {
        let (world, _) = world(|_| Some(answer(200, "{}").with("x-amzn-requestid", "id-1")));
        let get = world.dynamodb(world.home()).get_item().table_name("table").key("pk", aws_sdk_dynamodb::types::AttributeValue::S("x".to_owned())).send();
        assert_eq!(watch("dynamodb:GetItem", get).await.1.as_deref(), Some("id-1"));
    }
}
