"""A small taxonomy with a facet of many labels."""

from tests.evaluation.conftest import small

__all__ = ["small"]
