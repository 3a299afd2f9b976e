"""How often a training set's captions mention each concept."""
