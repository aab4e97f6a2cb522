"""The models that are asked: chat models and embedders, each behind a port with its adapters."""
