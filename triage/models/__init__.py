"""Chat models and embedders, each behind a port with its adapters."""
