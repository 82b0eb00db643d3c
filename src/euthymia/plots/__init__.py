"""Figures: each function takes data and axes and returns what it drew on; it does not simulate or save."""
