"""Brain networks: how synapses, beliefs and the drug change the coupling of the default mode network."""
