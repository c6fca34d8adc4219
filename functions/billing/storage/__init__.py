"""Reads and writes DynamoDB: conditional writes, atomic transactions, and the keys of rows."""
