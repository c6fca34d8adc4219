"""DynamoDB: conditional writes and transactions, and the keys of rows."""
