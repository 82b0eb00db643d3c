"""What is given: drugs, orders, regimens, and the notation in which they are written."""
