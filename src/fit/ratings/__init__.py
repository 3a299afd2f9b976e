"""People's judgement: how much a generated picture looks like its concept, on a scale of 1 to 5."""
