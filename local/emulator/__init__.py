"""Azure on one machine: Azure Resource Manager for model deployments, and the Azure OpenAI data plane.

It follows what Azure documents and what public reports show, and keeps its own meter of what is hosted.
"""
