"""Acute effects, within the hour: dissociation, pressure, sedation, discomfort."""
