"""One module for each page: a ``router``, its ``LINK``, and perhaps ``warm``; the application finds them."""
