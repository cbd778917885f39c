"""The version of this code: `--version`, and the package metadata."""

VERSION = "0.1.0"
