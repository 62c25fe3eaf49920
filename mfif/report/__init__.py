"""Scores as tables, pictures and pages."""
