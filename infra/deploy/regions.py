"""Answers questions about AWS's regions: their partition, and whether Lambda has function URLs."""

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
"""The regions in which Lambda has no function URLs.
https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html, read in November 2026.

That page does not list mx-central-1, but CloudFormation's schemas have no AWS::Lambda::Url for it.
A stack without a function URL deploys in either case.
"""


def partition_of(region: str) -> str:
    """Return the region's partition, or "" for a region that botocore does not know."""
    session = boto3.Session()
    for partition in session.get_available_partitions():
        if region in session.get_available_regions("cloudformation", partition):
            return str(partition)
    return ""


def has_function_urls(region: str) -> bool | None:
    """Return whether Lambda has function URLs in a region.

    It is None if AWS's page does not say, as for other partitions and unknown regions.
    """
    if region in WITHOUT_FUNCTION_URLS:
        return False
    return True if partition_of(region) == COMMERCIAL else None
