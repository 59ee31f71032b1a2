"""What a handler in Python does before its first poll: one client of the SDK."""

import http.client
import os

import boto3

rds = boto3.client("rds")
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
connection.request("GET", "/2018-06-01/runtime/invocation/next")
connection.getresponse()
