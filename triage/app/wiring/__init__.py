"""The one place that knows which adapters are in use: everything is built here from the settings."""
