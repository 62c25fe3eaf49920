"""Fusing: methods and what they may be given, frames of any number, size and kind; alignment; export."""
