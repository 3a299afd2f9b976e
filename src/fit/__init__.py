"""FIT, finding the imitation threshold: how many images of a concept a text-to-image model needs to imitate it."""
