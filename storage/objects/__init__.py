"""The S3 bucket: put, get, look up, list, delete; the signed put beside boto3."""
