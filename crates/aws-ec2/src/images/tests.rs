use muster_core::Region;
use muster_core::ports::{ImageState, Images};

use crate::testing::{REFUSALS, error, world, xml};

fn standby() -> Region {
    "us-west-2".parse().unwrap()
}

#[tokio::test]
async fn only_an_image_that_is_available_can_be_started_from() {
    for (state, expected) in
        [("available", ImageState::Available), ("pending", ImageState::Missing), ("disabled", ImageState::Missing), ("failed", ImageState::Missing)]
    {
        let (aws, wire) =
            world([xml("DescribeImages", &format!("<imagesSet><item><imageId>ami-1</imageId><imageState>{state}</imageState></item></imagesSet>"))]);
        assert_eq!(aws.image_state(&standby(), "ami-1").await.unwrap(), expected, "{state}");
        let sent = &wire.calls()[0];
        assert_eq!((sent.operation.as_str(), sent.form["ImageId.1"].as_str()), ("DescribeImages", "ami-1"));
    }
}

#[tokio::test]
async fn an_image_that_does_not_exist_in_the_region_is_missing_and_no_error() {
    let (aws, _) = world([xml("DescribeImages", "<imagesSet/>")]);
    assert_eq!(aws.image_state(&standby(), "ami-1").await.unwrap(), ImageState::Missing);
    for code in ["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"] {
        let (aws, _) = world([error(400, code)]);
        assert_eq!(aws.image_state(&standby(), "ami-1").await.unwrap(), ImageState::Missing, "{code}");
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_looked_at_is_not_missing() {
    for (status, code, fault) in REFUSALS {
        let (aws, _) = world([error(status, code)]);
        assert_eq!(aws.image_state(&standby(), "ami-1").await.unwrap_err().fault, fault, "{code}");
    }
}
