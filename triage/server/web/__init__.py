"""The pages: what the API answers, for people. Server-rendered, with htmx for what changes in place.

Each page is a module with a router of `page_router`, a template of the same name in `templates/`, and an entry in
`navigation.py`. A page makes no decisions: it asks the same parts as the API does
(`triage.server.api.service`), and says what it needs as an endpoint does (`triage.server.api.access`).
"""

from triage.server.web.options import PageOptions
from triage.server.web.pages import add_pages

__all__ = ["PageOptions", "add_pages"]
