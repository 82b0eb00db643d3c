"""The story: one imagined patient, twelve chapters, and the model under each of them."""
