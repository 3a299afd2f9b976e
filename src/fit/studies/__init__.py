"""A study of one's own, in a folder outside this project: made by `fit new`, run by `fit run`."""
