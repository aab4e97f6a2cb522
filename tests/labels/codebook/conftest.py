"""The small taxonomy of the tests of evaluation."""

from tests.evaluation.conftest import small

__all__ = ["small"]
