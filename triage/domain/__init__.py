"""The domain: incidents, annotations, taxonomies, triage results, principals and errors. No I/O except YAML files."""
