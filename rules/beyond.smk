"""Beyond imitation: copies, defences, attacks and poisoned scorers, all of them. Each has a milestone of its own too."""


rule beyond:
    """What docs/beyond.md is made of: the milestones defences, attacks, copies, copies_atelier and poisoning."""
    input:
        rules.defences.input,
        rules.attacks.input,
        rules.copies.input,
        rules.copies_atelier.input,
        rules.poisoning.input,
