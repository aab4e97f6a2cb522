"""Render values for people: tables, charts, Markdown and quantities; and write files atomically."""
