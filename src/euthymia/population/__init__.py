"""Virtual patients: who they are, their individual parameters, and what a regimen does in them."""
