"""Circuit: pyramidal cells and interneurons of one cortical node while their NMDA currents are blocked."""
