"""What is told of the work: logs with ids and without secrets, spans of traces, and the step that work is at."""
