"""Pages served by a local web server: the story and the lab, and the clinic's record."""
