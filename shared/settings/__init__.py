"""deployments.yaml and the environment → `Settings`, checked as a whole."""
