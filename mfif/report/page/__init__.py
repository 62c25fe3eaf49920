"""One HTML page of an evaluation that needs nothing but itself: tables, plots, and pictures to compare."""

from mfif.report.page.assembly import rewrite_page, write_page

__all__ = ["rewrite_page", "write_page"]
