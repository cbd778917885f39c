"""Fine-tuned models as deployments of Azure OpenAI accounts, through Azure Resource Manager."""
