//! What a survey reads of an archive.

use muster_backups::{Expectation, PointStatus, RecoveryPoint, Rules, export_name};
use muster_core::ports::{Buckets, SnapshotSource, Snapshots};
use muster_core::{CallFault, Clock, Context};
use muster_plan::{Bytes, Plan};

use crate::backups::{pages, point};
use crate::listed::{End, Listed};

/// Exports by RDS: what it says of each whose snapshot is still there, and whether anything lies in the bucket of it. What lies there of older ones
/// is not read again each hour, for years: its lifecycle is.
pub(crate) async fn read_archive<W>(world: &W, cx: &Context<'_, Plan>, wanted: &Expectation, bucket: &str, source: &SnapshotSource, listed: &mut Listed)
where
    W: Clock + Snapshots + Buckets,
{
    let (place, region) = (&wanted.place, &wanted.place.region);
    let (Some(of), rules) = (&wanted.of, Rules::of(cx.plan)) else { return };
    let mut points: Vec<RecoveryPoint> = match pages(world, place, source).await {
        Ok(found) => found.into_iter().map(|snapshot| point(snapshot, place, of, &rules, false)).collect(),
        Err(error) => return listed.fail(&error, false),
    };
    points.retain(|point| point.backup.as_ref() == Some(&wanted.backup));
    for point in points.iter_mut().filter(|point| point.status == PointStatus::Available) {
        let folder = format!("{}/", export_name(&point.name, point.failures.len() + 1));
        // RDS tells which key it was asked to use; S3 tells which it was.
        let first = match world.list_objects(region, bucket, &folder, None).await {
            Ok(page) => page.objects.into_iter().next(),
            Err(error) => return listed.fail(&error, true),
        };
        let key = match &first {
            None => Ok(None),
            Some(object) => world.object_key(region, bucket, &object.key).await,
        };
        match (first, key) {
            (Some(_), Ok(key)) => point.kms_key = key.as_deref().map(str::to_owned),
            (_, Err(error)) if error.fault != CallFault::NotFound => return listed.fail(&error, true),
            // It is complete, says RDS, and it is empty: which is what is said of it.
            _ => point.size = Some(Bytes::new(0)),
        }
    }
    listed.add(points.iter().map(Into::into), world.now());
    listed.end = Some(End::Read);
}
