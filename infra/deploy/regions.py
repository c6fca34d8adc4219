"""What is known of AWS's regions: their names, from botocore's own list, and which of them have no Lambda function URLs."""

from typing import Final

import boto3

COMMERCIAL: Final = "aws"
WITHOUT_FUNCTION_URLS: Final = frozenset(
    {
        "ap-east-2",
        "ap-south-2",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-west-1",
        "eu-central-2",
        "eu-south-2",
        "il-central-1",
        "me-central-1",
        "mx-central-1",
    }
)
"""https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html, read in November 2026.
mx-central-1 is not among them there, but CloudFormation's own schemas have no AWS::Lambda::Url for
it: a stack without one deploys in either case."""


def partition_of(region: str) -> str:
    """Return "" for a region that this botocore does not know, such as one that is newer."""
    session = boto3.Session()
    for partition in session.get_available_partitions():
        if region in session.get_available_regions("cloudformation", partition):
            return str(partition)
    return ""


def has_function_urls(region: str) -> bool | None:
    """None where AWS's page does not say: other partitions, and regions that nobody here knows."""
    if region in WITHOUT_FUNCTION_URLS:
        return False
    return True if partition_of(region) == COMMERCIAL else None
