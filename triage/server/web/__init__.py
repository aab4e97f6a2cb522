"""The web pages: server-rendered HTML, with htmx for parts that change in place.

Each page is a module with a router from `page_router` and a template in `templates/`, and is listed in `pages.py`.
Pages make no decisions: like the API's endpoints, they call the parts of `triage.server.api.service` and declare their
access by `triage.server.api.access`.
"""

from triage.server.web.pages import add_pages
from triage.server.web.rendering import PageOptions

__all__ = ["PageOptions", "add_pages"]
