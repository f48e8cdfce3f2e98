"""Commands for operators: doctor, keys, owners, pause, resume, webhooks, hooks, migrate, verify.

They check or change the installation, its owners and its deliveries. Commands about single jobs are
in `cli/jobs/`.
"""
