"""The stack on one machine: Azurite, the emulator of Azure OpenAI, and a host for the functions."""
