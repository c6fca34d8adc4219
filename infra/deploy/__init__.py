"""Deploys and uninstalls a stack in an AWS account."""
