"""The values of the field: incidents, annotations, taxonomies, triage results, principals and errors. No I/O but YAML."""
