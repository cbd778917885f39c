"""An emulator of Azure Resource Manager for model deployments, and of the Azure OpenAI data plane.

It follows Azure's documentation and public reports, and meters by itself what is hosted.
"""
