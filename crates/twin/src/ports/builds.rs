//! Builds.

use std::sync::Arc;

use muster_core::ports::{BuildOrder, BuildState, Builds};
use muster_core::{CallError, Region};

use crate::ports::control;
use crate::world::World;

impl Builds for World {
    async fn start_build(&self, order: &BuildOrder<'_>) -> Result<Arc<str>, CallError> {
        self.mutate(control("codebuild:StartBuild", order.region, order.project).changing(), |estate| estate.start_build(order)).await
    }

    async fn describe_build(&self, region: &Region, id: &str) -> Result<Option<BuildState>, CallError> {
        self.read(control("codebuild:BatchGetBuilds", region, id), |estate, _| Ok(estate.describe_build(id))).await
    }
}
