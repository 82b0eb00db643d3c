"""Symptoms: the window of change, beliefs, expectancy, severity, and how scales see it."""
