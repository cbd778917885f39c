"""What settings, requests and checked answers share of JSON schema. No I/O."""
