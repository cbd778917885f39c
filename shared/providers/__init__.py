"""Ways to host models, a package each behind `shared.ports.Provider`. They know nothing of each other."""
