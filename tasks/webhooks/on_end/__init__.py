"""Send another application's Celery task instead of a webhook, if a job or batch names one."""
