"""Reads and writes DynamoDB: conditional writes, transactions, and the keys of rows."""
