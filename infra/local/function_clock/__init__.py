"""Lets tests move the clock of the Lambda functions in the embedded AWS: see sitecustomize.py."""
