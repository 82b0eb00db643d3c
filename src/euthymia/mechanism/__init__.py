"""What the dose does: one folder or file a layer of biology; layers never import each other."""
