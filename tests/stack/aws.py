"""Clients of the local stack, as its operator: the account's root, for whom neither IAM nor faults apply."""

from typing import Any

import boto3
from botocore.config import Config

KEY, SECRET = "operator", "operator"


class Account:
    """Clients by service and region, made once."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str) -> Any:
        if (service, region) not in self._clients:
            self._clients[service, region] = boto3.client(
                service,
                region_name=region,
                endpoint_url=self.endpoint,
                aws_access_key_id=KEY,
                aws_secret_access_key=SECRET,
                config=Config(retries={"max_attempts": 0}, read_timeout=120, s3={"addressing_style": "path"}),
            )
        return self._clients[service, region]

    def environment(self, region: str) -> dict[str, str]:
        """What an AWS SDK or the AWS CLI needs to reach the stack."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": region, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
