"""The ports, fulfilled with the Azure and OpenAI SDKs, which are imported when an adapter is."""
