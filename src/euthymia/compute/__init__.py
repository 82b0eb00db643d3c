"""Runs computations in chunks: how they are cut and what runs them, whatever they compute."""
