"""What surrounds ketamine or is compared with it."""
