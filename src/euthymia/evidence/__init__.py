"""Published results as data: typed, checked and chosen by role; nothing here fits anything."""
