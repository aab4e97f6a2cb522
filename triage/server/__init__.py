"""The service: HTTP API, pages, durable queue, notifications and metrics."""
