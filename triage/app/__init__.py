"""What puts the parts together: settings, wiring, the served application, `Triager` and the pytest plugin."""
