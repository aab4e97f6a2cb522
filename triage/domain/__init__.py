"""The values of the field: incident, annotation, taxonomy, triage result, principal and error. No I/O but YAML."""
