"""Read deployments.yaml and the environment into `Settings`, checked as a whole."""
