"""Pharmacokinetics: from doses at a route to concentrations in plasma, as linear flows between compartments."""
