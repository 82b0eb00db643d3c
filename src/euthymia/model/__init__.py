"""One composed model: parameters by name, wiring between layers, observables, solution, result."""
