"""The command line, for cron, pipelines and people."""
