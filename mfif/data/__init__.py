"""Photographs to train on and pairs to evaluate on. Import the modules: some are light, some are not."""
