"""Make values readable: tables, charts, Markdown, quantities, and files that are written whole or not at all."""
