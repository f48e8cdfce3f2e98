"""Accept single jobs, from every interface: check the request, insert the row, dispatch the job.

This package also serves the `darkroom.submit` messages. Batch files are in `tasks.batches`, and
the parsing of messages is in `tasks.messages`.
"""
