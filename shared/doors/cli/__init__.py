"""The command line: what cron, pipelines and people ask of the app, through its own loop and records."""
