"""An emulator of Azure Resource Manager for model deployments, and of the Azure OpenAI data plane.

It follows Azure's documentation and public reports, and has its own meter of hosting.
"""
