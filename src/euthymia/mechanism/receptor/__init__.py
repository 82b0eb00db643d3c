"""Receptors: block of NMDA current, and reversible occupancy of transporters."""
