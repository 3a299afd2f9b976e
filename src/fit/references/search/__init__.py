"""Services that find images of a concept."""
