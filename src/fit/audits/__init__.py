"""Which concepts lie above a measured threshold, and which rows of the corpus would have to go."""
