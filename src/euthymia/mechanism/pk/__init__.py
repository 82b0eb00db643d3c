"""Pharmacokinetics: from doses at a route to concentrations, as linear flows between compartments."""
