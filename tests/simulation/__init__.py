"""The app under every fault we can think of: virtual time, seeded, and a judge that knows the truth."""
