"""How a model is solved. The engine knows no biology; it is handed flows, functions and tables."""
