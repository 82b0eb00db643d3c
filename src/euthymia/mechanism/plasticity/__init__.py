"""Plasticity: signalling, synapses of two regions, and the stress that wears them down."""
