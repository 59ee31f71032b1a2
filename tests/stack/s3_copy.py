"""Of the AWS CLI, what a build here needs: `aws s3 cp [--only-show-errors] s3://BUCKET/KEY FILE`. It finds the stack as the CLI does, by its environment."""

import os
import sys

import boto3
from botocore.config import Config

if sys.argv[1:3] != ["s3", "cp"]:
    sys.exit(f"not here: {sys.argv}")
source, target = (one for one in sys.argv[3:] if not one.startswith("--"))
bucket, _, key = source.removeprefix("s3://").partition("/")
boto3.client("s3", region_name=os.environ["AWS_REGION"], config=Config(s3={"addressing_style": "path"})).download_file(bucket, key, target)
