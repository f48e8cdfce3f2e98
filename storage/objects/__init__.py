"""Access the S3 bucket: put, get, look up, list and delete objects; a signed put beside boto3.

Names of objects are in `records/object_keys.py`. The memory cache, the uploader and the deleter are
in `tasks/storing`.
"""
