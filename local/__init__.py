"""The local stack: Azurite, an emulator of Azure OpenAI, and a host that runs the functions."""
