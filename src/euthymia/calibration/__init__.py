"""Trials held against evidence: priors, an emulator, a likelihood, draws, and checks of all of them."""
